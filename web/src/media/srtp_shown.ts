/** One stream of somebody's: frames through a decoder to where the page wants them, and to nowhere before it says so. */
import type { MediaTarget } from "../srtp_protocol.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import type { FrameIn, MediaCodec, MediaFrame } from "./srtp_formats.js";

export class Shown {
  /** As the page knows it. */
  readonly number: number;
  readonly #codec: MediaCodec;
  readonly #needKeyFrame: () => void;
  #decoder: FrameIn | undefined;
  #put: ((frame: MediaFrame) => void) | undefined;
  #close: () => void = () => undefined;
  /** Nothing was decoded yet, and it takes a key frame to begin. */
  #seeking = true;

  constructor(number: number, codec: MediaCodec, needKeyFrame: () => void) {
    this.number = number;
    this.#codec = codec;
    this.#needKeyFrame = needKeyFrame;
  }

  /** Frames go there from now on, and no more where they went before. */
  show(target: MediaTarget): void {
    this.#close();
    if (target instanceof WritableStream) this.#write((target as WritableStream<MediaFrame>).getWriter());
    else this.#draw(target);
  }

  take(frame: EncodedFrame): void {
    if (this.#put === undefined || this.#codec.decoder === undefined) {
      this.#seeking = true;
      return;
    }
    if (this.#seeking && !frame.keyFrame && this.#codec.format.dependent) {
      this.#needKeyFrame();
      return;
    }
    if (!this.#codec.format.fits(frame.data)) {
      this.#seek(); // a member may send anything, and a decoder makes room for it
      return;
    }
    this.#seeking = false;
    this.#decoder ??= this.#codec.decoder(
      (decoded) => (this.#put === undefined ? decoded.close() : this.#put(decoded)),
      () => this.#seek(),
    );
    try {
      this.#decoder.decode(frame);
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      this.#seek(); // a member may send anything
    }
  }

  #seek(): void {
    this.#seeking = true;
    this.#needKeyFrame();
  }

  end(): void {
    this.#close();
    this.#put = undefined;
    this.#decoder?.close();
    this.#decoder = undefined;
  }

  #draw(canvas: OffscreenCanvas): void {
    const context = canvas.getContext("2d");
    this.#put = (frame) => {
      if ("displayWidth" in frame && context !== null) {
        const { displayWidth: width, displayHeight: height } = frame;
        if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
        context.drawImage(frame, 0, 0, width, height);
      }
      frame.close();
    };
    // What is seen last is no picture of somebody who is there.
    this.#close = () => context?.clearRect(0, 0, canvas.width, canvas.height);
  }

  #write(writer: WritableStreamDefaultWriter<MediaFrame>): void {
    this.#put = (frame) => {
      // What a slow reader does not take is skipped, so that delay does not grow.
      if ((writer.desiredSize ?? 0) <= 0) frame.close();
      // A stream that was transferred copies what it is given, so ours is to be closed, too.
      else writer.write(frame).then(() => frame.close(), () => this.#stop(frame));
    };
    this.#close = () => void writer.close().catch(() => undefined); // its reader may be gone
  }

  /** The target takes no more. */
  #stop(frame: MediaFrame): void {
    frame.close();
    this.#put = undefined;
    this.#decoder?.close();
    this.#decoder = undefined;
  }
}
