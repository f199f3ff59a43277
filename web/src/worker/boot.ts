/**
 * Pyodide from the asset folder, every data file compared with its hash before it is used.
 *
 * Pyodide asks for its files by `fetch`; while it boots, it gets the checked ones. A Content Security Policy that blocks something
 * would leave `loadPyodide` waiting for ever: the violation event ends the wait.
 */
import type { PyodideInterface } from "pyodide";
import { fetchAsset } from "../assets.js";
import { Failure } from "../failure.js";
import type { Manifest } from "../protocol.js";

const WASM = "pyodide.asm.wasm";
const STDLIB = "python_stdlib.zip";
const LOCK = "pyodide-lock.json";
const ROOMKEY = "roomkey.zip";
const TYPES: Readonly<Record<string, string>> = { [WASM]: "application/wasm" }; // instantiateStreaming insists

/** A violation report may come a task or two after what it reports. */
const REPORT_MILLISECONDS = 100;

/** Where the files are, and how to watch over them. */
export interface BootOptions {
  readonly assets: string;
  readonly manifest: Manifest;
  readonly stallTimeout: number;
  readonly onProgress: (asset: string, bytes: number) => void;
}

/** Boots Python with the package roomkey importable. Rejects with a `Failure` that names the asset or what blocked it. */
export async function boot(options: BootOptions): Promise<PyodideInterface> {
  hideImportScripts();
  const violation = firstViolation();
  const files = new Map([WASM, STDLIB, LOCK, ROOMKEY].map((name) => [name, checked(name, options)])); // all at once
  const restore = serve(options, files);
  try {
    return await Promise.race([violation.happened, start(options, files)]);
  } catch (error) {
    throw (await violation.reported()) ?? error;
  } finally {
    restore();
    violation.stop();
  }
}

async function start({ assets, onProgress }: BootOptions, files: Map<string, Promise<Uint8Array<ArrayBuffer>>>) {
  let started = false;
  const downloads = Promise.all(files.values());
  const scripts = Promise.all([import(`${assets}pyodide.mjs`), import(`${assets}pyodide.asm.mjs`)]).catch((error: unknown) => {
    throw new Failure("asset-not-found", "expected pyodide.mjs and pyodide.asm.mjs as modules", { asset: "pyodide.mjs" }, error);
  });
  const starting = scripts.then(([{ loadPyodide }]): Promise<PyodideInterface> => {
    started = true;
    return loadPyodide({
      indexURL: assets,
      stdLibURL: assets + STDLIB,
      lockFileURL: assets + LOCK,
      packageBaseUrl: assets,
      checkAPIVersion: true,
    }); // waits for the downloads itself
  });
  starting.catch(() => undefined); // awaited below
  await downloads;
  onProgress(started ? "python" : "pyodide.mjs", 0); // what is waited for now
  const pyodide = await starting;
  onProgress("roomkey", 0);
  pyodide.FS.writeFile("/lib/roomkey.zip", await files.get(ROOMKEY));
  pyodide.runPython("import sys; sys.path.insert(0, '/lib/roomkey.zip')");
  return pyodide;
}

async function checked(name: string, { assets, manifest, stallTimeout, onProgress }: BootOptions): Promise<Uint8Array<ArrayBuffer>> {
  const entry = manifest.assets[name];
  if (entry === undefined) throw new Failure("asset-not-found", `expected ${name} in the manifest`, { asset: name });
  const watch = { stallTimeout, onBytes: (bytes: number) => onProgress(name, bytes) };
  return (await fetchAsset(assets, name, entry, watch)).bytes;
}

/** Answers fetches of the checked files; all others go on as they were. Returns the way back. */
function serve({ assets, manifest }: BootOptions, files: ReadonlyMap<string, Promise<Uint8Array<ArrayBuffer>>>): () => void {
  const original = self.fetch;
  self.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const name = url.startsWith(assets) ? url.slice(assets.length) : "";
    const file = files.get(name);
    if (file === undefined) return original.call(self, input, init);
    const bytes = await file;
    const cached = name === WASM ? await fromCache(original, url, manifest.assets[WASM]?.integrity ?? "") : undefined;
    if (cached !== undefined) return cached;
    return new Response(bytes, { headers: { "Content-Type": TYPES[name] ?? "application/octet-stream" } });
  };
  return () => {
    self.fetch = original;
  };
}

/**
 * The wasm file once more, out of the browser's cache: compiled code is kept for the next start only with an answer that came from there,
 * and saves a third of that start's work. Undefined where the cache has no such file, or another one: then the checked bytes do.
 */
async function fromCache(fetch: typeof self.fetch, url: string, integrity: string): Promise<Response | undefined> {
  try {
    const answer = await fetch.call(self, url, { cache: "only-if-cached", mode: "same-origin", integrity });
    return answer.ok && answer.headers.get("Content-Type") === TYPES[WASM] ? answer : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Pyodide asks whether this is a classic worker by calling importScripts with a string: a Trusted Types violation in the console at
 * each start. A module worker cannot use that function anyway.
 */
function hideImportScripts(): void {
  Object.defineProperty(self, "importScripts", { value: undefined, configurable: true });
}

interface FirstViolation {
  /** Rejects when the worker's policy blocks something. */
  readonly happened: Promise<never>;
  /** The failure, if it comes within a moment: a blocked fetch is refused before it is reported. */
  reported(): Promise<Failure | undefined>;
  stop(): void;
}

function firstViolation(): FirstViolation {
  let listener: (event: SecurityPolicyViolationEvent) => void = () => undefined;
  let seen: Failure | undefined;
  const happened = new Promise<never>((_, reject) => {
    listener = ({ blockedURI, effectiveDirective }) => {
      const origin = URL.canParse(blockedURI) ? new URL(blockedURI).origin : blockedURI;
      const text = `expected the worker's ${effectiveDirective} to allow ${origin}`;
      seen ??= new Failure("blocked-by-csp", text, { origin, directive: effectiveDirective });
      reject(seen);
    };
    self.addEventListener("securitypolicyviolation", listener as EventListener);
  });
  happened.catch(() => undefined); // told through the race, if it is still on
  const reported = async (): Promise<Failure | undefined> => {
    if (seen === undefined) await new Promise((resolve) => setTimeout(resolve, REPORT_MILLISECONDS));
    return seen;
  };
  return { happened, reported, stop: () => self.removeEventListener("securitypolicyviolation", listener as EventListener) };
}
