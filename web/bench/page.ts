/** The page that build_scripts/bench.py drives: `measure(engine, members)` runs one round and gives its milliseconds by step. */
import { createCoreCrypto } from "./core_crypto.js";
import { inWorker } from "./in_worker.js";
import { type Engine, measureGroup, measureKeyPackages, type Times } from "./scenario.js";
import { createTsMls } from "./ts_mls.js";

type Measure = (members: number | null) => Promise<Times>;

const here = (create: () => Promise<Engine>): Measure => {
  let engine: Promise<Engine> | undefined;
  return async (members) => {
    engine ??= create();
    return members === null ? measureKeyPackages(await engine) : measureGroup(await engine, members);
  };
};

const engines: Record<string, Measure> = {
  "roomkey": inWorker("/bench/worker.js"),
  "post-quantum": inWorker(`/bench/worker.js?suite=${0xf0c1}`),
  "ts-mls": here(createTsMls),
  "core-crypto": here(createCoreCrypto),
};

/** Milliseconds by step of one round; null members: of making key packages. */
function measure(name: string, members: number | null): Promise<Times> {
  const engine = engines[name];
  if (engine === undefined) throw new Error(`expected an engine, got ${name}`);
  return engine(members);
}

Object.assign(globalThis, { measure });
