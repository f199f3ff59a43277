// Milliseconds a kilobyte that ts-mls takes to decode or refuse each file of a folder: `node bench_hostile.mjs FOLDER ROUNDS`.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, rounds] = process.argv.slice(2);
const require = createRequire(join(process.cwd(), "package.json"));
const { decodeMlsMessage } = await import(pathToFileURL(require.resolve("ts-mls")).href);

function milliseconds(data) {
  const started = performance.now();
  try {
    decodeMlsMessage(data, 0);
  } catch {
    // a refusal is an answer too
  }
  return performance.now() - started;
}

const found = readdirSync(folder).sort().map((name) => {
  const data = new Uint8Array(readFileSync(join(folder, name)));
  const times = Array.from({ length: Number(rounds) }, () => milliseconds(data));
  return Math.min(...times) / (data.length / 1000);
});
console.log(JSON.stringify(found));
