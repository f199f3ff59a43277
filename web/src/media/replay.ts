/**
 * Which places of a stream came already (RFC 3711 section 3.3.2): a sliding window of bits below the highest one.
 *
 * Ask before the packet is authenticated, mark after it: a forged packet must not move the window.
 */
import { Refused } from "./refused.js";

/** In packets; RFC 3711 asks for 64 at least. 1024 are a second of video at 10 Mbit/s, so reordering never costs a good packet. */
export const WINDOW_SIZE = 1024;
const WORD = 32;

/** The window of one stream. Indices are whole numbers below 2^53. */
export class ReplayWindow {
  /** The highest index marked, -1 before the first. */
  #highest = -1;
  readonly #size: number;
  /** Bit `index % size` is set where `index` came. */
  readonly #seen: Uint32Array;

  constructor(size = WINDOW_SIZE) {
    if (size < 64 || size % WORD !== 0) throw new RangeError(`expected a window of 64 or more in whole words, got ${size}`);
    this.#size = size;
    this.#seen = new Uint32Array(size / WORD);
  }

  /** The highest index marked, -1 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Throws `Refused` where `index` came already ("replayed") or lies below the window ("too-old"). */
  check(index: number): void {
    if (index > this.#highest) return;
    if (index <= this.#highest - this.#size) throw new Refused("too-old", "expected a place within the replay window");
    if (this.#bit(index)) throw new Refused("replayed", "expected a place that has not come before");
  }

  /** Marks the index of a packet that is authentic, and moves the window up to it. Throws as `check` does. */
  mark(index: number): void {
    this.check(index);
    if (index - this.#highest >= this.#size) this.#seen.fill(0);
    else for (let passed = this.#highest + 1; passed <= index; passed += 1) this.#clear(passed);
    this.#highest = Math.max(this.#highest, index);
    const place = index % this.#size;
    this.#seen[Math.floor(place / WORD)]! |= 1 << (place % WORD);
  }

  #bit(index: number): boolean {
    const place = index % this.#size;
    return ((this.#seen[Math.floor(place / WORD)]! >>> (place % WORD)) & 1) === 1;
  }

  #clear(index: number): void {
    const place = index % this.#size;
    this.#seen[Math.floor(place / WORD)]! &= ~(1 << (place % WORD));
  }
}
