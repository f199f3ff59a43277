/**
 * The tries of two clients at reaching each other. They outlive single connections, so that two who never do come to an end, whoever
 * of them begins anew.
 */

/** The milliseconds before each: a phone that changes networks is back in a few seconds. */
const TRIES_MS = [0, 2000, 5000, 10_000, 20_000];

export class Tries {
  #made = 0;
  /** Whether the other end of a way turned out to be somebody else: its DTLS certificate is not the one that the member named. */
  impostor = false;

  /** Whether none was needed since the two were connected. */
  get fresh(): boolean {
    return this.#made === 0;
  }

  /** How long to wait before the next; undefined when there have been enough. */
  next(): number | undefined {
    return TRIES_MS[this.#made++];
  }

  /** The two are connected, or the network has changed. */
  reset(): void {
    this.#made = 0;
    this.impostor = false;
  }
}
