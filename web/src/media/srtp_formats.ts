/** The codecs of SRTP sessions: how each travels, and what makes and reads its frames (wire.md section 7 lists the payload types). */
import type { EncodingValue, MediaKind } from "../srtp_protocol.js";
import { OPUS } from "./rtp_opus.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import type { PayloadFormat } from "./rtp_payload.js";
import { VP8 } from "./rtp_vp8.js";
import { VP9 } from "./rtp_vp9.js";
import { AudioIn, AudioOut, VideoIn, VideoOut } from "./srtp_codecs.js";

/** What WebCodecs takes and gives; whoever has one last closes it. */
export type MediaFrame = VideoFrame | AudioData;

/** Frames of ours on their way to packets. */
export interface FrameOut {
  /** Encodes the frame and closes it. */
  encode(frame: MediaFrame): void;
  /** The next frame is to be one that needs no other. */
  askKeyFrame(): void;
  /** Bits a second from now on; of sound, which takes few, it stays. */
  setBitrate(bitrate: number): void;
  close(): void;
}

/** Frames of somebody's on their way to a target. */
export interface FrameIn {
  decode(frame: EncodedFrame): void;
  close(): void;
}

/** A codec; those without coders are for endpoints that are not ours. */
export interface MediaCodec {
  /** As pages call it. */
  readonly name: string;
  readonly kind: MediaKind;
  readonly format: PayloadFormat;
  /** For frames of the size, or rate and channels, of `like`. */
  readonly encoder?: (encoding: EncodingValue, like: MediaFrame, give: (frame: EncodedFrame) => void, failed: (error: DOMException) => void) => FrameOut;
  readonly decoder?: (give: (frame: MediaFrame) => void, needsKeyFrame: () => void) => FrameIn;
}

const video = (name: string, config: string, format: PayloadFormat): MediaCodec => ({
  name,
  kind: "video",
  format,
  encoder: ({ bitrate, framerate }, like, give, failed) => {
    const { displayWidth: width, displayHeight: height } = like as VideoFrame;
    const out = new VideoOut({ codec: config, width, height, bitrate, framerate }, give, failed);
    return {
      encode: (frame) => out.encode(frame as VideoFrame),
      askKeyFrame: () => out.askKeyFrame(),
      setBitrate: (bits) => out.setBitrate(bits),
      close: () => out.close(),
    };
  },
  decoder: (give, needsKeyFrame) => new VideoIn({ codec: config }, give, needsKeyFrame),
});

const opus: MediaCodec = {
  name: "opus",
  kind: "audio",
  format: OPUS,
  encoder: ({ bitrate }, like, give, failed) => {
    const { sampleRate, numberOfChannels } = like as AudioData;
    const out = new AudioOut({ codec: "opus", sampleRate, numberOfChannels, bitrate }, give, failed);
    return { encode: (frame) => out.encode(frame as AudioData), askKeyFrame: () => undefined, setBitrate: () => undefined, close: () => out.close() };
  },
  // Opus says by itself how many channels it has; what has one is given twice (RFC 7587 section 4.1: receivers take both).
  decoder: (give) => new AudioIn({ codec: "opus", sampleRate: OPUS.clockRate, numberOfChannels: 2 }, give),
};

/** By name. VP9's is of profile 0, level 4, 8 bits (VP codec ISO binding, section "Codecs Parameter String"). */
export const CODECS: ReadonlyMap<string, MediaCodec> = new Map(
  [video("vp8", "vp8", VP8), video("vp9", "vp09.00.40.08", VP9), opus].map((codec) => [codec.name, codec]),
);

/** By payload type. */
export const CODECS_BY_TYPE: ReadonlyMap<number, MediaCodec> = new Map([...CODECS.values()].map((codec) => [codec.format.payloadType, codec]));
