// Runs the stock Pyodide of web/node_modules in Node and has its own Python do two things, in an instance each:
// compile the modules that roomkey needs to .pyc files, and freeze a lock file with micropip.
//
//   node freeze.mjs REQUEST.json
//
// REQUEST: { pyodide, script, sources, names, wheels, wheel, output }; `sources` maps file names to paths, `names` are the
// library's modules that they import, `wheels` are micropip and what it needs, `wheel` is roomkey's. All paths are absolute.
// Writes `output`, JSON: { python, stdlib: { "name.pyc": base64 }, roomkey: { "roomkey/name.pyc": base64 }, lock: {...} }.

import { readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";

const request = JSON.parse(await readFile(process.argv[2], "utf8"));
const { loadPyodide } = await import(pathToFileURL(`${request.pyodide}/pyodide.mjs`).href);

async function start() {
  const python = await loadPyodide({ indexURL: `${request.pyodide}/`, checkAPIVersion: true });
  python.FS.writeFile("/tmp/frozen.py", await readFile(request.script));
  return python;
}

async function compile() {
  const python = await start();
  for (const [name, path] of Object.entries(request.sources)) {
    const target = `/sources/${name}`;
    python.FS.mkdirTree(target.slice(0, target.lastIndexOf("/")));
    python.FS.writeFile(target, await readFile(path));
  }
  python.runPython("import sys; sys.path.insert(0, '/tmp')");
  return JSON.parse(python.pyimport("frozen").compile_modules(JSON.stringify(request.names)));
}

async function freeze() {
  const python = await start();
  // loadPackage tells a failure to its callback only
  const failures = [];
  for (const wheel of request.wheels) {
    await python.loadPackage(pathToFileURL(wheel).href, {
      messageCallback: () => {},
      errorCallback: (text) => failures.push(text),
    });
  }
  if (failures.length > 0) {
    throw new Error(failures.join("\n"));
  }
  const name = basename(request.wheel);
  python.FS.writeFile(`/tmp/${name}`, await readFile(request.wheel));
  const micropip = python.pyimport("micropip");
  await micropip.install.callKwargs(`emfs:/tmp/${name}`, { deps: false });
  return JSON.parse(micropip.freeze());
}

try {
  const compiled = await compile();
  const lock = await freeze();
  await writeFile(request.output, JSON.stringify({ ...compiled, lock }));
} catch (error) {
  // Node would print the one line of a megabyte that threw; the message holds Python's traceback
  console.error(error.message);
  process.exit(1);
}
process.exit(0); // Pyodide's event loop would keep Node waiting
