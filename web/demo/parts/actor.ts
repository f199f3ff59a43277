// One person's page as the stage sees it: what it reports, and how it is asked to press its own buttons.

import { firstName } from "./dom.js";
import type { Outcome } from "./malice.js";
import type { DemoConfig, FrameWish, FromPerson, PacketAsk, PacketView, PersonState, PlainError, SeenFrame, Step, ToPerson } from "./story.js";

const LOADING: PersonState = { phase: "loading", call: null, sees: [] };
const CLOSED: PersonState = { phase: "closed", call: null, sees: [] };
const ANSWER_MS = 90_000; // a cold start of three pages on a slow machine, with room; then the person may try again

/** A step that failed, as the person shall read it. */
export class Failed extends Error {
  readonly plain: PlainError;
  constructor(plain: PlainError) {
    super(plain.code);
    this.plain = plain;
  }
}

export class Actor {
  readonly name: string;
  readonly identity: string;
  readonly origin: string;
  state: PersonState = LOADING;
  readonly #frame: HTMLIFrameElement;
  readonly #pending = new Map<number, (outcome: Outcome) => void>();
  readonly #frames = new Map<number, (answer: { error: PlainError | null; frame: SeenFrame | null }) => void>();
  readonly #packets = new Map<number, (answer: { error: PlainError | null; answer: PacketView | string | null }) => void>();
  readonly #watchers = new Set<() => void>();
  #lastId = 0;

  constructor(person: DemoConfig["people"][number], frame: HTMLIFrameElement) {
    this.name = person.name;
    this.identity = person.identity;
    this.origin = person.origin;
    this.#frame = frame;
  }

  load(code: string | null): void {
    this.state = LOADING;
    // Not by `src`: that would keep the code in this document.
    this.#frame.contentWindow?.location.replace(`${this.origin}/${code === null ? "" : `#${code}`}`);
  }

  /** Closes the page, as one closes a tab: the person is offline until it is loaded again. */
  close(): void {
    this.state = CLOSED;
    this.#frame.contentWindow?.location.replace("about:blank");
  }

  get window(): Window | null {
    return this.#frame.contentWindow;
  }

  hear(message: FromPerson): void {
    if (this.state === CLOSED) return; // said before it was closed
    if (message.event === "state") {
      this.state = message.state;
      for (const watcher of [...this.#watchers]) watcher();
    } else if (message.event === "height") {
      this.#frame.style.height = `${Math.ceil(message.height)}px`;
    } else if (message.event === "done") {
      this.#pending.get(message.id)?.({ error: message.error, proved: message.proved });
      this.#pending.delete(message.id);
    } else if (message.event === "frame") {
      this.#frames.get(message.id)?.(message);
      this.#frames.delete(message.id);
    } else if (message.event === "packets") {
      this.#packets.get(message.id)?.(message);
      this.#packets.delete(message.id);
    }
  }

  /** Waits until the page's state fits; a page that failed to load rejects. */
  until(what: string, fits: (state: PersonState) => boolean): Promise<void> {
    return limited(`${firstName(this.identity)}: ${what}`, new Promise((resolve, reject) => {
      const look = (): void => {
        if (fits(this.state)) resolve();
        else if (this.state.phase === "failed") reject(new Failed(notStarted(this.identity)));
        else return;
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
      look();
    }));
  }

  /** Has the page press its own button for this step, and waits for its outcome. */
  async act(step: Step): Promise<void> {
    const { error } = await this.ask(step);
    if (error !== null) throw new Failed(error);
  }

  /** The same where a failure is an answer. */
  async ask(step: Step): Promise<Outcome> {
    if (this.state === CLOSED) throw new Failed(closed(this.identity));
    await this.until("loading", (state) => state.phase !== "loading");
    const id = ++this.#lastId;
    const answer = new Promise<Outcome>((resolve) => this.#pending.set(id, resolve));
    this.#post({ roomkey: "story", do: step, id });
    return limited(`${firstName(this.identity)}: ${step}`, answer);
  }

  /** The next frame that goes to somebody or comes from them, on both sides of its seal. */
  async frame(wish: FrameWish): Promise<SeenFrame> {
    const id = ++this.#lastId;
    const answer = new Promise<{ error: PlainError | null; frame: SeenFrame | null }>((resolve) => this.#frames.set(id, resolve));
    this.#post({ roomkey: "story", do: "frame", id, ...wish });
    const { error, frame } = await limited(`${firstName(this.identity)}: a frame`, answer);
    if (error !== null || frame === null) throw new Failed(error ?? closed(this.identity));
    return frame;
  }

  /** Asks the page's end of a relay; null: it has none any more, as after a reload or without a picture. */
  async packets(ask: PacketAsk): Promise<PacketView | string | null> {
    if (this.state === CLOSED) throw new Failed(closed(this.identity));
    const id = ++this.#lastId;
    const coming = new Promise<{ error: PlainError | null; answer: PacketView | string | null }>((resolve) => this.#packets.set(id, resolve));
    this.#post({ roomkey: "story", do: "packets", id, ...ask });
    const { error, answer } = await limited(`${firstName(this.identity)}: packets`, coming);
    if (error !== null) throw new Failed(error);
    return answer;
  }

  #post(message: ToPerson): void {
    this.window?.postMessage(message, this.origin);
  }
}

/** The outcome of `work`, or a failure when it takes too long. */
function limited<T>(what: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = { code: "timeout", sentence: `This takes too long (${what}).`, retryable: true };
    const timer = setTimeout(() => reject(new Failed(late)), ANSWER_MS);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function closed(identity: string): PlainError {
  return { code: "page-closed", sentence: `${firstName(identity)}’s page is closed; open it first.`, retryable: true };
}

function notStarted(identity: string): PlainError {
  return { code: "page-failed", sentence: `${firstName(identity)}’s page could not start; its own box says why.`, retryable: true };
}
