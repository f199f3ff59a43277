/** One RTP stream of ours: frames in, packets out, numbered on. */
import type { Bytes } from "../worker/crypto_keys.js";
import { encodeRtp } from "./rtp_packet.js";
import type { Packetiser, PayloadFormat } from "./rtp_payload.js";

/** What encoders give, by WebCodecs' EncodedVideoChunk and EncodedAudioChunk. */
export interface EncodedFrame {
  readonly data: Bytes;
  readonly keyFrame: boolean;
  /** Microseconds. */
  readonly timestamp: number;
}

export class RtpOutgoing {
  readonly ssrc: number;
  readonly #format: PayloadFormat;
  readonly #packetiser: Packetiser;
  readonly #timestampOffset: number;
  #sequence: number;

  /** @param random - 32 bits: where sequence numbers and timestamps begin (RFC 3550 section 5.1) */
  constructor(ssrc: number, format: PayloadFormat, random: number) {
    this.ssrc = ssrc;
    this.#format = format;
    this.#packetiser = format.packetiser();
    this.#timestampOffset = random;
    // The upper half stays free, so that losing the first packets cannot hide a rollover (RFC 3711 section 3.3.1).
    this.#sequence = random % 2 ** 15;
  }

  /** The frame's packets, in order; clear as yet. */
  packets({ data, keyFrame, timestamp }: EncodedFrame): Bytes[] {
    const { payloadType, clockRate, dependent } = this.#format;
    const ticks = (Math.round((timestamp * clockRate) / 1e6) + this.#timestampOffset) % 2 ** 32;
    const payloads = this.#packetiser.split(data, keyFrame);
    return payloads.map((payload, at) => {
      const sequence = this.#sequence;
      this.#sequence = (sequence + 1) % 2 ** 16;
      // Audio's marker tells of silence before; we send on through silence.
      const marker = dependent && at === payloads.length - 1;
      return encodeRtp({ payloadType, marker, sequence, timestamp: ticks, ssrc: this.ssrc, payload });
    });
  }
}
