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
export const KEYS = 100;
export const EXPORT_LABEL = "bench";
export const EXPORT_BYTES = 32;

/** In the order in which they are run. build_scripts/bench_report.py has the same list. */
const STEPS = ["add", "join", "commit", "process", "exports", "remove"] as const;

/** What a round measures: a group of so many members, null for key packages, the admission of public keys,
 *  or the proof of a log's answer. */
export type What = number | null | "admission" | "proving";

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

/** A log's answer about one identity, proved. */
export interface Proofs {
  /** About somebody new, by a log of which nothing is known. */
  stranger(): Promise<void>;
  /** About somebody whose place in the log's map was proved before. */
  known(): Promise<void>;
}

/** In the order in which they are run. build_scripts/bench_proving.py has the same list. */
const PROOFS = ["stranger", "known"] as const;

/** Proves once in each way. */
export async function measureProofs(proofs: Proofs): Promise<Times> {
  const times: Times = {};
  for (const step of PROOFS) times[step] = await milliseconds(() => proofs[step]());
  return times;
}

/** Whether public keys may be used: KEYS of them in each step. A library that has no such step leaves it out. */
export interface KeyChecks {
  /** Fresh keys, for one round. */
  prepare(): Promise<void>;
  /** Prime order of new Ed25519 keys, asked for at once, as at a stranger's Welcome. */
  ed25519_together?(): Promise<void>;
  /** The same of others, one after another. */
  ed25519_single?(): Promise<void>;
  /** The first again. */
  ed25519_known?(): Promise<void>;
  /** That X25519 keys are not of low order. */
  x25519_keys?(): Promise<void>;
  /** That P-256 keys are on the curve. */
  p256_keys?(): Promise<void>;
}

/** In the order in which they are run. build_scripts/bench_admission.py has the same list. */
const CHECKS = ["ed25519_together", "ed25519_single", "ed25519_known", "x25519_keys", "p256_keys"] as const;

/** Runs all checks once. */
export async function measureKeyChecks(checks: KeyChecks): Promise<Times> {
  await checks.prepare();
  const times: Times = {};
  for (const name of CHECKS) {
    const check = checks[name];
    if (check !== undefined) times[name] = await milliseconds(check);
  }
  return times;
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
