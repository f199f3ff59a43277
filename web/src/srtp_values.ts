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
}

const DEFAULTS: Readonly<Record<"audio" | "video", EncodingValue>> = {
  video: { codec: "vp8", bitrate: 1_000_000, framerate: 30 },
  audio: { codec: "opus", bitrate: 32_000, framerate: 0 },
};

/** @internal */
export function encodingOf(kind: "audio" | "video", { codec, bitrate, framerate }: SrtpSendOptions): EncodingValue {
  const defaults = DEFAULTS[kind];
  return { codec: codec ?? defaults.codec, bitrate: bitrate ?? defaults.bitrate, framerate: framerate ?? defaults.framerate };
}
