/** WebCodecs between pictures or sound and the frames that packets carry. */
import type { Bytes } from "../worker/crypto_keys.js";
import type { EncodedFrame } from "./rtp_outgoing.js";

/** The most pictures that wait for an encoder or decoder; what is beyond is skipped, so that delay does not grow. */
const MAX_QUEUE = 4;
/** The most pieces of sound that wait, of 10 or 20 ms each. */
const MAX_SOUND_QUEUE = 16;

/** Pictures of ours, encoded. */
export class VideoOut {
  readonly #encoder: VideoEncoder;
  #config: VideoEncoderConfig;
  #keyFrame = true;

  constructor(config: VideoEncoderConfig, give: (frame: EncodedFrame) => void, failed: (error: DOMException) => void) {
    this.#encoder = new VideoEncoder({ output: (chunk) => give(plain(chunk)), error: failed });
    this.#config = { latencyMode: "realtime", ...config };
    this.#encoder.configure(this.#config);
  }

  /** Encodes the picture and closes it. */
  encode(picture: VideoFrame): void {
    if (this.#encoder.encodeQueueSize < MAX_QUEUE) {
      this.#encoder.encode(picture, { keyFrame: this.#keyFrame });
      this.#keyFrame = false;
    }
    picture.close();
  }

  /** Pictures from the next one on take as many bits a second; no key frame is needed for that. */
  setBitrate(bitrate: number): void {
    this.#config = { ...this.#config, bitrate };
    if (this.#encoder.state === "configured") this.#encoder.configure(this.#config); // one that failed has closed itself, and said so
  }

  /** The next picture is to be one that needs no other. */
  askKeyFrame(): void {
    this.#keyFrame = true;
  }

  close(): void {
    this.#encoder.close();
  }
}

/** Frames of one stream of somebody's, decoded. A frame that no decoder takes costs the pictures up to the next key frame. */
export class VideoIn {
  readonly #config: VideoDecoderConfig;
  readonly #give: (picture: VideoFrame) => void;
  readonly #needsKeyFrame: () => void;
  #decoder: VideoDecoder | undefined;

  constructor(config: VideoDecoderConfig, give: (picture: VideoFrame) => void, needsKeyFrame: () => void) {
    this.#config = config;
    this.#give = give;
    this.#needsKeyFrame = needsKeyFrame;
  }

  decode({ data, keyFrame, timestamp }: EncodedFrame): void {
    if (this.#decoder === undefined) {
      if (!keyFrame) return;
      this.#decoder = new VideoDecoder({ output: this.#give, error: () => this.#failed() });
      this.#decoder.configure(this.#config);
    }
    this.#decoder.decode(new EncodedVideoChunk({ type: keyFrame ? "key" : "delta", timestamp, data }));
  }

  close(): void {
    if (this.#decoder !== undefined && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = undefined;
  }

  #failed(): void {
    this.#decoder = undefined; // WebCodecs has closed it
    this.#needsKeyFrame();
  }
}

/** Sound of ours, encoded: packets of 20 ms, each good by itself. */
export class AudioOut {
  readonly #encoder: AudioEncoder;

  constructor(config: AudioEncoderConfig, give: (frame: EncodedFrame) => void, failed: (error: DOMException) => void) {
    this.#encoder = new AudioEncoder({ output: (chunk) => give(plain(chunk)), error: failed });
    this.#encoder.configure(config);
  }

  /** Encodes the sound and closes it. */
  encode(sound: AudioData): void {
    if (this.#encoder.encodeQueueSize < MAX_SOUND_QUEUE) this.#encoder.encode(sound);
    sound.close();
  }

  close(): void {
    this.#encoder.close();
  }
}

/** Sound of somebody's, decoded. What no decoder takes is left out. */
export class AudioIn {
  readonly #config: AudioDecoderConfig;
  readonly #give: (sound: AudioData) => void;
  #decoder: AudioDecoder | undefined;

  constructor(config: AudioDecoderConfig, give: (sound: AudioData) => void) {
    this.#config = config;
    this.#give = give;
  }

  decode({ data, timestamp }: EncodedFrame): void {
    if (this.#decoder === undefined || this.#decoder.state === "closed") {
      this.#decoder = new AudioDecoder({ output: this.#give, error: () => (this.#decoder = undefined) });
      this.#decoder.configure(this.#config);
    }
    if (this.#decoder.decodeQueueSize >= MAX_SOUND_QUEUE) return;
    this.#decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data }));
  }

  close(): void {
    if (this.#decoder !== undefined && this.#decoder.state !== "closed") this.#decoder.close();
    this.#decoder = undefined;
  }
}

function plain(chunk: EncodedVideoChunk | EncodedAudioChunk): EncodedFrame {
  const data: Bytes = new Uint8Array(chunk.byteLength);
  chunk.copyTo(data);
  return { data, keyFrame: chunk.type === "key", timestamp: chunk.timestamp };
}
