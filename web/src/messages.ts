/** The stored messages of a conference as an endless, replayable list. */
import type { Message } from "./values.js";

/**
 * Yields what `fetch` gives after number `after`, then waits for `stored` to tell of more and asks again, until `ended`. Each reader
 * asks for itself, so all get all. Rejects with the signal's reason.
 *
 * @param stored - dispatches "stored" when there is another message, our own included
 */
export async function* readMessages(
  stored: EventTarget,
  fetch: (after: number) => Promise<Message[]>,
  ended: AbortSignal,
  after: number,
  signal?: AbortSignal,
): AsyncGenerator<Message, void, void> {
  const bell = new Bell();
  const listening = new AbortController();
  const ring = (): void => bell.ring();
  stored.addEventListener("stored", ring, listening);
  ended.addEventListener("abort", ring, listening);
  signal?.addEventListener("abort", ring, listening);
  try {
    for (let last = after; ; ) {
      signal?.throwIfAborted();
      const over = ended.aborted; // asked before fetching: what came before the end is still read
      const batch = await fetch(last);
      for (const message of batch) {
        yield message;
        last = message.seq;
      }
      if (batch.length > 0) continue;
      if (over) return;
      await bell.heard();
    }
  } finally {
    listening.abort();
  }
}

/** Remembers one ring, so that none between asking and waiting is missed. */
class Bell {
  #rung = false;
  #wake: () => void = () => undefined;

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  async heard(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#rung = false;
  }
}
