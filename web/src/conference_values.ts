/** What a conference says of itself, and how the bridge says it. */
import type { RoomkeyError } from "./errors.js";
import type { PlainError } from "./protocol.js";
import { type Member, type Message, type Suite, toMember, type VerifiedIdentity, type Wire } from "./values.js";

/** SRTP protection profiles, by their DTLS-SRTP names (RFC 5764, RFC 7714). */
export type SrtpProfile = "SRTP_AES128_CM_HMAC_SHA1_80" | "SRTP_AEAD_AES_128_GCM" | "SRTP_AEAD_AES_256_GCM";

/** "active", or how it ended: epoch and members are then the last known ones, and messages can still be read. */
export type ConferenceStatus = "active" | "removed" | "left" | "failed";

/**
 * Who comes into a conference. "members-only": who is invited. "external-joins": also who holds a ticket (`Conference.ticket`).
 */
export type ConferencePolicy = "members-only" | "external-joins";

/** Thirty digits that are the same for all members of an epoch, to be read aloud. */
export interface Verification {
  readonly epoch: bigint;
  /** Empty when the conference has ended. */
  readonly digits: string;
}

/** One sender's SRTP key, as a hash that reveals nothing of it. */
export interface KeyFingerprint {
  readonly leafIndex: number;
  readonly identity: string;
  readonly clientId: Uint8Array;
  readonly own: boolean;
  /** 16 hex digits: the first 8 bytes of a hash. */
  readonly fingerprint: string;
}

/** Fingerprints of all senders' SRTP keys in one epoch. */
export interface KeyFingerprints {
  readonly epoch: bigint;
  readonly profile: SrtpProfile;
  readonly keys: readonly KeyFingerprint[];
}

/** One sender's SRTP master key and salt. */
export interface SrtpKey {
  readonly leafIndex: number;
  readonly identity: string;
  readonly clientId: Uint8Array;
  readonly own: boolean;
  readonly masterKey: Uint8Array;
  readonly masterSalt: Uint8Array;
}

/** All senders' SRTP keys in one epoch. */
export interface SrtpKeys {
  readonly epoch: bigint;
  readonly profile: SrtpProfile;
  /** Master key identifier, 2 bytes: the epoch modulo 2^16. */
  readonly mki: Uint8Array;
  readonly keys: readonly SrtpKey[];
}

/** A sent message: durable already, delivered in the background. */
export interface Sent {
  readonly seq: number;
  readonly epoch: bigint;
}

/** What an `invite` has done. */
export interface Invited {
  readonly epoch: bigint;
  readonly added: readonly VerifiedIdentity[];
}

/** Where a conference goes on: in a new group of the same people, with a new id. */
export interface Successor {
  readonly formerId: Uint8Array;
  /** "reinit": it moved to better encryption (`Conference.upgrade`). "branch": somebody made a change that nobody could follow. */
  readonly reason: "reinit" | "branch";
}

/** Something that a member said for the moment. */
export interface Signal {
  readonly from: Member;
  readonly data: Uint8Array;
}

/** Events of a conference. The object's own properties are up to date before they come. */
export interface ConferenceEvents {
  /** A new epoch: new keys for all members. */
  epoch: { readonly epoch: bigint };
  /** Who came and who went; after "epoch". */
  members: {
    readonly added: readonly Member[];
    readonly removed: readonly Member[];
    /** Who came by themselves, by a ticket; also who so came back in their own old place, which is in none of the others. */
    readonly entered: readonly Member[];
  };
  message: Message;
  /** What a member said for the moment by `Conference.signal`: it is stored nowhere. */
  signal: Signal;
  /** It goes on in another group: `id` is another, `suite` may be; its messages stay. "epoch" follows, beginning low again. */
  successor: Successor;
  /** Everybody in it offers better encryption: `Conference.upgrade` moves it there. */
  upgrade: { readonly suite: Suite };
  /** It is over for this client. */
  ended: {
    readonly reason: "removed" | "left" | "downgrade" | "failed";
    readonly by: Member | undefined;
    readonly error: RoomkeyError | undefined;
  };
  /** A failure in the background. */
  error: RoomkeyError;
}

/** @internal A conference as the bridge gives it. */
export type ConferenceValue = Wire<{
  handle: number;
  id: Uint8Array;
  name: string;
  epoch: bigint;
  suite: Suite | null;
  betterSuite: Suite | null;
  policy: ConferencePolicy | null;
  ordering: string;
  status: ConferenceStatus;
  members: Member[];
  verification: Verification;
}>;

/** @internal What signals are about: the application's own things, a call, or SRTP streams. */
export type SignalKind = "application" | "call" | "streams";

/** @internal A signal as the bridge gives it. */
export type SignalValue = Wire<Signal> & { readonly kind: SignalKind };

/** @internal */
export interface MembersValue {
  readonly added: readonly Wire<Member>[];
  readonly removed: readonly Wire<Member>[];
  readonly entered: readonly Wire<Member>[];
  readonly conference: ConferenceValue;
}

/** @internal */
export interface SuccessorValue extends Successor {
  readonly conference: ConferenceValue;
}

/** @internal */
export interface EndedValue {
  readonly reason: "removed" | "left" | "downgrade" | "failed";
  // Python's None arrives as undefined; null is read the same.
  readonly by?: Wire<Member> | null;
  readonly error?: PlainError | null;
}

/** @internal What changes of a conference. */
export interface State {
  readonly id: Uint8Array;
  readonly suite: Suite | undefined;
  readonly betterSuite: Suite | undefined;
  readonly ordering: string;
  readonly epoch: bigint;
  readonly status: ConferenceStatus;
  readonly members: readonly Member[];
  readonly verification: Verification;
  readonly policy: ConferencePolicy | undefined;
}

/** @internal */
export function state(value: ConferenceValue): State {
  const { id, ordering, status } = value;
  const { epoch, digits } = value.verification;
  return {
    id,
    ordering,
    status,
    suite: value.suite == null ? undefined : Object.freeze(value.suite),
    betterSuite: value.betterSuite == null ? undefined : Object.freeze(value.betterSuite),
    epoch: BigInt(value.epoch),
    members: Object.freeze(value.members.map(toMember)),
    verification: Object.freeze({ epoch: BigInt(epoch), digits }),
    policy: value.policy ?? undefined,
  };
}
