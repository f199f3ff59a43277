/** What the page and the media worker say to each other about SRTP: ways, sources and targets of media, never keys. */
import type { PlainError } from "./protocol.js";
import type { Member, Wire } from "./values.js";

/** Which media a stream has. */
export type MediaKind = "audio" | "video";

/** How a source is encoded. */
export interface EncodingValue {
  /** A name of srtp_formats.ts. */
  readonly codec: string;
  /** Bits a second. */
  readonly bitrate: number;
  /** Pictures a second. */
  readonly framerate: number;
  /** Seconds; Infinity: a key frame is made when somebody asks for one. */
  readonly keyFrameInterval: number;
}

/**
 * How a stream of somebody's does. "protected": packets come and are good. Of a second without a good one: "no-key", "refused", or
 * "silent", when none came at all.
 */
export type SrtpState = "protected" | "no-key" | "refused" | "silent";

/** One packet on both sides of its protection. */
export interface PacketSampleValue {
  /** RTP (RFC 3550). */
  readonly packet: Uint8Array;
  /** SRTP (RFC 3711), as it travels. */
  readonly wire: Uint8Array;
}

/** Where what is decoded goes. */
export type MediaTarget = OffscreenCanvas | WritableStream<VideoFrame> | WritableStream<AudioData>;

/** Page to media worker. `session` is a number of the page's, which the roomkey worker's keys name, too. */
export type SrtpRequest = { readonly kind: "srtp"; readonly session: number } & (
  | { readonly ask: "start"; readonly conference: number; readonly profile: number; readonly mki: boolean }
  | { readonly ask: "stop" }
  /** A way for packets; `from`: the client at its other end, if it is one. */
  | { readonly ask: "connect"; readonly way: number; readonly channel: RTCDataChannel | MessagePort; readonly from: Uint8Array | undefined }
  /** A room of a relay as a way; `hashes` of its certificate. */
  | { readonly ask: "relay"; readonly way: number; readonly url: string; readonly hashes: readonly Uint8Array<ArrayBuffer>[] }
  | { readonly ask: "disconnect"; readonly way: number }
  /** Frames come by the stream, or one by one ("frame"). */
  | {
      readonly ask: "send";
      readonly stream: number;
      readonly media: MediaKind;
      readonly encoding: EncodingValue;
      readonly source: ReadableStream<VideoFrame> | ReadableStream<AudioData> | undefined;
    }
  | { readonly ask: "frame"; readonly stream: number; readonly frame: VideoFrame | AudioData }
  | { readonly ask: "unsend"; readonly stream: number }
  /** What a member sends goes to a target from now on, and to none before. */
  | { readonly ask: "show"; readonly stream: number; readonly target: MediaTarget }
  /** Shows the next packet of a stream, by the page's number to send, by the worker's to receive. */
  | { readonly ask: "sample"; readonly direction: "send" | "receive"; readonly stream: number }
  | { readonly ask: "counts" }
);

/** "sending", or "unheard": everybody who takes part got nothing of it for 15 s, so nothing is sent any more. */
export type SrtpReachState = "sending" | "unheard";
/** They say nothing any more, or they say that nothing comes. */
export type SrtpUnheardReason = "no-reports" | "no-packets";

/** What becomes of a stream of ours. */
export interface ReachValue {
  readonly state: SrtpReachState;
  readonly reason: SrtpUnheardReason | undefined;
  /** Bits a second that it may have. */
  readonly bitrate: number;
}

/** How many packets were sent, taken, and refused by reason; reports of what came aside. */
export interface CountsValue {
  readonly sent: number;
  readonly received: number;
  readonly refused: Readonly<Record<string, number>>;
}

/** Media worker to page. */
export type SrtpReport = { readonly kind: "srtp"; readonly session: number } & (
  /** A member's stream; its number is the worker's. */
  | { readonly told: "stream"; readonly stream: number; readonly member: Wire<Member>; readonly ssrc: number; readonly media: MediaKind; readonly codec: string }
  | { readonly told: "stream-ended"; readonly stream: number }
  /** `since`: Unix milliseconds. */
  | { readonly told: "state"; readonly stream: number; readonly state: SrtpState; readonly reason: string | undefined; readonly since: number }
  | { readonly told: "sample"; readonly direction: "send" | "receive"; readonly stream: number; readonly sample: PacketSampleValue }
  /** A stream of ours is announced; its number is the page's. */
  | { readonly told: "sending"; readonly stream: number; readonly ssrc: number }
  /** A stream of ours is no more; with an error where nobody asked for that. */
  | { readonly told: "unsent"; readonly stream: number; readonly error: PlainError | undefined }
  /** A relay's room is open as a way; or is no way any more, or never was, with an error where nobody asked for that. */
  | { readonly told: "relaying"; readonly way: number }
  | { readonly told: "relay-ended"; readonly way: number; readonly error: PlainError | undefined }
  /** What may be sent of a stream of ours is something else than before. */
  | ({ readonly told: "reach"; readonly stream: number } & ReachValue)
  /** A member has streams of another profile, by its number. */
  | { readonly told: "other-profile"; readonly member: Wire<Member>; readonly profile: number }
  | { readonly told: "counts"; readonly counts: CountsValue }
  | { readonly told: "error"; readonly error: PlainError }
  /** The conference has ended, or its handle has. */
  | { readonly told: "ended" }
);
