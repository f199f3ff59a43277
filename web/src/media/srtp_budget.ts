/**
 * Whether the next picture may be encoded: what was sent is paid for by time, at the rate that the stream may have. Encoders are asked for
 * that rate and give more where there is much to see. A value machine: times are arguments, in milliseconds.
 */

/** Milliseconds by which a stream may be ahead of its rate: a key frame is as much as many others, and more delay is felt in talking. */
export const AHEAD = 500;

export class Budget {
  #bitrate: number;
  /** Bits that are not paid for yet. */
  #owed = 0;
  #at = -Infinity;

  /** @param bitrate - bits a second */
  constructor(bitrate: number) {
    this.#bitrate = bitrate;
  }

  setBitrate(bitrate: number, now: number): void {
    this.#pay(now);
    this.#bitrate = bitrate;
  }

  spend(bytes: number, now: number): void {
    this.#pay(now);
    this.#owed += 8 * bytes;
  }

  /** Whether there is some left. */
  free(now: number): boolean {
    this.#pay(now);
    return this.#owed * 1_000 <= this.#bitrate * AHEAD;
  }

  #pay(now: number): void {
    this.#owed = Math.max(0, this.#owed - (this.#bitrate * (now - this.#at)) / 1_000);
    this.#at = now;
  }
}
