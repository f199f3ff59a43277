import { Conference } from "./conference.js";
import type { ConferencePolicy, ConferenceValue } from "./conference_values.js";
import type { Connection } from "./connection.js";
import { publicError, RoomkeyError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import { type FetchedInitKeys, InitKeys, type InitKeysValue } from "./init_keys.js";
import { Invitation, type InvitationValue } from "./invitation.js";
import type { PlainError } from "./protocol.js";
import type { CallOptions } from "./roomkey.js";
import {
  type Device,
  type ForkEvidence,
  type Service,
  type Stock,
  type Suite,
  toDevice,
  toTraffic,
  type Traffic,
  type Wire,
} from "./values.js";

/** @internal An identity as the bridge gives it. */
export interface IdentityValue {
  readonly handle: number;
  readonly identity: string;
  readonly clientId: Uint8Array;
  readonly identityKey: Uint8Array;
  readonly suites: readonly Suite[];
  readonly service: Service;
}

/** Events of an identity. */
export interface IdentityEvents {
  /** Somebody asks to join their conference. */
  invitation: Invitation;
  /** A conference was created, accepted or restored. */
  conference: Conference;
  /** The stock at the delivery service changed. */
  stock: Stock;
  /**
   * A failure in the background that belongs to no conference. "identity-hijacked": keys that are not this person's stand under their
   * name in the log. "log-fork": a log showed two truths (`Identity.forkEvidence`).
   */
  error: RoomkeyError;
  /** Something travelled. */
  traffic: Traffic;
}

/** How a conference is made. */
export interface ConferenceOptions extends CallOptions {
  readonly name: string;
  /** Who will be invited. It uses nothing up: `invite` takes the same keys. */
  readonly meantFor?: readonly InitKeys[];
  /** "members-only" by default. */
  readonly policy?: ConferencePolicy;
}

/** One identity, open in this tab alone. */
export class Identity extends TypedEventTarget<IdentityEvents> {
  /** "alice@email1.example", canonical. */
  readonly identity: string;
  /** SHA-256 of the identity key, 32 bytes. */
  readonly clientId: Uint8Array;
  readonly identityKey: Uint8Array;
  /** What it offers, best first: chosen when it was made, of what this browser can. */
  readonly suites: readonly Suite[];
  /** The delivery service that it is enrolled at. */
  readonly service: Service;
  readonly #connection: Connection;
  readonly #handle: number;

  /** @internal */
  constructor(connection: Connection, value: IdentityValue) {
    super();
    this.#connection = connection;
    this.#handle = value.handle;
    this.identity = value.identity;
    this.clientId = value.clientId;
    this.identityKey = value.identityKey;
    this.suites = Object.freeze(value.suites.map((suite) => Object.freeze(suite)));
    this.service = Object.freeze(value.service);
    connection.listen(value.handle, { receive: (type, detail) => this.#receive(type, detail) });
  }

  /** Publishes init keys, so that others can invite this identity; from then on the stock is kept topped up. */
  publishInitKeys(options: { readonly count?: number } & CallOptions = {}): Promise<Stock> {
    return this.#call("identity.publishInitKeys", { count: options.count }, options.signal);
  }

  /** The init keys that lie at the delivery service now. */
  stock(options: CallOptions = {}): Promise<Stock> {
    return this.#call("identity.stock", {}, options.signal);
  }

  /**
   * The recovery key, twelve groups of five letters, for the person to write down: with it they come back when every device is lost
   * (`Roomkey.createIdentity`). It is kept until `forgetRecoveryKey`, so that one that was never seen is not lost.
   *
   * Rejects with "recovery-key-taken".
   */
  recoveryKey(): Promise<string> {
    return this.#call("identity.recoveryKey");
  }

  /** The person has the recovery key written down: it is deleted here. One that is gone already is no error. */
  forgetRecoveryKey(): Promise<void> {
    return this.#call("identity.forgetRecoveryKey");
  }

  /** This identity's devices; this one alone where its service keeps no log. */
  async devices(): Promise<Device[]> {
    const values = await this.#call<Wire<Device>[]>("identity.devices");
    return values.map(toDevice);
  }

  /**
   * Lists a further device of this identity, by what `Roomkey.prepareDevice` gave there. Resolves with its client id, 32 bytes, for the
   * person to compare with what the new device shows. The others believe in it once auditors have seen it.
   *
   * Rejects with "malformed", "identity-mismatch", "invalid-signature", "manifest-conflict", "log-unproven".
   */
  admitDevice(request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#call("identity.admitDevice", { request }, options.signal);
  }

  /**
   * Takes another device of this identity off the list, by its client id: its keys are handed out no more, and nobody takes it for this
   * person's. It is removed from the conferences that this device is in before this resolves, where their services answer; from all
   * others within the hour, by whoever is in them. Rejects with "no-such-device", "manifest-conflict", "log-unproven".
   */
  async removeDevice(clientId: Uint8Array, options: CallOptions = {}): Promise<void> {
    await this.#call("identity.removeDevice", { clientId }, options.signal);
  }

  /**
   * Fetches and proves the init keys of one or more identities. One person's failure is theirs alone: it rejects only when nothing
   * could be tried. Giving up after the keys were handed out keeps the proved ones for the next call.
   *
   * Errors in `missing` that people should see: "no-keys" (they have not come online yet, or there is nobody of that name), "no-route" (no
   * service was set for their domain; where that is so of all, this rejects with it), "identity-reset" (`details.version`, `details.manifest`: the person begins anew, or, for
   * version 0, has had too many versions since to tell; see `acceptReset`), "identity-changed", "not-in-manifest", "keys-withheld",
   * "suite-withheld", "log-proof-invalid", "log-fork", "log-unproven" (try again later).
   */
  async fetchInitKeys(identities: string | readonly string[], options: CallOptions = {}): Promise<FetchedInitKeys> {
    const wanted = typeof identities === "string" ? [identities] : [...identities];
    const value = await this.#call<{ keys: InitKeysValue[]; missing: { identity: string; error: PlainError }[] }>(
      "identity.fetchInitKeys",
      { identities: wanted },
      options.signal,
    );
    return {
      keys: value.keys.map((keys) => new InitKeys(this.#connection, keys)),
      missing: value.missing.map(({ identity, error }) => ({ identity, error: new RoomkeyError(error) })),
    };
  }

  /**
   * Makes a conference with this identity alone in it. Its suite is the best that this identity and all of `meantFor` offer, and stays:
   * who offers others cannot be invited later.
   *
   * Rejects with "no-common-suite".
   */
  async createConference(options: ConferenceOptions): Promise<Conference> {
    const { name, policy } = options;
    if (options.meantFor?.some((each) => !(each instanceof InitKeys))) {
      throw publicError(new Failure("bad-argument", "meantFor: expected what fetchInitKeys gave", { field: "meantFor" }));
    }
    const args = { name, policy, keys: options.meantFor?.map(({ handle }) => handle) };
    return Conference.of(this.#connection, await this.#call("identity.createConference", args, options.signal));
  }

  /**
   * Comes into a conference by a ticket that a member made (`Conference.ticket`), once everybody in it is proved. Who was in it before
   * finds what was said then. Giving up does not call it back: if it wins, a "conference" event comes.
   *
   * Rejects with "ticket-expired" once the conference has changed (ask for another ticket), "invalid-ticket", "already-member",
   * "ticket-not-allowed", "unsupported-suite", "no-route", and for members who are not proved as `fetchInitKeys` does.
   */
  async joinConference(ticket: Uint8Array, options: CallOptions = {}): Promise<Conference> {
    return Conference.of(this.#connection, await this.#call("identity.joinConference", { ticket }, options.signal));
  }

  /**
   * Agrees that a person has begun anew, after asking them by another way than this: from now on the manifest that is named counts.
   *
   * Rejects with "identity-reset" if another manifest waits by now, "bad-argument" if none does.
   *
   * @param manifest - `details.manifest` of the "identity-reset" that was shown, 64 hex digits; it agrees to no other
   */
  async acceptReset(identity: string, manifest: string, options: CallOptions = {}): Promise<void> {
    await this.#call("identity.acceptReset", { identity, manifest }, options.signal);
  }

  /** What was kept of logs that showed two truths ("log-fork"): for a file that the person can hand on. */
  async forkEvidence(): Promise<ForkEvidence[]> {
    const values = await this.#call<ForkEvidence[]>("identity.forkEvidence");
    return values.map((value) => Object.freeze({ ...value }));
  }

  /** The conferences that this identity is in or was in. */
  async conferences(options: CallOptions = {}): Promise<Conference[]> {
    const values = await this.#call<ConferenceValue[]>("identity.conferences", {}, options.signal);
    return values.map((value) => Conference.of(this.#connection, value));
  }

  /** The invitations that wait for an answer. */
  async invitations(options: CallOptions = {}): Promise<Invitation[]> {
    const values = await this.#call<InvitationValue[]>("identity.invitations", {}, options.signal);
    return values.map((value) => new Invitation(this.#connection, value));
  }

  /** Closes its conferences and lets other tabs open it. State stays; later calls reject with "closed". */
  async close(): Promise<void> {
    await this.#call("identity.close");
    this.#connection.unlisten(this.#handle);
  }

  #call<T>(method: string, args: object = {}, signal?: AbortSignal): Promise<T> {
    return this.#connection.call(method, { handle: this.#handle, ...args }, signal);
  }

  #receive(type: string, detail: unknown): void {
    if (type === "invitation") this.emit(type, new Invitation(this.#connection, detail as InvitationValue));
    else if (type === "conference") this.emit(type, Conference.of(this.#connection, detail as ConferenceValue));
    else if (type === "stock") this.emit(type, Object.freeze(detail as Stock));
    else if (type === "error") this.emit(type, new RoomkeyError(detail as PlainError));
    else if (type === "traffic") this.emit(type, toTraffic(detail as Wire<Traffic>));
  }
}

/** Closes at the end of an `await using` block. */
export interface Identity extends AsyncDisposable {}
disposable(Identity, "close");
