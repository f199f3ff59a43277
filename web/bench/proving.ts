/** The page of the proof of a log's answer, in our worker. */
import { inWorker } from "./in_worker.js";
import type { Times } from "./scenario.js";

const ours = inWorker("/bench/worker.js");

/** Milliseconds by step of one round. */
const measure = (): Promise<Times> => ours("proving");

Object.assign(globalThis, { measure });
