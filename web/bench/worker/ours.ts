/** Roomkey's engine in its worker: Python started as the roomkey worker starts it, driven by engine.py instead of the bridge. */
import type { PyProxy } from "pyodide/ffi";
import type { Manifest } from "../../src/protocol.js";
import { boot } from "../../src/worker/boot.js";
import { CryptoHost, supportedAlgorithms } from "../../src/worker/crypto.js";
import {
  type Engine,
  EXPORT_BYTES,
  EXPORT_LABEL,
  EXPORTS,
  type KeyChecks,
  KEYS,
  measureGroup,
  measureKeyChecks,
  measureKeyPackages,
  measureProofs,
  type Proofs,
  PACKAGES,
  type Times,
  type What,
} from "../scenario.js";

/** A group of engine.py: its coroutines come as promises. */
interface PythonGroup extends PyProxy {
  add(): Promise<void>;
  join(): Promise<void>;
  commit(): Promise<void>;
  process(): Promise<void>;
  exports(count: number, label: string, length: number): void;
  remove(): Promise<void>;
  agreed(label: string, length: number): boolean;
}

interface PythonBench extends PyProxy {
  create(host: CryptoHost, algorithms: readonly string[], suite: number): PythonBench;
  prepare(members: number): Promise<PythonGroup>;
  make_key_packages(count: number): Promise<void>;
  readonly admission: PythonAdmission;
  readonly proving: PythonProving;
}

/** admission.py's: the checks that scenario.ts names. */
interface PythonAdmission extends PyProxy {
  prepare(count: number): Promise<void>;
  ed25519_together(): Promise<void>;
  ed25519_single(): Promise<void>;
  ed25519_known(): Promise<void>;
  x25519_keys(): Promise<void>;
  p256_keys(): Promise<void>;
}

/** proving.py's. */
interface PythonProving extends PyProxy {
  read(text: string): void;
  stranger(): Promise<void>;
  known(): Promise<void>;
}

/** What the page asks. */
export interface Order {
  readonly id: number;
  readonly what: What;
}

const STALL_MILLISECONDS = 30_000;
/** By its number, in the worker's address. */
const suite = Number(new URL(self.location.href).searchParams.get("suite") ?? 1);
const assets = new URL("/roomkey/", self.location.href).href;

async function start(): Promise<{ engine: Engine; checks: KeyChecks; proofs: () => Promise<Proofs> }> {
  const [manifest, source, admission, proving, algorithms] = await Promise.all([
    fetch(`${assets}assets-manifest.json`).then((answer) => answer.json() as Promise<Manifest>),
    fetch("/bench/engine.py").then((answer) => answer.text()),
    fetch("/bench/admission.py").then((answer) => answer.text()),
    fetch("/bench/proving.py").then((answer) => answer.text()),
    supportedAlgorithms(),
  ]);
  const python = await boot({ assets, manifest, stallTimeout: STALL_MILLISECONDS, onProgress: () => undefined });
  python.FS.writeFile("/lib/bench_engine.py", source);
  python.FS.writeFile("/lib/bench_admission.py", admission);
  python.FS.writeFile("/lib/bench_proving.py", proving);
  python.runPython("sys.path.insert(0, '/lib')");
  const bench = (python.pyimport("bench_engine") as PythonBench).create(new CryptoHost(), algorithms, suite);
  let last: PythonGroup | undefined;
  const engine: Engine = {
    prepare: async (members) => {
      last?.destroy();
      const group = await bench.prepare(members);
      last = group;
      return {
        add: () => group.add(),
        join: () => group.join(),
        commit: () => group.commit(),
        process: () => group.process(),
        exports: async () => group.exports(EXPORTS, EXPORT_LABEL, EXPORT_BYTES),
        remove: () => group.remove(),
        agreed: async () => group.agreed(EXPORT_LABEL, EXPORT_BYTES),
      };
    },
    makeKeyPackages: () => bench.make_key_packages(PACKAGES),
  };
  const admitting = bench.admission;
  const checks: KeyChecks = {
    prepare: () => admitting.prepare(KEYS),
    "ed25519_together": () => admitting.ed25519_together(),
    "ed25519_single": () => admitting.ed25519_single(),
    "ed25519_known": () => admitting.ed25519_known(),
    "x25519_keys": () => admitting.x25519_keys(),
    "p256_keys": () => admitting.p256_keys(),
  };
  const proved = bench.proving;
  const proofs = async (): Promise<Proofs> => {
    proved.read(await (await fetch("/bench/answer.json")).text());
    return { stranger: () => proved.stranger(), known: () => proved.known() };
  };
  return { engine, checks, proofs };
}

const started = start();

async function measure(what: What): Promise<Times> {
  const { engine, checks, proofs } = await started;
  if (what === "proving") return measureProofs(await proofs());
  if (what === "admission") return measureKeyChecks(checks);
  return what === null ? measureKeyPackages(engine) : measureGroup(engine, what);
}

self.onmessage = async ({ data }: MessageEvent<Order>) => {
  try {
    self.postMessage({ id: data.id, times: await measure(data.what) });
  } catch (error) {
    self.postMessage({ id: data.id, error: error instanceof Error ? error.message : String(error) });
  }
};
