/**
 * One RTP stream of somebody else: packets in as they come, frames out in order. A value machine: times are arguments, in milliseconds.
 *
 *     state      on                                                    does
 *     seeking    a whole frame that can be decoded by itself           gives it; to following
 *     following  the next frame is whole                               gives it
 *     following  a packet is missing for WAIT, or too many are held    to seeking; of video, a key frame is needed
 *
 * A packet is missing when one after it has come: a frame that comes slowly, as on a thin way, is waited for.
 * Packets have been authenticated, and none comes twice; who sends them is a member, who may still send anything.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { Refused } from "./refused.js";
import type { RtpPacket } from "./rtp_packet.js";
import type { Fragment, PayloadFormat } from "./rtp_payload.js";

/** Milliseconds that a missing packet is waited for: reordering on the way is a few; longer is seen and heard as a stop. */
export const WAIT = 100;
/** Packets held of one stream: a key frame of a megabyte, whose packets come at once. */
export const MAX_HELD = 1_024;
const SEQUENCES = 2 ** 16;
const TIMESTAMPS = 2 ** 32;

/** A frame for the decoder. */
export interface ReceivedFrame {
  readonly data: Bytes;
  readonly keyFrame: boolean;
  /** Ticks of the codec's clock since some time in the past; never wraps. */
  readonly ticks: number;
}

interface Held {
  readonly fragment: Fragment;
  readonly ticks: number;
  readonly at: number;
}

const NOTHING = { end: 0, whole: "broken" } as const;

export class RtpIncoming {
  readonly #format: PayloadFormat;
  /** By sequence number, unwrapped. */
  readonly #held = new Map<number, Held>();
  /** The sequence number that comes next, while following. */
  #next: number | undefined;
  /** All below are done with. */
  #floor = 0;
  #highest: number | undefined;
  #ticks: number | undefined;
  #lost = false;

  constructor(format: PayloadFormat) {
    this.#format = format;
  }

  /** Whether the stream stands still until its sender makes a key frame. */
  get needsKeyFrame(): boolean {
    return this.#format.dependent && this.#lost;
  }

  /** Packets held. */
  get size(): number {
    return this.#held.size;
  }

  /** Takes in a packet; one that is late is dropped. Throws `Refused` "malformed". */
  push(packet: RtpPacket, now: number): void {
    if (packet.payloadType !== this.#format.payloadType) {
      throw new Refused("malformed", `rtp: expected payload type ${this.#format.payloadType}, got ${packet.payloadType}`);
    }
    const fragment = this.#format.read(packet.payload, packet.marker);
    const sequence = unwrapped(packet.sequence, this.#highest, SEQUENCES);
    const ticks = unwrapped(packet.timestamp, this.#ticks, TIMESTAMPS);
    if (sequence < this.#floor) return;
    this.#highest = Math.max(this.#highest ?? 0, sequence);
    this.#ticks = Math.max(this.#ticks ?? 0, ticks);
    this.#held.set(sequence, { fragment, ticks, at: now });
  }

  /** When there is something to do though no packet comes. */
  due(): number | undefined {
    const stuck = this.#stuck().map(({ at }) => at);
    return stuck.length === 0 ? undefined : Math.min(...stuck) + WAIT;
  }

  /** The frames that are ready. */
  take(now: number): ReceivedFrame[] {
    const frames: ReceivedFrame[] = [];
    for (;;) {
      const from = this.#next ?? this.#seek(now);
      const { end, whole } = from === undefined ? NOTHING : this.#end(from);
      if (from !== undefined && whole === "whole") {
        frames.push(this.#frame(from, end));
        this.#next = end;
        this.#lost = false;
        this.#forget(end);
      } else if (this.#next !== undefined && this.#isLost(now)) {
        this.#next = undefined;
        this.#lost = true;
      } else {
        return frames;
      }
    }
  }

  /** Where a whole frame begins that needs no other; what is before it and waited long enough is dropped. */
  #seek(now: number): number | undefined {
    for (;;) {
      const sequences = this.#sequences();
      const start = sequences.find((sequence) => this.#begins(sequence) && this.#end(sequence).whole === "whole");
      if (start !== undefined) return start;
      const [first] = sequences;
      if (first === undefined || !this.#isLost(now)) return undefined;
      this.#forget(first + 1);
      this.#lost = true;
    }
  }

  /** Whether a frame begins there that needs no other. */
  #begins(sequence: number): boolean {
    const { fragment } = this.#held.get(sequence)!;
    return fragment.first && (fragment.keyFrame || !this.#format.dependent);
  }

  /** One past what there is of the frame that begins at `from`. */
  #end(from: number): { readonly end: number; readonly whole: "whole" | "begun" | "broken" } {
    for (let sequence = from; ; sequence += 1) {
      const held = this.#held.get(sequence);
      if (held === undefined) return { end: sequence, whole: "begun" };
      if (held.fragment.first !== (sequence === from) || held.ticks !== this.#held.get(from)!.ticks) return { end: sequence, whole: "broken" };
      if (held.fragment.last) return { end: sequence + 1, whole: "whole" };
    }
  }

  /** Packets that nothing can become of as long as nothing comes before them; those of a frame that just comes are not among them. */
  #stuck(): Held[] {
    const sequences = this.#next === undefined ? this.#sequences() : [...this.#held.keys()];
    const from = this.#next ?? sequences.find((sequence) => this.#begins(sequence));
    const { end, whole } = from === undefined ? NOTHING : this.#end(from);
    const coming = (sequence: number): boolean => from !== undefined && whole === "begun" && sequence >= from && sequence < end;
    return sequences.filter((sequence) => !coming(sequence)).map((sequence) => this.#held.get(sequence)!);
  }

  /** Whether something waited for long enough. */
  #isLost(now: number): boolean {
    return this.#held.size > MAX_HELD || this.#stuck().some(({ at }) => now >= at + WAIT);
  }

  #sequences(): number[] {
    return [...this.#held.keys()].sort((left, right) => left - right);
  }

  #frame(from: number, end: number): ReceivedFrame {
    const { fragment, ticks } = this.#held.get(from)!;
    const parts = Array.from({ length: end - from }, (_, place) => this.#held.get(from + place)!.fragment.data);
    return { data: concat(...parts), keyFrame: fragment.keyFrame, ticks };
  }

  #forget(below: number): void {
    this.#floor = Math.max(this.#floor, below);
    for (const sequence of this.#held.keys()) if (sequence < below) this.#held.delete(sequence);
  }
}

/** The number nearest to `near` that is `value` modulo `modulus`; the first ones begin a turn up, so that none is negative. */
export function unwrapped(value: number, near: number | undefined, modulus: number): number {
  if (near === undefined) return modulus + value;
  return near + ((((value - near) % modulus) + modulus + modulus / 2) % modulus) - modulus / 2;
}
