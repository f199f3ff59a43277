/** The bridge's plain values and what the API makes of them: `Date` for seconds, `bigint` for epochs. */

/**
 * How an identity's keys were proved to be its own. "transparency": by the log of its service, which auditors watch. "self": they are
 * this browser's.
 */
export interface Verified {
  readonly by: "transparency" | "pinned" | "first-use" | "self";
  readonly since: Date;
}

/** Who somebody is, and how that was proved. */
export interface VerifiedIdentity {
  readonly identity: string;
  /** SHA-256 of the identity key, 32 bytes: names one client (device) of the identity. */
  readonly clientId: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly verified: Verified;
}

/** A participant of a conference. */
export interface Member extends VerifiedIdentity {
  readonly leafIndex: number;
  /** Whether it is this client itself. */
  readonly own: boolean;
}

/** A cipher suite: what a conference encrypts with. */
export interface Suite {
  /** RFC 9420's number, or one for private use. */
  readonly number: number;
  readonly name: string;
  /** Of a draft, and used only among people who all chose it. */
  readonly experimental: boolean;
}

/** One client (device) whose keys were fetched. */
export interface ClientInfo {
  readonly clientId: Uint8Array;
  readonly identityKey: Uint8Array;
  /** The suites that it offers. */
  readonly suites: readonly Suite[];
  readonly expires: Date;
}

/** One of an identity's own clients (devices). */
export interface Device {
  readonly clientId: Uint8Array;
  readonly identityKey: Uint8Array;
  /** The suites that it offers. */
  readonly suites: readonly Suite[];
  /** Whether it is this client itself. */
  readonly own: boolean;
  /** Whether the log was proved to list it; false where its service keeps no log. */
  readonly logged: boolean;
}

/**
 * Whom to believe about the log of one delivery service: what its operator and its auditors publish. It belongs into the application,
 * as the code does; it is never taken from a service.
 */
export interface Transparency {
  /** The key of the log: a verifier key of c2sp.org/signed-note. */
  readonly log: string;
  /** The public key that places identities in the log, 32 bytes as base64. */
  readonly vrfKey: string;
  /** The verifier keys of its auditors, at least one. More than half of them must have seen what is believed, within a day. */
  readonly auditors: readonly string[];
}

/** Proof that a log showed two truths: a text file for everybody to check, which names nobody but the log and its auditors. */
export interface ForkEvidence {
  /** The log's name, "email2.example/roomkey". */
  readonly origin: string;
  readonly text: string;
}

/** A delivery service. */
export interface Service {
  readonly url: string;
  readonly domain: string;
}

/** The init keys that lie at the delivery service for others to fetch. */
export interface Stock {
  readonly available: number;
  readonly lastResort: boolean;
  readonly target: number;
}

/** A stored message of a conference. */
export interface Message {
  /** Rises by time of arrival, per conference. */
  readonly seq: number;
  readonly epoch: bigint;
  readonly from: { readonly identity: string; readonly clientId: Uint8Array; readonly leafIndex: number };
  readonly own: boolean;
  readonly data: Uint8Array;
  readonly time: Date;
}

/** Something that travelled to or from a delivery service: never contents. */
export interface Traffic {
  readonly direction: "out" | "in";
  readonly service: string;
  readonly kind: string;
  readonly bytes: number;
  readonly time: Date;
}

/** A value as the bridge gives it: seconds for dates, numbers for epochs. */
export type Wire<T> = T extends Date | bigint
  ? number
  : T extends Uint8Array
    ? T
    : T extends readonly (infer U)[]
      ? readonly Wire<U>[]
      : T extends object
        ? { [K in keyof T]: Wire<T[K]> }
        : T;

export const toDate = (seconds: number): Date => new Date(seconds * 1000);

export const toVerified = (value: Wire<Verified>): Verified => ({ by: value.by, since: toDate(value.since) });

export function toMember(value: Wire<Member>): Member {
  return Object.freeze({ ...value, verified: toVerified(value.verified) });
}

export function toDevice(value: Wire<Device>): Device {
  return Object.freeze({ ...value });
}

export function toClient(value: Wire<ClientInfo>): ClientInfo {
  return Object.freeze({ ...value, expires: toDate(value.expires) });
}

export function toMessage(value: Wire<Message>): Message {
  return Object.freeze({ ...value, epoch: BigInt(value.epoch), time: toDate(value.time) });
}

export function toTraffic(value: Wire<Traffic>): Traffic {
  return Object.freeze({ ...value, time: toDate(value.time) });
}
