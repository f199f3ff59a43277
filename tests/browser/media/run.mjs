// Runs one exported function of a bundle in Node: node run.mjs BUNDLE FUNCTION, its argument as JSON on stdin, the answer on stdout.
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const [, , bundle, name] = process.argv;
const checks = await import(pathToFileURL(bundle).href);
try {
  process.stdout.write(JSON.stringify(await checks[name](JSON.parse(await text(process.stdin)))));
} catch (error) {
  process.stderr.write(`${name}: ${error.message}\n`); // without the stack, which shows the whole bundle
  process.exitCode = 1;
}
