/**
 * One stream of somebody else: its frames in order, held for as long as their keys may still come, and how it is doing. A value
 * machine: times are arguments, in milliseconds.
 *
 *     state      on                                                                              to
 *     any        a good frame                                                                    "protected"
 *     any        frames of unknown keys for BAD_AFTER, and nothing good                          "no-key"
 *     any        other frames that were refused for BAD_AFTER, and nothing good                  "refused"
 *
 * A stream is one member's, under one context: another one takes its place only after nothing good came for BAD_AFTER.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { type Codec, metadata, uncover } from "./clear_bytes.js";
import type { ConferenceKeys, MemberFrame, Occupant } from "./conference_keys.js";
import { type Reason, Refused } from "./refused.js";
import { sameBytes } from "./same_bytes.js";

/** Milliseconds that a frame waits for the keys of its epoch. */
export const HOLD = 1_000;
/** Milliseconds without a good frame after which a stream is said to be in trouble: a lost packet or two is none. */
export const BAD_AFTER = 1_000;
/** Frames held of one stream: a second of what a browser sends, several times over. */
const MAX_HELD = 300;

/** A frame as it came. `codec` undefined: one that nobody can have covered. */
export interface Arrival<F> {
  readonly frame: F;
  readonly codec: Codec | undefined;
  readonly data: Bytes;
}

/** What became of a frame: its data, or why not. */
export type Outcome<F> =
  | { readonly frame: F; readonly data: Bytes }
  | { readonly frame: F; readonly refused: Reason; /** Whether its keys may still come. */ readonly mayCome: boolean };

/** How the stream is doing, and since when. */
export interface StreamCondition<M> {
  readonly state: "waiting" | "protected" | "no-key" | "refused";
  readonly reason: Reason | undefined;
  /** Whose frames came last. */
  readonly member: M | undefined;
  readonly since: number;
}

export class Incoming<F, M extends Occupant> {
  readonly #keys: ConferenceKeys<M>;
  readonly #from: Uint8Array | undefined;
  #held: { readonly arrival: Arrival<F>; readonly at: number }[] = [];
  #condition: StreamCondition<M>;
  #lastGood: number | undefined;
  #context: bigint | undefined;
  #badSince: number | undefined;

  /** @param from - the only client whose frames are let through, where it is known */
  constructor(keys: ConferenceKeys<M>, from: Uint8Array | undefined, now: number) {
    this.#keys = keys;
    this.#from = from;
    this.#condition = { state: "waiting", reason: undefined, member: undefined, since: now };
  }

  get condition(): StreamCondition<M> {
    return this.#condition;
  }

  push(arrival: Arrival<F>, now: number): void {
    this.#held.push({ arrival, at: now });
  }

  /** When held frames must be looked at again, keys or not. */
  due(): number | undefined {
    const [first] = this.#held;
    return first === undefined ? undefined : first.at + HOLD;
  }

  /** What became of the frames that came, in order, up to one whose keys may still come. One call at a time. */
  async settle(now: number): Promise<Outcome<F>[]> {
    const outcomes: Outcome<F>[] = [];
    for (let first = this.#held[0]; first !== undefined; first = this.#held[0]) {
      const patient = now < first.at + HOLD && this.#held.length <= MAX_HELD;
      const outcome = await this.#open(first.arrival, now);
      if (patient && "refused" in outcome && outcome.mayCome) break;
      this.#held.shift();
      if ("refused" in outcome) this.#bad(outcome.refused, first.at, now);
      outcomes.push(outcome);
    }
    return outcomes;
  }

  async #open({ frame, codec, data }: Arrival<F>, now: number): Promise<Outcome<F>> {
    let sealed: Bytes | undefined;
    try {
      if (codec === undefined) throw new Refused("unknown-codec", "expected a codec that we know");
      sealed = uncover(codec, data);
      const opened = await this.#keys.open(sealed, metadata(codec), now, this.#from);
      if (!this.#isOurs(opened, now)) throw new Refused("unknown-stream", "expected frames of the stream that is shown here");
      this.#good(opened, now);
      return { frame, data: opened.frame };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const mayCome = error.reason === "unknown-key" && sealed !== undefined && this.#keys.mayCome(sealed);
      return { frame, refused: error.reason, mayCome };
    }
  }

  /** A relay that swaps streams is refused: who is shown must be silent for a while before another stream takes the place. */
  #isOurs({ member, context }: MemberFrame<M>, now: number): boolean {
    const { member: shown } = this.#condition;
    if (shown === undefined || this.#lastGood === undefined || now >= this.#lastGood + BAD_AFTER) return true;
    return sameBytes(shown.clientId, member.clientId) && context === this.#context;
  }

  #good({ member, context }: MemberFrame<M>, now: number): void {
    this.#context = context;
    this.#lastGood = now;
    this.#badSince = undefined;
    const { state, member: before } = this.#condition;
    if (state === "protected" && before !== undefined && sameBytes(before.clientId, member.clientId)) return;
    this.#condition = { state: "protected", reason: undefined, member, since: now };
  }

  #bad(reason: Reason, came: number, now: number): void {
    this.#badSince ??= came;
    if (now < Math.max(this.#badSince, this.#lastGood ?? -Infinity) + BAD_AFTER) return;
    const state = reason === "unknown-key" ? "no-key" : "refused";
    if (this.#condition.state === state && this.#condition.reason === reason) return;
    this.#condition = { state, reason, member: this.#condition.member, since: this.#badSince };
  }
}
