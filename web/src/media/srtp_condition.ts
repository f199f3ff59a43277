/**
 * How a stream of somebody else's does. A value machine: times are arguments, in milliseconds.
 *
 *     state        when
 *     "protected"  something good came within BAD_AFTER
 *     "no-key"     nothing good did, and packets under keys that are not held
 *     "refused"    nothing good did, and packets that were refused for another reason
 *     "silent"     nothing came
 */
import type { SrtpState } from "../srtp_protocol.js";
import type { Reason } from "./refused.js";

/** Milliseconds without a good packet after which a stream is said to be in trouble: a lost packet or two is none. */
export const BAD_AFTER = 1_000;

export interface SrtpCondition {
  readonly state: SrtpState;
  readonly reason: Reason | undefined;
  /** While it is "protected", when that began; else when the last good packet came. */
  readonly since: number;
}

export class StreamCondition {
  #lastGood: number;
  #bad: { readonly reason: Reason; readonly at: number } | undefined;
  #condition: SrtpCondition;

  /** Of a stream whose first good packet has come. */
  constructor(now: number) {
    this.#lastGood = now;
    this.#condition = { state: "protected", reason: undefined, since: now };
  }

  good(now: number): void {
    this.#lastGood = now;
  }

  /** A packet that says to be of this stream, and was not taken. */
  bad(reason: Reason, now: number): void {
    this.#bad = { reason, at: now };
  }

  /** The condition, if it is another one than at the last look. */
  look(now: number): SrtpCondition | undefined {
    const { state, reason } = this.#now(now);
    if (state === this.#condition.state && reason === this.#condition.reason) return undefined;
    this.#condition = { state, reason, since: this.#lastGood };
    return this.#condition;
  }

  #now(now: number): Pick<SrtpCondition, "state" | "reason"> {
    if (now < this.#lastGood + BAD_AFTER) return { state: "protected", reason: undefined };
    if (this.#bad === undefined || now >= this.#bad.at + BAD_AFTER) return { state: "silent", reason: undefined };
    const { reason } = this.#bad;
    return { state: reason === "unknown-key" ? "no-key" : "refused", reason };
  }
}
