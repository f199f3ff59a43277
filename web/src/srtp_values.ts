/** What an `SrtpSession` is begun and used with. */
import type { SrtpProfile } from "./conference_values.js";
import type { CallOptions } from "./roomkey.js";
import type { EncodingValue } from "./srtp_protocol.js";

/** How a session's packets are protected: the same for all members. */
export interface SrtpOptions extends CallOptions {
  /** By default "SRTP_AEAD_AES_128_GCM". */
  readonly profile?: SrtpProfile;
  /** Whether packets name their epoch (RFC 3711's MKI, two bytes); by default they do. Without it for endpoints that know none. */
  readonly mki?: boolean;
}

/** Whose way it is. */
export interface SrtpConnectOptions {
  /** The client (`Member.clientId`) at the other end, if it is one: packets of others' streams are refused. Without it: of any member. */
  readonly from?: Uint8Array;
}

/** How media of ours is encoded. */
export interface SrtpSendOptions extends CallOptions {
  /** Of a stream of frames; by default "video". */
  readonly kind?: "audio" | "video";
  /** By default "vp8", of sound "opus". */
  readonly codec?: string;
  /** Bits a second; by default 1,000,000, of sound 32,000. */
  readonly bitrate?: number;
  /** Pictures a second, by default 30. */
  readonly framerate?: number;
  /** Seconds from one key frame to the next, at most, for receivers who cannot ask for one; by default they are made when asked for. */
  readonly keyFrameInterval?: number;
}

const DEFAULTS: Readonly<Record<"audio" | "video", EncodingValue>> = {
  video: { codec: "vp8", bitrate: 1_000_000, framerate: 30, keyFrameInterval: Infinity },
  audio: { codec: "opus", bitrate: 32_000, framerate: 0, keyFrameInterval: Infinity },
};

/** @internal */
export function encodingOf(kind: "audio" | "video", options: SrtpSendOptions): EncodingValue {
  const { codec, bitrate, framerate, keyFrameInterval } = DEFAULTS[kind];
  return {
    codec: options.codec ?? codec,
    bitrate: options.bitrate ?? bitrate,
    framerate: options.framerate ?? framerate,
    keyFrameInterval: options.keyFrameInterval ?? keyFrameInterval,
  };
}
