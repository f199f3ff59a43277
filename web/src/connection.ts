/** Calls to the roomkey worker, their answers, and its events. */
import { RoomkeyError } from "./errors.js";
import type { MediaLink } from "./media_link.js";
import type { Answer, BridgeEvent, PlainError, Report, Request } from "./protocol.js";

/** Whoever has a handle, and hears its events. */
export interface Receiver {
  receive(type: string, detail: unknown): void;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  readonly stopWatching: () => void;
}

/** Events of a handle whose object is still on its way: an answer and an event may overtake each other. */
const MAX_EARLY_EVENTS = 1000;
/** How long `close` waits for the worker to write what it must before it is ended anyway. */
const CLOSE_MILLISECONDS = 10_000;

/** The page's end of the line to one running worker. */
export class Connection {
  readonly #worker: Worker;
  /** The line to the media worker, which ends with this one. */
  readonly media: MediaLink;
  readonly #pending = new Map<number, Pending>();
  readonly #receivers = new Map<number | undefined, Receiver>();
  #early: BridgeEvent[] = [];
  #ended: RoomkeyError | undefined;
  #nextId = 1;
  #onClosed: () => void = () => undefined;
  readonly #life = new AbortController();
  readonly #abandoned: FinalizationRegistry<number>;

  /** Runs once when the line has ended, with the error if nobody asked for it. */
  onEnd: (lost: RoomkeyError | undefined) => void = () => undefined;

  /**
   * @param worker - one that has reported "ready"
   * @param life - the Web Lock that it holds while it lives
   * @param media - the line to the media worker that has its keys from this one
   */
  constructor(worker: Worker, life: string, media: MediaLink) {
    this.#worker = worker;
    this.media = media;
    media.onLost = () => this.#lose("an error in the media worker");
    this.#abandoned = new FinalizationRegistry((handle) => this.release(handle));
    worker.addEventListener("message", (message: MessageEvent<Report>) => this.#hear(message.data));
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // told by the rejections
      this.#lose("an error that nothing caught");
    });
    worker.addEventListener("messageerror", () => this.#lose("a message that cannot be read"));
    // A worker that dies says nothing, but its lock becomes free.
    navigator.locks
      .request(life, { signal: this.#life.signal }, () => this.#lose("its end"))
      .catch((error: unknown) => {
        if (!this.#life.signal.aborted) this.#lose(error instanceof Error ? error.name : "a failed lock");
      });
  }

  /** Calls a method of the bridge. Rejects with a `RoomkeyError`, or the signal's reason. */
  call<T>(method: string, args: object = {}, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      signal?.throwIfAborted();
      if (this.#ended !== undefined) throw this.#ended;
      const id = this.#nextId++;
      const cancel = (): void => {
        this.#settle(id)?.reject(signal?.reason);
        this.#post({ kind: "cancel", id });
      };
      const stopWatching = (): void => signal?.removeEventListener("abort", cancel);
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject, stopWatching });
      signal?.addEventListener("abort", cancel, { once: true });
      this.#post({ kind: "call", id, method, args });
    });
  }

  /** Has `receiver` hear the events of `handle` (undefined: of the whole worker), those that came before it included. */
  listen(handle: number | undefined, receiver: Receiver): void {
    this.#receivers.set(handle, receiver);
    const early = this.#early.filter((event) => event.handle === handle);
    if (early.length === 0) return;
    this.#early = this.#early.filter((event) => event.handle !== handle);
    // Later, so that whoever gets the object can add listeners first.
    setTimeout(() => early.forEach((event) => receiver.receive(event.type, event.detail)));
  }

  /** Stops hearing the events of `handle`. */
  unlisten(handle: number): void {
    this.#receivers.delete(handle);
  }

  /** The receiver of `handle`, if there is one. */
  receiver(handle: number): Receiver | undefined {
    return this.#receivers.get(handle);
  }

  /** Lets go of a handle; a failure means that it is gone already. */
  release(handle: number): void {
    if (this.#ended === undefined) void this.call("release", { handle }).catch(() => undefined);
  }

  /** Releases `handle` when nobody holds `owner` any more. */
  releaseWith(owner: object, handle: number): void {
    this.#abandoned.register(owner, handle, owner);
  }

  /** Undoes `releaseWith`: the handle was used. */
  used(owner: object): void {
    this.#abandoned.unregister(owner);
  }

  /** Has the worker close everything, then ends it. Later calls reject with "closed". */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve;
    });
    this.#post({ kind: "close" });
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MILLISECONDS);
    });
    await Promise.race([closed, late]);
    clearTimeout(timer);
    this.#end(new RoomkeyError({ code: "closed", text: "expected a Roomkey that is open", details: {} }), undefined);
  }

  #post(request: Request): void {
    this.#worker.postMessage(request);
  }

  #hear(report: Report): void {
    if (report.kind === "answer") this.#settleWith(report.id, report.answer);
    else if (report.kind === "event") this.#dispatch(report.event);
    else if (report.kind === "closed") this.#onClosed();
    else if (report.kind === "failed") this.#lose("a failure that ended it", report.error);
  }

  #dispatch(event: BridgeEvent): void {
    const receiver = this.#receivers.get(event.handle ?? undefined);
    if (receiver !== undefined) receiver.receive(event.type, event.detail);
    else if (event.target === "conference" && this.#early.length < MAX_EARLY_EVENTS) this.#early.push(event);
  }

  #settle(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    pending?.stopWatching();
    return pending;
  }

  #settleWith(id: number, answer: Answer): void {
    const pending = this.#settle(id);
    if (answer.ok) pending?.resolve(answer.value);
    else pending?.reject(new RoomkeyError(answer.error));
  }

  #lose(got: string, error?: PlainError): void {
    if (this.#ended !== undefined) return;
    const cause = error === undefined ? undefined : new RoomkeyError(error);
    const lost = new RoomkeyError({ code: "worker-lost", text: `expected the worker to go on, got ${got}`, details: {} }, cause);
    this.#end(lost, lost);
  }

  #end(reason: RoomkeyError, lost: RoomkeyError | undefined): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#worker.terminate();
    this.media.end();
    this.#life.abort();
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(reason);
    this.#onClosed();
    this.onEnd(lost);
  }
}
