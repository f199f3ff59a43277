/** The ways of a session's packets: channels and ports of the page's, rooms of relays. */
import { Failure, failureOf } from "../failure.js";
import type { SrtpRequest } from "../srtp_protocol.js";
import { type ClosingTransport, DataChannelTransport, type PacketTransport, PortTransport } from "./packet_transport.js";
import { RelayTransport } from "./relay_transport.js";

type Asked<A extends SrtpRequest["ask"]> = Extract<SrtpRequest, { ask: A }>;

/** Who uses them. */
interface User {
  connect(transport: PacketTransport, from?: Uint8Array): void;
  disconnect(transport: PacketTransport): void;
}

interface WayHooks {
  relaying(way: number): void;
  relayEnded(way: number, error: Failure): void;
}

export class SrtpWays {
  readonly #user: User;
  readonly #hooks: WayHooks;
  /** By the page's number. */
  readonly #ways = new Map<number, ClosingTransport>();
  /** Relays that have not answered yet. */
  readonly #opening = new Set<number>();
  #ended = false;

  constructor(user: User, hooks: WayHooks) {
    this.#user = user;
    this.#hooks = hooks;
  }

  connect({ way, channel, from }: Asked<"connect">): void {
    const transport = channel instanceof MessagePort ? new PortTransport(channel) : new DataChannelTransport(channel);
    this.#ways.set(way, transport);
    this.#user.connect(transport, from);
    void transport.closed.then(() => this.disconnect(way));
  }

  async relay({ way, url, hashes }: Asked<"relay">): Promise<void> {
    this.#opening.add(way);
    try {
      const transport = await RelayTransport.open(url, hashes);
      if (this.#ended || !this.#opening.delete(way)) {
        transport.close();
        return;
      }
      this.#ways.set(way, transport);
      this.#user.connect(transport);
      this.#hooks.relaying(way);
      await transport.closed;
      if (this.#ended || !this.#ways.has(way)) return; // the page wanted that
      this.disconnect(way);
      throw new Failure("relay-unreachable", "expected the relay to go on, it ended", { origin: new URL(url).origin });
    } catch (error) {
      this.#opening.delete(way);
      this.#hooks.relayEnded(way, failureOf(error));
    }
  }

  disconnect(way: number): void {
    this.#opening.delete(way);
    const transport = this.#ways.get(way);
    if (transport === undefined) return;
    this.#user.disconnect(transport);
    transport.close?.();
    this.#ways.delete(way);
  }

  end(): void {
    this.#ended = true;
    for (const way of [...this.#ways.keys()]) this.disconnect(way);
  }
}
