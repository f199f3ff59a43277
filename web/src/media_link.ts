/** The page's line to the media worker: what streams do, never keys. */
import type { MediaReport, MediaRequest, SampleReport, StreamReport, TransformOptions } from "./media_protocol.js";
import type { SrtpReport, SrtpRequest } from "./srtp_protocol.js";

/** Who hears how the streams of one protection do, and what was asked to be shown of them. */
export type StreamListener = (report: StreamReport | SampleReport) => void;

export class MediaLink {
  readonly #worker: Worker;
  readonly #listeners = new Map<number, StreamListener>();
  readonly #ended = new AbortController();
  readonly #life = `roomkey-media-${crypto.randomUUID()}`;
  readonly #sessions = new Map<number, (report: SrtpReport) => void>();
  #nextProtection = 1;
  #nextSession = 1;

  /** Runs when the worker has failed: what goes through it stands still. */
  onLost: () => void = () => undefined;

  /** @param worker - one that has shown that it lives */
  constructor(worker: Worker) {
    this.#worker = worker;
    worker.addEventListener("message", ({ data }: MessageEvent<MediaReport>) => {
      if (data.kind === "stream" || data.kind === "sample") this.#listeners.get(data.protection)?.(data);
      else if (data.kind === "srtp") this.#sessions.get(data.session)?.(data);
      else if (data.kind === "holds-life") this.#watch();
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault(); // told by what waits for the roomkey worker
      this.onLost();
    });
  }

  /** Gives the worker one end of a channel for keys; the other end is for the roomkey worker, and none stays here. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#post({ kind: "start", keys: port1, life: this.#life }, [port1]);
    return port2;
  }

  /** The number of a new protection, and who hears of its streams. */
  add(listener: StreamListener): number {
    const protection = this.#nextProtection++;
    this.#listeners.set(protection, listener);
    return protection;
  }

  /** What an RTCRtpSender or RTCRtpReceiver needs to have its frames go through the worker. */
  transform(options: TransformOptions): RTCRtpScriptTransform {
    return new RTCRtpScriptTransform(this.#worker, options);
  }

  /** Nothing goes through this protection's streams any more. */
  stop(protection: number): void {
    this.#listeners.delete(protection);
    this.#post({ kind: "stop", protection });
  }

  /** Has the worker show a stream's next frame. */
  sample(protection: number, stream: number): void {
    this.#post({ kind: "sample", protection, stream });
  }

  /** The number of a new SRTP session, and who hears of it. */
  addSession(listener: (report: SrtpReport) => void): number {
    const session = this.#nextSession++;
    this.#sessions.set(session, listener);
    return session;
  }

  removeSession(session: number): void {
    this.#sessions.delete(session);
  }

  /** Has the worker do something for a session. */
  ask(request: SrtpRequest, transfer: Transferable[]): void {
    this.#post(request, transfer);
  }

  /** Ends the worker. */
  end(): void {
    this.#ended.abort();
    this.#worker.terminate();
  }

  /** A worker that dies says nothing, but its lock becomes free. */
  #watch(): void {
    const { signal } = this.#ended;
    navigator.locks
      .request(this.#life, { signal }, () => this.onLost())
      .catch(() => {
        if (!signal.aborted) this.onLost(); // no way to watch it any more
      });
  }

  #post(message: MediaRequest, transfer: Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
