/** A room of a relay that an `SrtpSession` uses, as pages hold it. */
import type { RoomkeyError } from "./errors.js";
import { TypedEventTarget } from "./events.js";
import type { CallOptions } from "./roomkey.js";

/** How a relay is known. */
export interface SrtpRelayOptions extends CallOptions {
  /** SHA-256 of certificates (32 bytes each), one of which is the relay's. Without any, the browser is to trust its certificate by itself. */
  readonly certificateHashes?: readonly Uint8Array[];
}

/** Events of a relay's room. */
export interface SrtpRelayEvents {
  /** It is no way any more: closed here, or lost ("relay-unreachable"); then `SrtpSession.relay` may be asked again. */
  ended: { readonly error: RoomkeyError | undefined };
}

/** A room of a relay, which others of the conference are in. */
export class SrtpRelay extends TypedEventTarget<SrtpRelayEvents> {
  readonly url: string;
  readonly #close: () => void;

  /** @internal */
  constructor(url: string, close: () => void) {
    super();
    this.url = url;
    this.#close = close;
  }

  /** Goes out of the room. */
  close(): void {
    this.#close();
  }
}
