/** The codecs of SRTP sessions: how each travels, and what makes and reads its frames (wire.md section 7 lists the payload types). */
import type { EncodingValue, MediaKind } from "../srtp_protocol.js";
import { OPUS } from "./rtp_opus.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import type { PayloadFormat } from "./rtp_payload.js";
import { VP8 } from "./rtp_vp8.js";
import { VideoIn, VideoOut } from "./srtp_codecs.js";

/** What WebCodecs takes and gives; whoever has one last closes it. */
export type MediaFrame = VideoFrame | AudioData;

/** Frames of ours on their way to packets. */
export interface FrameOut {
  /** Encodes the frame and closes it. */
  encode(frame: MediaFrame): void;
  /** The next frame is to be one that needs no other. */
  askKeyFrame(): void;
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
      close: () => out.close(),
    };
  },
  decoder: (give, needsKeyFrame) => new VideoIn({ codec: config }, give, needsKeyFrame),
});

/** By name. */
export const CODECS: ReadonlyMap<string, MediaCodec> = new Map(
  [video("vp8", "vp8", VP8), { name: "opus", kind: "audio", format: OPUS } as const].map((codec) => [codec.name, codec]),
);

/** By payload type. */
export const CODECS_BY_TYPE: ReadonlyMap<number, MediaCodec> = new Map([...CODECS.values()].map((codec) => [codec.format.payloadType, codec]));
