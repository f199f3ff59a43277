/** One stream of ours: frames of a source, one after the other, through an encoder to packets. */
import { Failure } from "../failure.js";
import type { EncodingValue, ReachValue } from "../srtp_protocol.js";
import { Refused } from "./refused.js";
import { Budget } from "./srtp_budget.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import type { FrameOut, MediaCodec, MediaFrame } from "./srtp_formats.js";

/** The least change of the bitrate that an encoder is told. */
const NOTABLE = 0.1;

/** How the encoder is made. */
export interface EncoderMaker {
  readonly make: NonNullable<MediaCodec["encoder"]>;
  readonly encoding: EncodingValue;
}

/** Where its frames go. */
export interface SendingWay {
  send(frame: EncodedFrame): Promise<void>;
  /** Whether a frame that is encoded now would come too late. */
  full(): boolean;
}

export class Sending {
  readonly ssrc: number;
  readonly #encoder: EncoderMaker;
  readonly #way: SendingWay;
  readonly #over: (error: Failure | undefined) => void;
  #out: FrameOut | undefined;
  #shape = "";
  #keyFrameAt = 0; // by the source, in microseconds
  #reader: ReadableStreamDefaultReader<MediaFrame> | undefined;
  readonly #budget: Budget;
  #bitrate: number;
  #heard = true;
  #ended = false;

  /** @param over - hears that the source has ended, or what failed */
  constructor(ssrc: number, encoder: EncoderMaker, way: SendingWay, over: (error: Failure | undefined) => void) {
    this.ssrc = ssrc;
    this.#encoder = encoder;
    this.#way = way;
    this.#over = over;
    this.#bitrate = encoder.encoding.bitrate;
    this.#budget = new Budget(this.#bitrate);
  }

  /** Takes all frames of a stream. */
  async run(source: ReadableStream<MediaFrame>): Promise<void> {
    const reader = source.getReader();
    this.#reader = reader;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        this.take(value);
      }
      this.#over(undefined);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Encodes and sends one frame, and closes it. It is left out while nobody gets it; a picture also where it would come late. */
  take(frame: MediaFrame): void {
    const late = "displayWidth" in frame && (this.#way.full() || !this.#budget.free(performance.now()));
    if (this.#ended || !this.#heard || late) {
      frame.close();
      return;
    }
    try {
      const shape = "displayWidth" in frame ? `${frame.displayWidth} ${frame.displayHeight}` : `${frame.sampleRate} ${frame.numberOfChannels}`;
      if (this.#out === undefined || shape !== this.#shape) {
        this.#out?.close();
        this.#shape = shape;
        this.#out = this.#encoder.make({ ...this.#encoder.encoding, bitrate: this.#bitrate }, frame, (encoded) => void this.#give(encoded), (error) => this.#failed(error));
      }
      if (frame.timestamp >= this.#keyFrameAt + 1e6 * this.#encoder.encoding.keyFrameInterval) {
        this.#keyFrameAt = frame.timestamp;
        this.askKeyFrame();
      }
      this.#out.encode(frame);
    } catch (error) {
      frame.close();
      this.#failed(error);
    }
  }

  askKeyFrame(): void {
    this.#out?.askKeyFrame();
  }

  /** What others get of it, and what it may have. */
  reach({ state, bitrate }: ReachValue): void {
    const heard = state === "sending";
    if (heard && !this.#heard) this.askKeyFrame();
    this.#heard = heard;
    if (Math.abs(bitrate - this.#bitrate) < NOTABLE * this.#bitrate && bitrate !== this.#encoder.encoding.bitrate) return;
    this.#bitrate = bitrate;
    this.#budget.setBitrate(bitrate, performance.now());
    this.#out?.setBitrate(bitrate);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    void this.#reader?.cancel().catch(() => undefined); // it may have failed already, and that was told
    this.#close();
  }

  async #give(frame: EncodedFrame): Promise<void> {
    if (this.#ended) return;
    this.#budget.spend(frame.data.length, performance.now());
    try {
      await this.#way.send(frame);
    } catch (error) {
      // Keys that are used up, or that have not come, are replaced; the frame is lost to all, so what follows needs none before it.
      if (error instanceof Refused) this.askKeyFrame();
      else this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    const name = error instanceof Error || error instanceof DOMException ? error.name : typeof error;
    this.#over(new Failure("media-failed", `expected media that this browser encodes, got ${name}`, {}, error));
  }

  #close(): void {
    try {
      this.#out?.close();
    } catch (error) {
      if (!(error instanceof DOMException && error.name === "InvalidStateError")) throw error; // an encoder that failed has closed itself
    }
    this.#out = undefined;
  }
}
