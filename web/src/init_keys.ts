import type { Connection } from "./connection.js";
import type { RoomkeyError } from "./errors.js";
import { type ClientInfo, type Service, toClient, toVerified, type Verified, type Wire } from "./values.js";

/** @internal */
export type InitKeysValue = Wire<{
  handle: number;
  identity: string;
  clients: ClientInfo[];
  absent: Uint8Array[];
  verified: Verified;
  service: Service;
}>;

/** The proved init keys of one identity's clients, good for one invitation. */
export class InitKeys {
  readonly identity: string;
  readonly clients: readonly ClientInfo[];
  /**
   * Ids of clients whose keys did not come, though the log lists them or they are known: they will not be invited. Their keys may be used
   * up, or somebody holds a device back.
   */
  readonly absent: readonly Uint8Array[];
  readonly verified: Verified;
  /** The service that they came from. */
  readonly service: Service;
  /** @internal */
  readonly handle: number;

  /** @internal */
  constructor(connection: Connection, value: InitKeysValue) {
    this.handle = value.handle;
    this.identity = value.identity;
    this.clients = Object.freeze(value.clients.map(toClient));
    this.absent = Object.freeze([...value.absent]);
    this.verified = toVerified(value.verified);
    this.service = value.service;
    Object.defineProperty(this, "handle", { enumerable: false });
    connection.releaseWith(this, value.handle);
  }
}

/** The outcome of fetching: whom keys were proved for, and whom not and why. */
export interface FetchedInitKeys {
  readonly keys: InitKeys[];
  readonly missing: { readonly identity: string; readonly error: RoomkeyError }[];
}
