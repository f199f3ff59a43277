/**
 * What each client may have us do: connections that we make for it, and signals that we answer it with. A member may say eight things a
 * second, each of which is answered by several; who says only that would have us silent for all others, for we may say no more either.
 * A value machine: times are arguments, in milliseconds of any clock that only goes forward.
 */

/** Connections and signals at once: five tries to reach somebody take some 25. */
export const BURST = 32;
/** And for each second after that: an eighth of what we may say. */
export const PER_SECOND = 1;

export class Shares {
  /** By client. */
  readonly #taken = new Map<string, { amount: number; since: number }>();

  /** Whether there is some left for the client. */
  has(client: string, now: number): boolean {
    return this.#of(client, now) < BURST;
  }

  take(client: string, now: number): void {
    this.#taken.set(client, { amount: this.#of(client, now) + 1, since: now });
  }

  /** The client is gone from the conference. */
  forget(client: string): void {
    this.#taken.delete(client);
  }

  #of(client: string, now: number): number {
    const { amount, since } = this.#taken.get(client) ?? { amount: 0, since: now };
    return Math.max(0, amount - ((now - since) * PER_SECOND) / 1_000);
  }
}
