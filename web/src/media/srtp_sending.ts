/** One stream of ours: frames of a source, one after the other, through an encoder to packets. */
import { Failure } from "../failure.js";
import type { EncodingValue } from "../srtp_protocol.js";
import { Refused } from "./refused.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import type { FrameOut, MediaCodec, MediaFrame } from "./srtp_formats.js";

/** How the encoder is made. */
export interface EncoderMaker {
  readonly make: NonNullable<MediaCodec["encoder"]>;
  readonly encoding: EncodingValue;
}

export class Sending {
  readonly ssrc: number;
  readonly #encoder: EncoderMaker;
  readonly #send: (frame: EncodedFrame) => Promise<void>;
  readonly #over: (error: Failure | undefined) => void;
  #out: FrameOut | undefined;
  #shape = "";
  #reader: ReadableStreamDefaultReader<MediaFrame> | undefined;
  #ended = false;

  /** @param over - hears that the source has ended, or what failed */
  constructor(ssrc: number, encoder: EncoderMaker, send: (frame: EncodedFrame) => Promise<void>, over: (error: Failure | undefined) => void) {
    this.ssrc = ssrc;
    this.#encoder = encoder;
    this.#send = send;
    this.#over = over;
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

  /** Encodes and sends one frame, and closes it. */
  take(frame: MediaFrame): void {
    if (this.#ended) {
      frame.close();
      return;
    }
    try {
      const shape = "displayWidth" in frame ? `${frame.displayWidth} ${frame.displayHeight}` : `${frame.sampleRate} ${frame.numberOfChannels}`;
      if (this.#out === undefined || shape !== this.#shape) {
        this.#out?.close();
        this.#shape = shape;
        this.#out = this.#encoder.make(this.#encoder.encoding, frame, (encoded) => void this.#give(encoded), (error) => this.#failed(error));
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

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    void this.#reader?.cancel().catch(() => undefined); // it may have failed already, and that was told
    this.#close();
  }

  async #give(frame: EncodedFrame): Promise<void> {
    if (this.#ended) return;
    try {
      await this.#send(frame);
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
