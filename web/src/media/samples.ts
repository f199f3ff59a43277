/** Single frames of a stream as they are before and after protection, for people to see what it does: copied only when asked for. */
import type { FrameSampleValue, TransformOptions } from "../media_protocol.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { type Codec, uncover } from "./clear_bytes.js";
import { decodeHeader } from "./sframe_header.js";

/** What is known of a stream that runs. */
interface Running {
  readonly transformer: RTCRtpScriptTransformer;
  readonly options: TransformOptions;
}

export class Samples {
  readonly #report: (options: TransformOptions, sample: FrameSampleValue) => void;
  readonly #running = new Map<string, Running>();
  readonly #wanted = new Set<string>();

  /** `report` hears each sample once. */
  constructor(report: (options: TransformOptions, sample: FrameSampleValue) => void) {
    this.#report = report;
  }

  begin(transformer: RTCRtpScriptTransformer, options: TransformOptions): void {
    this.#running.set(name(options), { transformer, options });
  }

  end(options: TransformOptions): void {
    this.#running.delete(name(options));
    this.#wanted.delete(name(options));
  }

  /** Shows the stream's next frame: of a picture the next that stands by itself, which a receiver asks its sender for. */
  ask(stream: Pick<TransformOptions, "protection" | "stream">): void {
    this.#wanted.add(name(stream));
    const running = this.#running.get(name(stream));
    // Senders could make one as well, but Chromium (156) has no generateKeyFrame.
    if (running === undefined || running.options.kind !== "video" || running.options.direction !== "receive") return;
    running.transformer.sendKeyFrameRequest().catch(() => undefined); // refused before the first frame, which is one
  }

  /** Whether this frame is to be shown; only then the caller keeps what it was. */
  wants(options: TransformOptions, frame: RTCEncodedVideoFrame | RTCEncodedAudioFrame): boolean {
    return this.#wanted.has(name(options)) && (!("type" in frame) || options.kind === "audio" || frame.type === "key");
  }

  /** Shows a frame that was wanted. `wire` is as `cover` gave it. */
  show(options: TransformOptions, codec: Codec, frame: Bytes, wire: Bytes): void {
    if (!this.#wanted.delete(name(options))) return;
    const sealed = uncover(codec, wire);
    const { kid, ctr, size } = decodeHeader(sealed);
    const clear = wire.length - sealed.length;
    this.#report(options, { codec, frame: frame.slice(), wire: wire.slice(), clear, header: size, keyId: kid, counter: ctr });
  }
}

const name = ({ protection, stream }: Pick<TransformOptions, "protection" | "stream">): string => `${protection}/${stream}`;
