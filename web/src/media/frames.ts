/** Frames of WebRTC through a media worker: each RTCRtpScriptTransform's stream, protected or opened one by one. */
import type { MediaReport, TransformOptions } from "../media_protocol.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { codecOf } from "./clear_bytes.js";
import { Incoming, type StreamCondition } from "./incoming.js";
import type { KeyPort, Room, WireMember } from "./key_port.js";
import { Outgoing } from "./outgoing.js";
import { Refused } from "./refused.js";
import { Samples } from "./samples.js";

type Frame = RTCEncodedVideoFrame | RTCEncodedAudioFrame;

const report = (message: MediaReport): void => self.postMessage(message);

/** Milliseconds between two requests for a key frame. */
const KEY_FRAME_PAUSE = 500;

/** The streams of all protections. */
export class Streams {
  readonly #keys: KeyPort;
  readonly #stopped = new Set<number>();
  readonly samples = new Samples(({ protection, stream }, sample) => report({ kind: "sample", protection, stream, sample }));

  constructor(keys: KeyPort) {
    this.#keys = keys;
  }

  /** Nothing goes through the streams of this protection any more; they go on being read, and everything is dropped. */
  stop(protection: number): void {
    this.#stopped.add(protection);
  }

  /** Takes a stream on. */
  async run(transformer: RTCRtpScriptTransformer): Promise<void> {
    const options = transformer.options as TransformOptions;
    const pass = options.direction === "send" ? this.#send(transformer, options) : this.#receive(transformer, options);
    this.samples.begin(transformer, options);
    try {
      await pass;
    } catch (error) {
      // A stream that fails shows nothing; it ends so when its connection closes, too.
      if (!isClosed(error)) throw error;
    } finally {
      this.samples.end(options);
    }
  }

  async #send(transformer: RTCRtpScriptTransformer, options: TransformOptions): Promise<void> {
    const tell = new Reporter(options);
    const { keys } = this.#keys.room(options.conference);
    const outgoing = new Outgoing(keys, await this.#keys.context(options.conference));
    const writer = (transformer.writable as WritableStream<Frame>).getWriter();
    let codecs = "";
    for await (const frame of transformer.readable as ReadableStream<Frame>) {
      const now = performance.now();
      const mimeType = frame.getMetadata().mimeType ?? "";
      const codec = codecOf(options.kind, mimeType);
      if (frame.data.byteLength === 0 || this.#stopped.has(options.protection)) continue;
      if (codec === undefined) {
        tell.say({ state: "refused", reason: "unknown-codec", member: undefined, since: now }, now);
        continue;
      }
      try {
        const plain = new Uint8Array(frame.data);
        const sealed = await outgoing.protect(codec, plain, now);
        if (sealed === undefined || this.#stopped.has(options.protection)) continue;
        if (this.samples.wants(options, frame)) this.samples.show(options, codec, plain, sealed);
        frame.data = sealed.buffer;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        tell.say({ state: "refused", reason: error.reason, member: undefined, since: now }, now);
        continue;
      }
      await writer.write(frame);
      if (codecs !== mimeType) tell.say({ state: "protected", reason: undefined, member: undefined, since: now }, now);
      codecs = mimeType;
    }
  }

  async #receive(transformer: RTCRtpScriptTransformer, options: TransformOptions): Promise<void> {
    const room = this.#keys.room(options.conference);
    const receiving = new Receiving(transformer, options, room, this.#keys, this.samples, () => this.#stopped.has(options.protection));
    room.changed.add(receiving.look);
    try {
      for await (const frame of transformer.readable as ReadableStream<Frame>) receiving.take(frame);
    } finally {
      room.changed.delete(receiving.look);
      receiving.end();
    }
  }
}

/** A stream that comes, with its clock. */
class Receiving {
  readonly #transformer: RTCRtpScriptTransformer;
  readonly #options: TransformOptions;
  readonly #room: Room;
  readonly #port: KeyPort;
  readonly #samples: Samples;
  readonly #stopped: () => boolean;
  readonly #incoming: Incoming<Frame, WireMember>;
  readonly #writer: WritableStreamDefaultWriter<Frame>;
  readonly #tell: Reporter;
  #turn: Promise<void> = Promise.resolve();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #askedAt = -Infinity;

  constructor(
    transformer: RTCRtpScriptTransformer, options: TransformOptions, room: Room, port: KeyPort, samples: Samples, stopped: () => boolean,
  ) {
    this.#transformer = transformer;
    this.#options = options;
    this.#room = room;
    this.#port = port;
    this.#samples = samples;
    this.#stopped = stopped;
    this.#tell = new Reporter(options);
    this.#writer = (transformer.writable as WritableStream<Frame>).getWriter();
    this.#incoming = new Incoming(room.keys, options.from, performance.now());
  }

  take(frame: Frame): void {
    if (frame.data.byteLength === 0 || this.#stopped()) return;
    const codec = codecOf(this.#options.kind, frame.getMetadata().mimeType ?? "");
    this.#incoming.push({ frame, codec, data: new Uint8Array(frame.data) }, performance.now());
    this.look();
  }

  /** Goes through what is held, once more after what is under way. */
  readonly look = (): void => {
    this.#turn = this.#turn.then(() => this.#settle());
    this.#turn.catch((error: unknown) => {
      if (!isClosed(error)) throw error; // uncaught on purpose: the page hears of a worker that does not work
    });
  };

  end(): void {
    clearTimeout(this.#timer);
  }

  async #settle(): Promise<void> {
    const now = performance.now();
    let refused = false;
    for (const outcome of await this.#incoming.settle(now)) {
      if ("refused" in outcome) {
        refused = true;
        continue;
      }
      if (this.#stopped()) continue;
      this.#sample(outcome.frame, outcome.data);
      outcome.frame.data = outcome.data.buffer; // WebCrypto's own, the frame and nothing else
      await this.#writer.write(outcome.frame);
    }
    const { condition } = this.#incoming;
    this.#tell.say(condition, now);
    if (condition.state === "no-key") this.#port.resync(this.#options.conference, now);
    if (refused) this.#askForKeyFrame(now);
    this.#wake(now);
  }

  #sample(frame: Frame, data: Bytes): void {
    const codec = codecOf(this.#options.kind, frame.getMetadata().mimeType ?? "");
    if (codec === undefined || !this.#samples.wants(this.#options, frame)) return;
    this.#samples.show(this.#options, codec, data, new Uint8Array(frame.data));
  }

  /** What was refused is missing for all frames up to the next key frame. */
  #askForKeyFrame(now: number): void {
    if (this.#options.kind !== "video" || now < this.#askedAt + KEY_FRAME_PAUSE) return;
    this.#askedAt = now;
    this.#transformer.sendKeyFrameRequest().catch(() => undefined); // refused before the first frame: the decoder asks by itself
  }

  #wake(now: number): void {
    clearTimeout(this.#timer);
    const due = this.#incoming.due();
    const old = this.#room.keys.due();
    if (old !== undefined) this.#timer = setTimeout(() => this.#room.keys.tick(performance.now()), old - now);
    if (due !== undefined) this.#timer = setTimeout(this.look, Math.max(0, due - now));
  }
}

/** Tells the page how a stream is doing, when that changes. */
class Reporter {
  readonly #options: TransformOptions;
  #last = "";

  constructor(options: TransformOptions) {
    this.#options = options;
  }

  say({ state, reason, member, since }: StreamCondition<WireMember>, now: number): void {
    const brief = `${state} ${reason} ${member?.leafIndex} ${member?.clientId.join()}`;
    if (brief === this.#last || state === "waiting") return;
    this.#last = brief;
    const { protection, stream } = this.#options;
    report({ kind: "stream", protection, stream, state, reason, member, since: Date.now() - (now - since) });
  }
}

/** Whether a stream ended because its connection closed. */
const isClosed = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof DOMException && (error.name === "InvalidStateError" || error.name === "AbortError"));

