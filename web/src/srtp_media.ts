/** What goes out and what comes in by an `SrtpSession`, as pages hold it. */
import { publicError, type RoomkeyError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import { newTrack } from "./frame_source.js";
import type { CountsValue, MediaTarget } from "./srtp_protocol.js";
import type { Member } from "./values.js";

/** How many packets were sent, taken, and refused by reason. */
export type SrtpCounts = Readonly<CountsValue>;

/** Events of a stream of ours. */
export interface SrtpOutgoingEvents {
  /** It is sent no more: stopped, its source has ended, or `error`. */
  ended: { readonly error: RoomkeyError | undefined };
}

/** Media of ours that is sent. */
export class SrtpOutgoing extends TypedEventTarget<SrtpOutgoingEvents> {
  readonly kind: "audio" | "video";
  readonly codec: string;
  /** Never used before in this conference by this client, and never again. */
  readonly ssrc: number;
  readonly #stop: () => void;

  /** @internal */
  constructor(kind: "audio" | "video", codec: string, ssrc: number, stop: () => void) {
    super();
    this.kind = kind;
    this.codec = codec;
    this.ssrc = ssrc;
    this.#stop = stop;
  }

  /** Sends it no more. */
  stop(): void {
    this.#stop();
  }
}

/**
 * Media of a member's that comes. It is decoded once something is to be done with it: `show`, `track` or `frames`, of which the latest
 * counts. That it is under the member's keys proves that somebody of the conference sent it: any member could compute another's.
 */
export class SrtpIncoming {
  readonly member: Member;
  readonly kind: "audio" | "video";
  readonly codec: string;
  readonly ssrc: number;
  readonly #show: (target: MediaTarget) => void;

  /** @internal */
  constructor(member: Member, kind: "audio" | "video", codec: string, ssrc: number, show: (target: MediaTarget) => void) {
    this.member = member;
    this.kind = kind;
    this.codec = codec;
    this.ssrc = ssrc;
    this.#show = show;
  }

  /**
   * Draws the pictures on a canvas, which has no context yet and which takes their size. Throws "bad-argument" of sound, and for a canvas
   * that was used; "closed".
   */
  show(canvas: HTMLCanvasElement | OffscreenCanvas): void {
    if (this.kind !== "video") throw publicError(new Failure("bad-argument", "expected pictures, got sound"));
    try {
      this.#show(canvas instanceof OffscreenCanvas ? canvas : canvas.transferControlToOffscreen());
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      throw publicError(new Failure("bad-argument", "canvas: expected one without a context", { field: "canvas" }, error));
    }
  }

  /** A track of it, for an element's `srcObject`. Throws "browser-too-old" of sound, where the browser makes none; "closed". */
  track(): MediaStreamTrack {
    const made = newTrack(this.kind);
    if (made === undefined) {
      const missing = "MediaStreamTrackGenerator";
      throw publicError(new Failure("browser-too-old", `expected ${missing}`, { missing }));
    }
    this.#show(made.target);
    return made.track;
  }

  /** The frames as WebCodecs gives them; who takes one closes it. Those that are not taken in time are skipped. Throws "closed". */
  frames(): ReadableStream<VideoFrame> | ReadableStream<AudioData> {
    const { readable, writable } = new TransformStream<VideoFrame, VideoFrame>();
    this.#show(writable);
    return readable;
  }
}
