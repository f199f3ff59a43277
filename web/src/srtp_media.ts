/** What goes out and what comes in by an `SrtpSession`, as pages hold it. */
import { publicError, type RoomkeyError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import { newTrack } from "./frame_source.js";
import type { CallOptions } from "./roomkey.js";
import type { CountsValue, EncodingValue, MediaTarget, PacketSampleValue, ReachValue, SrtpReachState, SrtpState, SrtpUnheardReason } from "./srtp_protocol.js";
import type { Member } from "./values.js";

export type { SrtpReachState, SrtpState, SrtpUnheardReason } from "./srtp_protocol.js";

/** How many packets were sent, taken, and refused by reason; reports of what came aside. */
export type SrtpCounts = Readonly<CountsValue>;

/** One packet before and after protection, or after and before: what the page has of its media anyway, and no key. */
export type PacketSample = Readonly<PacketSampleValue>;

/** Those who wait for the next packet of a stream. */
class Samples {
  readonly #ask: () => void;
  readonly #waiting = new Set<(sample: PacketSample | undefined) => void>();
  #ended = false;

  constructor(ask: () => void) {
    this.#ask = ask;
  }

  next(signal: AbortSignal | undefined): Promise<PacketSample> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const settle = (sample: PacketSample | undefined): void => {
        this.#waiting.delete(settle);
        signal?.removeEventListener("abort", abort);
        if (sample === undefined) reject(publicError(new Failure("closed", "expected a packet, got the end of the stream")));
        else resolve(sample);
      };
      const abort = (): void => {
        this.#waiting.delete(settle);
        reject(signal?.reason as Error);
      };
      if (this.#ended) {
        settle(undefined);
        return;
      }
      this.#waiting.add(settle);
      signal?.addEventListener("abort", abort, { once: true });
      this.#ask();
    });
  }

  give(sample: PacketSample | undefined): void {
    for (const settle of [...this.#waiting]) settle(sample);
  }

  end(): void {
    this.#ended = true;
    this.give(undefined);
  }
}

/** Events of a stream of ours. */
export interface SrtpOutgoingEvents {
  /** It is sent no more: stopped, its source has ended, or `error`. */
  ended: { readonly error: RoomkeyError | undefined };
  /** Its `state` is another, or its `bitrate`. */
  state: { readonly state: SrtpReachState };
}

/** What the session does for a stream of ours. */
interface OutgoingActions {
  readonly stop: () => void;
  readonly sample: () => void;
}

/** Media of ours that is sent. */
export class SrtpOutgoing extends TypedEventTarget<SrtpOutgoingEvents> {
  readonly kind: "audio" | "video";
  readonly codec: string;
  /** Never used before in this conference by this client, and never again. */
  readonly ssrc: number;
  readonly #actions: OutgoingActions;
  readonly #samples: Samples;
  #reach: ReachValue;

  /** @internal */
  constructor(kind: "audio" | "video", { codec, bitrate }: EncodingValue, ssrc: number, actions: OutgoingActions) {
    super();
    this.kind = kind;
    this.codec = codec;
    this.ssrc = ssrc;
    this.#actions = actions;
    this.#samples = new Samples(actions.sample);
    this.#reach = { state: "sending", reason: undefined, bitrate };
  }

  /**
   * "sending", or "unheard": all who take part got nothing of it for 15 seconds, so that nothing is sent any more. It is sent again by
   * itself when somebody comes, or comes back.
   */
  get state(): SrtpReachState {
    return this.#reach.state;
  }

  /** Why it is "unheard": "no-reports" where the others say nothing any more, "no-packets" where they say that nothing comes. */
  get reason(): SrtpUnheardReason | undefined {
    return this.#reach.reason;
  }

  /** Bits a second that it may have now: as many as were asked for, or as the slowest way to those who take part lets through. */
  get bitrate(): number {
    return this.#reach.bitrate;
  }

  /** Sends it no more. */
  stop(): void {
    this.#actions.stop();
  }

  /** The next packet that is sent, on both sides of its protection, for people to see what that does. Rejects with "closed". */
  sample({ signal }: CallOptions = {}): Promise<PacketSample> {
    return this.#samples.next(signal);
  }

  /** @internal */
  sampled(sample: PacketSample): void {
    this.#samples.give(sample);
  }

  /** @internal */
  reached(reach: ReachValue): void {
    this.#reach = reach;
    this.emit("state", { state: reach.state });
  }

  /** @internal */
  end(error: RoomkeyError | undefined): void {
    this.#samples.end();
    this.emit("ended", { error });
  }
}

/** Events of a stream of a member's. */
export interface SrtpIncomingEvents {
  /** Its `state` is another. */
  state: { readonly state: SrtpState };
}

/** What the session does for a stream of a member's. */
interface IncomingActions {
  readonly show: (target: MediaTarget) => void;
  readonly sample: () => void;
}

/**
 * Media of a member's that comes. It is decoded once something is to be done with it: `show`, `track` or `frames`, of which the latest
 * counts. That it is under the member's keys proves that somebody of the conference sent it: any member could compute another's.
 */
export class SrtpIncoming extends TypedEventTarget<SrtpIncomingEvents> {
  readonly member: Member;
  readonly kind: "audio" | "video";
  readonly codec: string;
  readonly ssrc: number;
  readonly #actions: IncomingActions;
  readonly #samples: Samples;
  #state: { readonly state: SrtpState; readonly reason: string | undefined; readonly since: Date };

  /** @internal */
  constructor(member: Member, kind: "audio" | "video", codec: string, ssrc: number, actions: IncomingActions) {
    super();
    this.member = member;
    this.kind = kind;
    this.codec = codec;
    this.ssrc = ssrc;
    this.#actions = actions;
    this.#samples = new Samples(actions.sample);
    this.#state = { state: "protected", reason: undefined, since: new Date() };
  }

  /**
   * "protected": good packets come. After a second without one: "no-key" where packets come whose keys we have not, "refused" where others
   * come that are not good, "silent" where none come.
   */
  get state(): SrtpState {
    return this.#state.state;
  }

  /** Why not, for a log: "unknown-key", "not-authentic", "replayed", ... */
  get reason(): string | undefined {
    return this.#state.reason;
  }

  /** When the last good packet came; while it is "protected", the first since then. */
  get since(): Date {
    return this.#state.since;
  }

  /**
   * Draws the pictures on a canvas, which has no context yet and which takes their size. Throws "bad-argument" of sound, and for a canvas
   * that was used; "closed".
   */
  show(canvas: HTMLCanvasElement | OffscreenCanvas): void {
    if (this.kind !== "video") throw publicError(new Failure("bad-argument", "expected pictures, got sound"));
    try {
      this.#actions.show(canvas instanceof OffscreenCanvas ? canvas : canvas.transferControlToOffscreen());
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      throw publicError(new Failure("bad-argument", "canvas: expected one without a context", { field: "canvas" }, error));
    }
  }

  /** A track of it, for an element's `srcObject`. Throws "browser-too-old" where the browser makes none; "closed". */
  track(): MediaStreamTrack {
    const made = newTrack(this.kind);
    if (made === undefined) {
      const missing = "MediaStreamTrackGenerator";
      throw publicError(new Failure("browser-too-old", `expected ${missing}`, { missing }));
    }
    this.#actions.show(made.target);
    return made.track;
  }

  /** The frames as WebCodecs gives them; who takes one closes it. Those that are not taken in time are skipped. Throws "closed". */
  frames(): ReadableStream<VideoFrame> | ReadableStream<AudioData> {
    const { readable, writable } = new TransformStream<VideoFrame, VideoFrame>();
    this.#actions.show(writable);
    return readable;
  }

  /** The next packet that comes, on both sides of its protection, for people to see what that does. Rejects with "closed". */
  sample({ signal }: CallOptions = {}): Promise<PacketSample> {
    return this.#samples.next(signal);
  }

  /** @internal */
  sampled(sample: PacketSample): void {
    this.#samples.give(sample);
  }

  /** @internal */
  became(state: SrtpState, reason: string | undefined, since: Date): void {
    this.#state = { state, reason, since };
    this.emit("state", { state });
  }

  /** @internal */
  end(): void {
    this.#samples.end();
  }
}
