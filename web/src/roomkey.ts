import type { Connection } from "./connection.js";
import type { RoomkeyError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Identity, type IdentityValue } from "./identity.js";
import { otherServer } from "./other_server.js";
import { type Service, toTraffic, type Traffic, type Transparency, type Wire } from "./values.js";

/** What a call that only waits may be given. */
export interface CallOptions {
  /** Gives up waiting: the promise rejects with the signal's reason. What is already durable goes on. */
  readonly signal?: AbortSignal;
}

/**
 * Who asks and sends to the others' services. "client": this client itself. "server": its home service does it for this client, which
 * proves what comes all the same; messages wait there while another service is down.
 */
export type Fanout = "client" | "server";

/** A delivery service that has proved to be one. */
export interface DeliveryService extends Service {
  /** The identities' domains for which it is asked. */
  readonly domains: readonly string[];
  readonly fanout: Fanout;
}

/** How a delivery service is to be used. */
export interface DeliveryServiceOptions extends CallOptions {
  /** The domains of identities for which it is asked; without it, its own. */
  readonly domains?: readonly string[];
  /** Counts for a home service; with "server" it is asked for the people of all other domains. Default "client". */
  readonly fanout?: Fanout;
  /**
   * Whom to believe about its people: from now on its log decides, and nothing else. Without it keys are trusted on first use and
   * pinned; whose identity ever had it and has it no more believes nobody of the domain ("log-unproven").
   */
  readonly transparency?: Transparency;
}

/** How an identity is made. */
export interface IdentityOptions extends CallOptions {
  /**
   * The one-time code, from the operator of the identity's delivery service. None for a further device that an older one has admitted
   * (`Roomkey.prepareDevice`, `Identity.admitDevice`), and none beside a recovery key.
   */
  readonly enrolment?: string;
  /**
   * Begins anew under a name whose devices and recovery key are all lost; the code must be one for that. Everybody who knows the name
   * is shown it, and asked whether they agree. Default false.
   */
  readonly reset?: boolean;
  /** The recovery key as it was written down (`Identity.recoveryKey`): takes all older devices off the list. */
  readonly recoveryKey?: string;
  /**
   * Which suites it offers, for good. "experimental": also the post-quantum one, of a draft that may still change; a conference uses it
   * where everybody offers it. Default "standard".
   */
  readonly suites?: "standard" | "experimental";
}

/** An identity that is stored in this browser. */
export interface IdentityInfo {
  readonly identity: string;
  /** Whether this `Roomkey` has it open. */
  readonly open: boolean;
}

/** Events of a `Roomkey`. */
export interface RoomkeyEvents {
  /** The worker has ended by itself ("worker-lost"). */
  error: RoomkeyError;
  /** Something travelled that belongs to no identity yet. */
  traffic: Traffic;
}

/** The library at work: one worker, as `load` has made it. */
export class Roomkey extends TypedEventTarget<RoomkeyEvents> {
  readonly #connection: Connection;

  /** @internal */
  constructor(connection: Connection, onEnd: () => void) {
    super();
    this.#connection = connection;
    connection.listen(undefined, { receive: (type, detail) => this.#receive(type, detail) });
    connection.onEnd = (lost) => {
      onEnd();
      if (lost !== undefined) this.emit("error", lost);
    };
  }

  /**
   * Sets the delivery service of one or more domains, after it has proved to be one.
   *
   * Rejects with "invalid-address", "service-unreachable", "origin-not-allowed", "not-a-delivery-service", "blocked-by-csp"
   * (`details.origin`), "bad-argument" (`details.field`).
   */
  async setDeliveryService(url: string | URL, options: DeliveryServiceOptions = {}): Promise<DeliveryService> {
    const { domains, fanout, transparency, signal } = options;
    const args = { url: String(url), domains: domains === undefined ? undefined : [...domains], fanout, transparency: plain(transparency) };
    try {
      return Object.freeze(await this.#connection.call<DeliveryService>("setDeliveryService", args, signal));
    } catch (error) {
      throw (await otherServer(error, signal)) ?? error;
    }
  }

  /**
   * Sets whom to believe about the people of a domain whose service this page does not ask itself (`fanout: "server"`).
   *
   * Rejects with "bad-argument" (`details.field`).
   */
  async setTransparency(domain: string, transparency: Transparency): Promise<void> {
    await this.#connection.call("setTransparency", { domain, transparency: plain(transparency) });
  }

  /** The identities that are stored in this browser. */
  identities(): Promise<IdentityInfo[]> {
    return this.#connection.call("identities");
  }

  /**
   * Makes keys for an identity and enrols them at its delivery service: by a one-time code, by the recovery key, or as a further
   * device that an older one has admitted.
   *
   * Rejects with "identity-exists" where this browser has it already (open it instead), "enrolment-refused", "already-enrolled",
   * "identity-taken" (the log has keys of this name: recover it), "manifest-refused", "recovery-key-wrong" (a typing error;
   * `details.group` is the group of letters, from 1, or `details.letters` their number, where it is known).
   */
  async createIdentity(identity: string, options: IdentityOptions = {}): Promise<Identity> {
    const { enrolment, reset, recoveryKey, suites, signal } = options;
    return this.#adopt(await this.#connection.call("createIdentity", { identity, enrolment, reset, recoveryKey, suites }, signal));
  }

  /**
   * Makes the keys of a further device of an identity that has others: a request, for `Identity.admitDevice` on one of those. Then
   * `createIdentity` without a code takes it up here. The same again gives the same request. Nothing in it is secret; people compare
   * the device's id, which both devices show.
   *
   * Rejects with "identity-exists".
   */
  prepareDevice(identity: string, options: Pick<IdentityOptions, "suites" | "signal"> = {}): Promise<Uint8Array> {
    return this.#connection.call("prepareDevice", { identity, suites: options.suites }, options.signal);
  }

  /** Opens a stored identity, for this tab alone. Rejects with "in-use-in-another-tab", "no-such-identity". */
  async openIdentity(identity: string, options: CallOptions = {}): Promise<Identity> {
    return this.#adopt(await this.#connection.call("openIdentity", { identity }, options.signal));
  }

  /** Closes all identities and ends the worker. State stays; later calls reject with "closed". */
  close(): Promise<void> {
    return this.#connection.close();
  }

  #adopt(value: IdentityValue): Identity {
    return new Identity(this.#connection, value);
  }

  #receive(type: string, detail: unknown): void {
    if (type === "traffic") this.emit("traffic", toTraffic(detail as Wire<Traffic>));
  }
}

/** A copy that can be posted, whatever the application's object is. */
function plain(value: Transparency | undefined): object | undefined {
  if (value === undefined) return undefined;
  return { log: value.log, vrfKey: value.vrfKey, auditors: [...value.auditors] };
}

/** Closes at the end of an `await using` block. */
export interface Roomkey extends AsyncDisposable {}
disposable(Roomkey, "close");
