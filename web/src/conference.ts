import { Call } from "./call/call.js";
import type { CallSetup } from "./call/call_values.js";
import {
  type ConferenceEvents,
  type ConferencePolicy,
  type ConferenceStatus,
  type ConferenceValue,
  type EndedValue,
  type Invited,
  type KeyFingerprints,
  type MembersValue,
  type Sent,
  type SignalKind,
  type SignalValue,
  type SrtpKeys,
  type SrtpProfile,
  type State,
  state,
  type SuccessorValue,
  type Verification,
} from "./conference_values.js";
import type { Connection } from "./connection.js";
import { publicError, RoomkeyError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import type { InitKeys } from "./init_keys.js";
import { readMessages } from "./messages.js";
import { type ProtectOptions, type Protection, protectConnection } from "./protection.js";
import type { PlainError } from "./protocol.js";
import type { CallOptions } from "./roomkey.js";
import { beginSrtp, type SrtpSession, type SrtpUse } from "./srtp.js";
import type { SrtpOptions } from "./srtp_values.js";
import { type Member, type Message, type Suite, toMember, toMessage, type Wire } from "./values.js";

/** A group of identities that share keys which no server holds. */
export class Conference extends TypedEventTarget<ConferenceEvents> {
  readonly name: string;
  readonly #connection: Connection;
  readonly #handle: number;
  readonly #ended = new AbortController();
  readonly #stored = new EventTarget();
  readonly #formerIds = new Set<string>();
  #closed = false;
  #hearCall: ((value: SignalValue) => void) | undefined;
  #srtp: SrtpSession | undefined;
  #srtpBegins = false;
  #state: State;

  private constructor(connection: Connection, value: ConferenceValue) {
    super();
    this.#connection = connection;
    this.#handle = value.handle;
    this.name = value.name;
    this.#state = state(value);
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

  /** The MLS group id; another one after a "successor". */
  get id(): Uint8Array {
    return this.#state.id;
  }

  /** Undefined once it has ended. */
  get suite(): Suite | undefined {
    return this.#state.suite;
  }

  /** The better suite that everybody in it offers, if there is one: see `upgrade`. */
  get betterSuite(): Suite | undefined {
    return this.#state.betterSuite;
  }

  /** The domain whose service orders commits. */
  get ordering(): string {
    return this.#state.ordering;
  }

  /** Rises with every change of the group; after a "successor" it begins anew. */
  get epoch(): bigint {
    return this.#state.epoch;
  }

  get status(): ConferenceStatus {
    return this.#state.status;
  }

  /** By leaf index. */
  get members(): readonly Member[] {
    return this.#state.members;
  }

  get verification(): Verification {
    return this.#state.verification;
  }

  /** Who comes in. Undefined once it has ended. */
  get policy(): ConferencePolicy | undefined {
    return this.#state.policy;
  }

  /**
   * Adds all clients of all these identities in one commit, or nobody; the keys are used only if it succeeds.
   *
   * Rejects with "init-keys-used", "already-member", "commit-conflict", "no-common-suite" (`details.offers` says who offers what,
   * `details.largest` who could meet, and in which suite).
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

  /**
   * Moves the conference to the service of another member's domain, which orders its changes from then on.
   *
   * Rejects with "bad-argument" for a domain that no member has, "no-route", "commit-conflict".
   */
  async moveOrdering(domain: string, options: CallOptions = {}): Promise<void> {
    await this.#call("conference.moveOrdering", { domain }, options.signal);
  }

  /**
   * Moves the conference to the best suite that everybody in it offers: it goes on in a new group of the same people ("successor").
   *
   * Rejects with "no-better-suite"; "group-succeeding" if it takes long, and then it goes on in the background.
   */
  async upgrade(options: CallOptions = {}): Promise<void> {
    await this.#call("conference.upgrade", {}, options.signal);
  }

  /**
   * Goes on without somebody who was brought into the conference and cannot be proved, or not yet, for good: with all whose people decide
   * the same. Until somebody decides, or the proof is there, the conference stands still: its "error" event says so ("log-unproven",
   * "identity-reset", "log-fork") and names `details.identity`, whom it is about, and `details.inviter`, who brought them. Who has
   * proved them stays with them, and both sides see who went.
   *
   * Rejects with "bad-argument" if nobody waits for proof; "group-succeeding" if it takes long, and then it goes on in the background.
   *
   * @param options.withoutInviter - leaves behind who brought them, too
   */
  async goOnWithout(options: { readonly withoutInviter?: boolean } & CallOptions = {}): Promise<void> {
    const { withoutInviter = false, signal } = options;
    await this.#call("conference.goOnWithout", { withoutInviter }, signal);
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
   * Says something for the moment, to all members or to the one client `to`: it is stored nowhere, and lost to whom it does not reach
   * within a minute ("signal"). At most 64 KiB; 64 at once and 8 a second.
   *
   * Rejects with "no-such-member", "too-many-signals" (`retryAfter`), "bad-argument".
   */
  async signal(data: Uint8Array, options: { readonly to?: Uint8Array } & CallOptions = {}): Promise<void> {
    await this.#signal("application", data, options.to, options.signal);
  }

  /**
   * The messages after number `after` (0: all that are kept), our own included, then those to come. It ends when the conference has
   * ended or is closed; aborting it rejects.
   */
  messages(options: { readonly after?: number } & CallOptions = {}): AsyncIterableIterator<Message> {
    const fetch = async (after: number): Promise<Message[]> => {
      try {
        const batch = this.#closed ? [] : await this.#call<Wire<Message>[]>("conference.messages", { after }, options.signal);
        return batch.map(toMessage);
      } catch (error) {
        if (this.#closed) return []; // it ended meanwhile
        throw error;
      }
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
   * Encrypts all media that goes out over `pc` and decrypts what comes in, by SFrame (RFC 9605) in a worker, under the conference's
   * keys, which no page sees and which change with every epoch. Call it before anything is added to `pc`, since browsers take a transform
   * that comes later without a word and send in the clear. What is added from then on is protected, also before this resolves. There is
   * no way back: after `stop`, or when the conference has ended, nothing passes.
   *
   * Rejects with "browser-too-old" (`details.missing`), "bad-argument" where something was added to `pc` before, or another conference
   * protects it, "closed" for a connection that is closed, "not-a-member"; after a reload without a record of what was sent, it may
   * commit and reject as `update`.
   */
  protect(pc: RTCPeerConnection, options: ProtectOptions = {}): Promise<Protection> {
    const use = { conference: this.#handle, keys: () => this.#call<void>("conference.protect") };
    return protectConnection(pc, this.#connection.media, use, options);
  }

  /**
   * Media of the conference in SRTP packets (RFC 3711), over data channels or whatever carries them: `connect` ways to the others or to a
   * relay, `send` media, hear of theirs ("stream"). A worker encodes, protects, and opens; the conference's keys go to it past the page,
   * and change with every epoch.
   *
   * Rejects with "already-in-call" while a session of this conference goes on, "not-a-member", "bad-argument" (`details.field`); after a
   * reload without a record of what was sent, it may commit and reject as `update`.
   */
  async srtp(options: SrtpOptions = {}): Promise<SrtpSession> {
    options.signal?.throwIfAborted();
    if (this.#srtp?.ended === false || this.#srtpBegins) throw publicError(new Failure("already-in-call", "expected one session at a time"));
    const use: SrtpUse = {
      conference: this.#handle,
      begin: (session, profile) => this.#call("conference.srtp", { session, profile }, options.signal),
      end: (session) => this.#connection.call("conference.srtpStop", { session }),
    };
    this.#srtpBegins = true;
    try {
      this.#srtp = await beginSrtp(this.#connection.media, use, options);
    } finally {
      this.#srtpBegins = false;
    }
    return this.#srtp;
  }

  /**
   * Joins the conference's call: a connection to each other client in it, signalled by messages of the conference and protected under
   * its keys. Whose page has none of it sees nobody.
   *
   * Who is in it when this resolves, ourselves first, is in `Call.tiles`; "tile" tells of changes from then on.
   *
   * Rejects as `getUserMedia` where the browser or its person refuses (a `DOMException`, such as NotAllowedError), as `signal`, and with
   * transport "srtp" as `srtp`; "already-in-call" while we are in it, "bad-argument" (`details.field`).
   */
  async call(setup: CallSetup = {}): Promise<Call> {
    if (this.#hearCall !== undefined) throw publicError(new Failure("already-in-call", "expected to be in the call once"));
    const listen = (listener: ((value: SignalValue) => void) | undefined): void => {
      this.#hearCall = listener;
    };
    listen(() => undefined); // from now on there is one
    try {
      return await Call.join(this, { send: (data, to) => this.#signal("call", data, to), listen }, setup);
    } catch (error) {
      listen(undefined);
      throw error;
    }
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

  #signal(kind: SignalKind, data: Uint8Array, to?: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#call("conference.signal", { kind, data, to }, signal);
  }

  #update(value: ConferenceValue): boolean {
    const fresh = state(value);
    // an answer that an event has overtaken: of an earlier epoch, or of the group before
    if (this.#formerIds.has(text(fresh.id))) return false;
    if (text(fresh.id) === text(this.id) && fresh.epoch < this.epoch) return false;
    if (text(fresh.id) !== text(this.id)) this.#formerIds.add(text(this.id));
    this.#state = fresh;
    if (this.status !== "active") this.#ended.abort();
    return true;
  }

  #hearSignal({ kind, from, data }: SignalValue): void {
    if (kind === "call") this.#hearCall?.({ kind, from, data });
    if (kind === "application") this.emit("signal", Object.freeze({ from: toMember(from), data }));
  }

  #receive(type: string, detail: unknown): void {
    if (type === "epoch") {
      if (this.#update(detail as ConferenceValue)) this.emit(type, { epoch: this.epoch });
    } else if (type === "members") {
      const value = detail as MembersValue;
      this.#update(value.conference);
      const { added, removed, entered } = value;
      this.emit(type, { added: added.map(toMember), removed: removed.map(toMember), entered: entered.map(toMember) });
    } else if (type === "message") {
      this.#stored.dispatchEvent(new Event("stored"));
      this.emit(type, toMessage(detail as Wire<Message>));
    } else if (type === "signal") {
      this.#hearSignal(detail as SignalValue);
    } else if (type === "successor") {
      const { conference, formerId, reason } = detail as SuccessorValue;
      this.#update(conference);
      this.emit(type, { formerId, reason });
    } else if (type === "upgrade") {
      this.emit(type, { suite: Object.freeze((detail as { suite: Suite }).suite) });
    } else if (type === "ended") {
      const value = detail as EndedValue;
      if (value.reason === "left") this.#closed = true; // the worker has let go of it
      const status = value.reason === "downgrade" ? "failed" : value.reason;
      const { epoch } = this;
      this.#state = { ...this.#state, status, verification: { epoch, digits: "" }, policy: undefined, betterSuite: undefined };
      const by = value.by == null ? undefined : toMember(value.by);
      this.emit(type, { reason: value.reason, by, error: value.error == null ? undefined : new RoomkeyError(value.error) });
      this.#ended.abort();
    } else if (type === "error") {
      this.emit(type, new RoomkeyError(detail as PlainError));
    }
  }
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

/** A group's id, to compare. */
const text = (id: Uint8Array): string => id.join();

/** Closes at the end of an `await using` block. */
export interface Conference extends AsyncDisposable {}
disposable(Conference, "close");
