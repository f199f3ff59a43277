import type { Connection } from "./connection.js";
import { publicError, RoomkeyError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import type { InitKeys } from "./identity.js";
import { readMessages } from "./messages.js";
import type { PlainError } from "./protocol.js";
import type { CallOptions } from "./roomkey.js";
import { type Member, type Message, type Suite, toMember, toMessage, type VerifiedIdentity, type Wire } from "./values.js";

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
  policy: ConferencePolicy | null;
  ordering: string;
  status: ConferenceStatus;
  members: Member[];
  verification: Verification;
}>;

/** A group of identities that share keys which no server holds. */
export class Conference extends TypedEventTarget<ConferenceEvents> {
  /** The MLS group id. */
  readonly id: Uint8Array;
  readonly name: string;
  /** Undefined once it has ended. */
  readonly suite: Suite | undefined;
  /** The domain whose service orders commits. */
  readonly ordering: string;
  readonly #connection: Connection;
  readonly #handle: number;
  readonly #ended = new AbortController();
  readonly #stored = new EventTarget();
  #closed = false;
  #epoch: bigint;
  #status: ConferenceStatus;
  #members: readonly Member[];
  #verification: Verification;
  #policy: ConferencePolicy | undefined;

  private constructor(connection: Connection, value: ConferenceValue) {
    super();
    this.#connection = connection;
    this.#handle = value.handle;
    this.id = value.id;
    this.name = value.name;
    this.suite = value.suite == null ? undefined : Object.freeze(value.suite);
    this.ordering = value.ordering;
    [this.#epoch, this.#status, this.#members, this.#verification, this.#policy] = state(value);
  }

  /** @internal The one object of a conference's handle, brought up to date. */
  static of(connection: Connection, value: ConferenceValue): Conference {
    const receiver = connection.receiver(value.handle);
    if (receiver instanceof Listener) {
      receiver.conference.#update(value);
      return receiver.conference;
    }
    const conference = new Conference(connection, value);
    connection.listen(value.handle, new Listener(conference, (type, detail) => conference.#receive(type, detail)));
    return conference;
  }

  /** Rises with every change of the group. */
  get epoch(): bigint {
    return this.#epoch;
  }

  get status(): ConferenceStatus {
    return this.#status;
  }

  /** By leaf index. */
  get members(): readonly Member[] {
    return this.#members;
  }

  get verification(): Verification {
    return this.#verification;
  }

  /** Who comes in. Undefined once it has ended. */
  get policy(): ConferencePolicy | undefined {
    return this.#policy;
  }

  /**
   * Adds all clients of all these identities in one commit, or nobody; the keys are used only if it succeeds.
   *
   * Rejects with "init-keys-used", "no-common-suite", "already-member", "commit-conflict".
   */
  async invite(keys: InitKeys | readonly InitKeys[], options: CallOptions = {}): Promise<Invited> {
    const used: readonly InitKeys[] = Array.isArray(keys) ? keys : [keys as InitKeys];
    if (used.some((each) => typeof each?.handle !== "number")) {
      throw publicError(new Failure("bad-argument", "keys: expected what fetchInitKeys gave", { field: "keys" }));
    }
    const args = { keys: used.map(({ handle }) => handle) };
    const value = await this.#call<Wire<{ epoch: bigint; added: Member[] }>>("conference.invite", args, options.signal);
    for (const each of used) this.#connection.used(each);
    return { epoch: BigInt(value.epoch), added: value.added.map(toMember) };
  }

  /**
   * A ticket, by which one person outside comes in by themselves (`Identity.joinConference`), until the next change of the conference:
   * it is good for one epoch. It is a secret: whoever holds it sees who is in the conference and can join, seen by all and under their
   * own name, or stop the conference's changes for good, as any member could. Hand it on over a channel that you trust; keep none.
   *
   * Rejects with "ticket-not-allowed" unless the conference's policy is "external-joins".
   */
  ticket(options: CallOptions = {}): Promise<Uint8Array> {
    return this.#call("conference.ticket", {}, options.signal);
  }

  /** Removes an identity with all its clients, or one client. */
  async remove(who: string | { readonly clientId: Uint8Array }, options: CallOptions = {}): Promise<void> {
    const args = typeof who === "string" ? { identity: who } : { clientId: who.clientId };
    await this.#call("conference.remove", args, options.signal);
  }

  /** Gives this client fresh keys, and the group a new epoch. */
  async update(options: CallOptions = {}): Promise<void> {
    await this.#call("conference.update", {}, options.signal);
  }

  /** Leaves the group for good. */
  async leave(options: CallOptions = {}): Promise<void> {
    await this.#call("conference.leave", {}, options.signal);
  }

  /** Sends a message to all members. When it resolves it is durable; delivery goes on in the background, also after a reload. */
  async send(data: Uint8Array, options: CallOptions = {}): Promise<Sent> {
    const value = await this.#call<Wire<Sent>>("conference.send", { data }, options.signal);
    this.#stored.dispatchEvent(new Event("stored"));
    return { seq: value.seq, epoch: BigInt(value.epoch) };
  }

  /**
   * The messages after number `after` (0: all that are kept), our own included, then those to come. It ends when the conference has
   * ended or is closed; aborting it rejects.
   */
  messages(options: { readonly after?: number } & CallOptions = {}): AsyncIterableIterator<Message> {
    const fetch = async (after: number): Promise<Message[]> => {
      if (this.#closed) return [];
      const batch = await this.#call<Wire<Message>[]>("conference.messages", { after }, options.signal);
      return batch.map(toMessage);
    };
    return readMessages(this.#stored, fetch, this.#ended.signal, options.after ?? 0, options.signal);
  }

  /** Deletes a stored message for good. */
  async forget(seq: number): Promise<void> {
    await this.#call("conference.forget", { seq });
  }

  /** Fingerprints of the senders' SRTP keys, to show that two members hold the same ones. */
  async keyFingerprints(options: { readonly profile: SrtpProfile }): Promise<KeyFingerprints> {
    const value = await this.#call<Wire<KeyFingerprints>>("conference.keyFingerprints", { profile: options.profile });
    return { ...value, epoch: BigInt(value.epoch) };
  }

  /** All senders' SRTP keys, for endpoints that are not this page. Rejects with "export-not-allowed" unless `load` allowed it. */
  async srtpKeys(options: { readonly profile: SrtpProfile }): Promise<SrtpKeys> {
    const value = await this.#call<Wire<SrtpKeys>>("conference.srtpKeys", { profile: options.profile });
    return { ...value, epoch: BigInt(value.epoch) };
  }

  /**
   * MLS-Exporter (RFC 9420 section 8.5) of the present epoch: `length` bytes. Rejects with "export-not-allowed" unless `load`
   * allowed it.
   */
  exportSecret(label: string, context: Uint8Array, length: number): Promise<Uint8Array> {
    return this.#call("conference.exportSecret", { label, context, length });
  }

  /** Lets go of it: no more events; the state stays. Later calls reject with "closed". */
  async close(): Promise<void> {
    await this.#call("conference.close");
    this.#closed = true;
    this.#connection.unlisten(this.#handle);
    this.#ended.abort();
  }

  #call<T>(method: string, args: object = {}, signal?: AbortSignal): Promise<T> {
    return this.#connection.call(method, { handle: this.#handle, ...args }, signal);
  }

  #update(value: ConferenceValue): boolean {
    if (BigInt(value.epoch) < this.#epoch) return false; // an answer that an event has overtaken
    [this.#epoch, this.#status, this.#members, this.#verification, this.#policy] = state(value);
    if (this.#status !== "active") this.#ended.abort();
    return true;
  }

  #receive(type: string, detail: unknown): void {
    if (type === "epoch") {
      if (this.#update(detail as ConferenceValue)) this.emit(type, { epoch: this.#epoch });
    } else if (type === "members") {
      const value = detail as MembersValue;
      this.#update(value.conference);
      const { added, removed, entered } = value;
      this.emit(type, { added: added.map(toMember), removed: removed.map(toMember), entered: entered.map(toMember) });
    } else if (type === "message") {
      this.#stored.dispatchEvent(new Event("stored"));
      this.emit(type, toMessage(detail as Wire<Message>));
    } else if (type === "ended") {
      const value = detail as EndedValue;
      this.#status = value.reason === "downgrade" ? "failed" : value.reason;
      this.#verification = { epoch: this.#epoch, digits: "" };
      this.#policy = undefined;
      const by = value.by == null ? undefined : toMember(value.by);
      this.emit(type, { reason: value.reason, by, error: value.error == null ? undefined : new RoomkeyError(value.error) });
      this.#ended.abort();
    } else if (type === "error") {
      this.emit(type, new RoomkeyError(detail as PlainError));
    }
  }
}

interface MembersValue {
  readonly added: readonly Wire<Member>[];
  readonly removed: readonly Wire<Member>[];
  readonly entered: readonly Wire<Member>[];
  readonly conference: ConferenceValue;
}

interface EndedValue {
  readonly reason: "removed" | "left" | "downgrade" | "failed";
  // Python's None arrives as undefined; null is read the same.
  readonly by?: Wire<Member> | null;
  readonly error?: PlainError | null;
}

/** Links a handle to its conference, so that each has one object. */
class Listener {
  readonly conference: Conference;
  readonly receive: (type: string, detail: unknown) => void;

  constructor(conference: Conference, receive: (type: string, detail: unknown) => void) {
    this.conference = conference;
    this.receive = receive;
  }
}

type State = [bigint, ConferenceStatus, readonly Member[], Verification, ConferencePolicy | undefined];

function state(value: ConferenceValue): State {
  const { epoch, digits } = value.verification;
  const members = Object.freeze(value.members.map(toMember));
  const verification = Object.freeze({ epoch: BigInt(epoch), digits });
  return [BigInt(value.epoch), value.status, members, verification, value.policy ?? undefined];
}

/** Closes at the end of an `await using` block. */
export interface Conference extends AsyncDisposable {}
disposable(Conference);
