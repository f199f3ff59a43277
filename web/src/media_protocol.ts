/** What the media worker, the page and the roomkey worker say to each other. Keys go between the two workers only. */
import type { PlainError } from "./protocol.js";
import type { Member, Wire } from "./values.js";

/** Why an epoch began: who must not hear any more decides how soon keys change. */
export type EpochReason = "start" | "add" | "remove" | "update" | "successor";

/** One epoch of a conference as bridge/media.py tells it; all of it public. */
export interface EpochValue {
  /** The conference's handle. */
  readonly conference: number;
  /** The MLS group's id. */
  readonly group: Uint8Array;
  readonly epoch: number;
  readonly reason: EpochReason;
  /** Number of the SFrame suite. */
  readonly suite: number;
  readonly leafCount: number;
  readonly indexBits: number;
  readonly ownLeaf: number;
  readonly members: readonly Wire<Member>[];
}

/** Roomkey worker to media worker. */
export type KeyMessage =
  /** `baseKey`: HKDF, not extractable. */
  | { readonly kind: "epoch"; readonly value: EpochValue; readonly baseKey: CryptoKey }
  /** The conference's keys are to be forgotten at once. */
  | { readonly kind: "end"; readonly conference: number }
  /** The answer to "context": durable, and given out once. */
  | { readonly kind: "context"; readonly id: number; readonly context: bigint }
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly error: PlainError };

/** Media worker to roomkey worker. */
export type KeyRequest =
  | { readonly kind: "context"; readonly id: number; readonly conference: number }
  /** A receiver lacks keys. */
  | { readonly kind: "resync"; readonly id: number; readonly conference: number };

/** Page to media worker. */
export type MediaRequest =
  /** `keys`: the port to the roomkey worker. `life`: the Web Lock that the worker holds while it lives. */
  | { readonly kind: "start"; readonly keys: MessagePort; readonly life: string }
  /** Nothing goes through this protection's streams any more. */
  | { readonly kind: "stop"; readonly protection: number };

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

/** Media worker to page. */
export type MediaReport = { readonly kind: "alive" } | { readonly kind: "holds-life" } | StreamReport;
