/** What is measured: one group's first life, step by step, the same for every engine; bytes in and out, as a client would have them. */

/** One group at the size of the round; each step follows the one before. The creator is member 0. */
export interface Steps {
  /** The creator makes a group and adds all others, whose encoded key packages it holds, in one commit without a path. */
  add(): Promise<void>;
  /** Member 1 joins by the encoded Welcome. */
  join(): Promise<void>;
  /** The creator makes the first commit with a path: fresh keys, sealed to everybody. */
  commit(): Promise<void>;
  /** Member 1 processes that commit. */
  process(): Promise<void>;
  /** The creator exports EXPORTS secrets of 32 bytes. */
  exports(): Promise<void>;
  /** The creator removes the last member, again with a path. */
  remove(): Promise<void>;
}

/** One of the libraries under comparison. */
export interface Engine {
  /** Clients with one key package each, then the steps; `agreed` says whether creator and member 1 export the same secret. */
  prepare(members: number): Promise<Steps & { agreed(): Promise<boolean> }>;
  /** One client makes PACKAGES key packages. */
  makeKeyPackages(): Promise<void>;
}

export const EXPORTS = 1000;
export const PACKAGES = 100;
export const EXPORT_LABEL = "bench";
export const EXPORT_BYTES = 32;

/** In the order in which they are run. build_scripts/bench_report.py has the same list. */
const STEPS = ["add", "join", "commit", "process", "exports", "remove"] as const;

/** Milliseconds by step. */
export type Times = Record<string, number>;

/** Runs all steps once. Throws if the two members do not agree: then nothing that was measured means anything. */
export async function measureGroup(engine: Engine, members: number): Promise<Times> {
  const group = await engine.prepare(members);
  const times: Times = {};
  for (const step of STEPS) {
    times[step] = await milliseconds(() => group[step]());
    if (step === "process" && !(await group.agreed())) throw new Error("expected the members to export the same secret");
  }
  return times;
}

/** Makes key packages once. */
export async function measureKeyPackages(engine: Engine): Promise<Times> {
  return { "key packages": await milliseconds(() => engine.makeKeyPackages()) };
}

async function milliseconds(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** The identity of a member, the same for every engine. */
export const nameOf = (member: number): string => `member-${member}`;

export function same(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === EXPORT_BYTES && left.length === right.length && left.every((byte, index) => byte === right[index]);
}
