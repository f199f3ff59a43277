/** What the media worker, the page and the roomkey worker say to each other. Keys go between the two workers only. */
import type { PlainError } from "./protocol.js";
import type { SrtpReport, SrtpRequest } from "./srtp_protocol.js";
import type { Member, Wire } from "./values.js";

/** Why an epoch began: who must not hear any more decides how soon keys change. */
export type EpochReason = "start" | "add" | "remove" | "update" | "successor";

/** One epoch of a conference as bridge/media.py tells it; all of it public. */
interface AnyEpochValue {
  /** The conference's handle. */
  readonly conference: number;
  /** The MLS group's id. */
  readonly group: Uint8Array;
  readonly epoch: number;
  readonly reason: EpochReason;
  readonly ownLeaf: number;
  readonly members: readonly Wire<Member>[];
}

/** An epoch whose SFrame base key goes with it. */
export interface EpochValue extends AnyEpochValue {
  /** Number of the SFrame suite. */
  readonly suite: number;
  readonly leafCount: number;
  readonly indexBits: number;
}

/** An epoch whose senders' SRTP keys go with it. */
export interface SrtpEpochValue extends AnyEpochValue {
  /** Of the page's number: see `SrtpRequest`. */
  readonly session: number;
  /** By its DTLS-SRTP number. */
  readonly profile: number;
  /** The master key identifier, two bytes. */
  readonly mki: Uint8Array<ArrayBuffer>;
  /** Leaves, one for each key. */
  readonly senders: readonly number[];
}

/** One sender's SRTP keys of an epoch. `key`: the master key (`importMasterKey`), not extractable. */
export interface SrtpMasterKey {
  readonly key: CryptoKey;
  readonly salt: Uint8Array<ArrayBuffer>;
}

/** Roomkey worker to media worker. */
export type KeyMessage =
  /** `baseKey`: HKDF, not extractable. */
  | { readonly kind: "epoch"; readonly value: EpochValue; readonly baseKey: CryptoKey }
  /** The conference's keys are to be forgotten at once. */
  | { readonly kind: "end"; readonly conference: number }
  /** `keys`: of `value.senders`, in that order. */
  | { readonly kind: "srtp"; readonly value: SrtpEpochValue; readonly keys: readonly SrtpMasterKey[] }
  | { readonly kind: "srtp-end"; readonly session: number }
  /** What a member, proved to be this client, said of its SRTP streams (srtp_streams.ts). */
  | { readonly kind: "streams"; readonly conference: number; readonly from: Uint8Array; readonly data: Uint8Array<ArrayBuffer> }
  /** The answer to "context": durable, and given out once. */
  | { readonly kind: "context"; readonly id: number; readonly context: bigint }
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly error: PlainError };

/** Media worker to roomkey worker. */
export type KeyRequest =
  | { readonly kind: "context"; readonly id: number; readonly conference: number }
  /** A receiver lacks keys. */
  | { readonly kind: "resync"; readonly id: number; readonly conference: number }
  /** All members, or the one client `to`, are to be told of our SRTP streams. */
  | { readonly kind: "announce"; readonly id: number; readonly conference: number; readonly data: Uint8Array; readonly to?: Uint8Array };

/** Page to media worker. */
export type MediaRequest =
  /** `keys`: the port to the roomkey worker. `life`: the Web Lock that the worker holds while it lives. */
  | { readonly kind: "start"; readonly keys: MessagePort; readonly life: string }
  /** Nothing goes through this protection's streams any more. */
  | { readonly kind: "stop"; readonly protection: number }
  /** Shows the next frame of a stream: the next key frame of a picture. */
  | { readonly kind: "sample"; readonly protection: number; readonly stream: number }
  | SrtpRequest;

/** What an RTCRtpScriptTransform is made with. */
export interface TransformOptions {
  readonly conference: number;
  readonly protection: number;
  /** Names the stream in the worker's reports. */
  readonly stream: number;
  readonly direction: "send" | "receive";
  readonly kind: "audio" | "video";
  /** Receiving: the one client whose media is let through, if it is known; 32 bytes. */
  readonly from: Uint8Array | undefined;
}

/** "waiting": nothing came yet. "no-key", "refused": nothing good came for a second. */
export type StreamState = "waiting" | "protected" | "no-key" | "refused";

/** What the worker tells of a stream when its state, or whose it is, changes. */
export interface StreamReport {
  readonly kind: "stream";
  readonly protection: number;
  readonly stream: number;
  readonly state: StreamState;
  readonly reason: string | undefined;
  readonly member: Wire<Member> | undefined;
  /** Unix milliseconds. */
  readonly since: number;
}

/** One frame on both sides of its protection. */
export interface FrameSampleValue {
  /** "VP8", "VP9", "H264", "AV1", or "audio". */
  readonly codec: string;
  /** As the encoder made it, or the decoder gets it. */
  readonly frame: Uint8Array;
  /** As it travels: bytes that stay readable, SFrame's header, what is sealed, its tag. H.264's is escaped inside. */
  readonly wire: Uint8Array;
  /** Bytes of `wire` that stay readable: what stands before SFrame's header. */
  readonly clear: number;
  /** Bytes of SFrame's header. */
  readonly header: number;
  /** SFrame's KID and CTR (RFC 9605 section 4.3): which key, and the frame's number under it. */
  readonly keyId: bigint;
  readonly counter: bigint;
}

/** The answer to "sample". */
export interface SampleReport {
  readonly kind: "sample";
  readonly protection: number;
  readonly stream: number;
  readonly sample: FrameSampleValue;
}

/** Media worker to page. */
export type MediaReport = { readonly kind: "alive" } | { readonly kind: "holds-life" } | StreamReport | SampleReport | SrtpReport;
