/** One stream of somebody else's at work: packets to frames, with its clock. A thin shell around `RtpIncoming` and `StreamCondition`. */
import { RtpIncoming } from "./rtp_incoming.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import type { RtpPacket } from "./rtp_packet.js";
import { Reception } from "./rtp_reception.js";
import { StreamCondition } from "./srtp_condition.js";
import type { MediaCodec } from "./srtp_formats.js";

/** Milliseconds between two requests for a key frame of one stream. */
const KEY_FRAME_PAUSE = 500;

/** A stream of somebody's, whose first packet has come. */
export interface HeardStream<M> {
  readonly member: M;
  readonly ssrc: number;
  readonly codec: MediaCodec;
}

export interface ListeningHooks {
  frame(frame: EncodedFrame): void;
  /** A key frame is to be asked for. */
  ask(): void;
}

export class Listening<M> implements HeardStream<M> {
  member: M;
  readonly ssrc: number;
  readonly codec: MediaCodec;
  readonly condition: StreamCondition;
  readonly reception: Reception;
  readonly #incoming: RtpIncoming;
  readonly #hooks: ListeningHooks;
  #asked = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ member, ssrc, codec }: HeardStream<M>, hooks: ListeningHooks) {
    this.member = member;
    this.ssrc = ssrc;
    this.codec = codec;
    this.condition = new StreamCondition(performance.now());
    this.reception = new Reception(codec.format.clockRate);
    this.#incoming = new RtpIncoming(codec.format);
    this.#hooks = hooks;
  }

  /** Throws `Refused` "malformed". */
  push(packet: RtpPacket): void {
    const now = performance.now();
    this.#incoming.push(packet, now);
    this.reception.push(packet, now);
    this.condition.good(now);
    this.#drain();
  }

  /** Asks for a key frame, unless that was done a moment ago. */
  needKeyFrame(): void {
    const now = performance.now();
    if (now < this.#asked + KEY_FRAME_PAUSE) return;
    this.#asked = now;
    this.#hooks.ask();
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  #drain(): void {
    const now = performance.now();
    for (const { data, keyFrame, ticks } of this.#incoming.take(now)) {
      this.#hooks.frame({ data, keyFrame, timestamp: Math.round((ticks * 1e6) / this.codec.format.clockRate) });
    }
    if (this.#incoming.needsKeyFrame) this.needKeyFrame();
    clearTimeout(this.#timer);
    const due = this.#incoming.due();
    this.#timer = due === undefined ? undefined : setTimeout(() => this.#drain(), Math.max(0, due - now) + 1);
  }
}
