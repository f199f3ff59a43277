import type { Connection } from "./connection.js";
import type { RoomkeyError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Identity, type IdentityValue } from "./identity.js";
import { otherServer } from "./other_server.js";
import { type Service, toTraffic, type Traffic, type Wire } from "./values.js";

/** What a call that only waits may be given. */
export interface CallOptions {
  /** Gives up waiting: the promise rejects with the signal's reason. What is already durable goes on. */
  readonly signal?: AbortSignal;
}

/** A delivery service that has proved to be one. */
export interface DeliveryService extends Service {
  /** The identities' domains for which it is asked. */
  readonly domains: readonly string[];
}

/** How a delivery service is to be used. */
export interface DeliveryServiceOptions extends CallOptions {
  /** The domains of identities for which it is asked; without it, its own. */
  readonly domains?: readonly string[];
  /** Who sends to the others' services: this client itself. */
  readonly fanout?: "client";
}

/** How an identity is made. */
export interface IdentityOptions extends CallOptions {
  /** The one-time code, from the operator of the identity's delivery service. */
  readonly enrolment: string;
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
   * Rejects with "invalid-address", "service-unreachable", "origin-not-allowed", "not-a-delivery-service", "blocked-by-csp" (`details.origin`).
   */
  async setDeliveryService(url: string | URL, options: DeliveryServiceOptions = {}): Promise<DeliveryService> {
    const { domains, fanout, signal } = options;
    const args = { url: String(url), domains: domains === undefined ? undefined : [...domains], fanout };
    try {
      return Object.freeze(await this.#connection.call<DeliveryService>("setDeliveryService", args, signal));
    } catch (error) {
      throw (await otherServer(error, signal)) ?? error;
    }
  }

  /** The identities that are stored in this browser. */
  identities(): Promise<IdentityInfo[]> {
    return this.#connection.call("identities");
  }

  /**
   * Makes keys for an identity and enrols them at its delivery service by a one-time code.
   *
   * Rejects with "identity-exists" where this browser has it already (open it instead), "enrolment-refused", "already-enrolled".
   */
  async createIdentity(identity: string, options: IdentityOptions): Promise<Identity> {
    const args = { identity, enrolment: options.enrolment, suites: options.suites };
    return this.#adopt(await this.#connection.call("createIdentity", args, options.signal));
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

/** Closes at the end of an `await using` block. */
export interface Roomkey extends AsyncDisposable {}
disposable(Roomkey);
