/** Ways for packets: each may lose, double and reorder them, and may be in anybody's hands. */
import type { Bytes } from "../worker/crypto_keys.js";

export interface PacketTransport {
  /** Whether so much waits that what is sent now comes late. */
  readonly full: boolean;
  /** False where the packet was not taken: the way is closed or full. */
  send(packet: Bytes): boolean;
  /** Hears what comes; set once. */
  onpacket: (packet: Bytes) => void;
}

/** On whose ways: on all; on those of no one client, as a relay's; or on one client's own, by its id, joined. */
export type Whose = "all" | "relays" | { readonly client: string };

/** All ways of a session: media go on each. */
export class PacketWays {
  /** With the client at the other end, if it is one. */
  readonly #ways = new Map<PacketTransport, string | undefined>();
  readonly #hear: (packet: Bytes, from: Uint8Array | undefined) => void;

  /** @param hear - hears what comes, and by whose way */
  constructor(hear: (packet: Bytes, from: Uint8Array | undefined) => void) {
    this.#hear = hear;
  }

  /** Whether every way is full: one that is keeps nothing from the others. */
  get full(): boolean {
    return this.#ways.size > 0 && [...this.#ways.keys()].every(({ full }) => full);
  }

  add(way: PacketTransport, from: Uint8Array | undefined): void {
    way.onpacket = (packet) => this.#hear(packet, from);
    this.#ways.set(way, from?.join());
  }

  delete(way: PacketTransport): void {
    way.onpacket = () => undefined;
    this.#ways.delete(way);
  }

  /** Whether there is one of these. */
  has(whose: Whose): boolean {
    return this.#of(whose).length > 0;
  }

  send(packet: Bytes, whose: Whose): void {
    for (const way of this.#of(whose)) way.send(packet);
  }

  end(): void {
    for (const way of [...this.#ways.keys()]) this.delete(way);
  }

  #of(whose: Whose): PacketTransport[] {
    if (whose === "all") return [...this.#ways.keys()];
    const wanted = whose === "relays" ? undefined : whose.client;
    return [...this.#ways].filter(([, client]) => client === wanted).map(([way]) => way);
  }
}

/** A transport whose end is heard: once, also where it ended already. */
export interface ClosingTransport extends PacketTransport {
  readonly closed: Promise<void>;
  /** Ends it, where it is ours to end. */
  close?(): void;
}

/** What a channel for packets is made with: a lost one is not sent again, and none waits for it. */
export const CHANNEL_OPTIONS = { ordered: false, maxRetransmits: 0 } as const;

/** Bytes that may wait in a channel: a quarter of a second at 4 Mbit/s. What comes later than that comes too late. */
const MAX_BUFFERED = 128 * 1024;
/** Bytes that wait, above which no picture is begun: a third of a second at 400 kbit/s, and a key frame has gone by the next picture. */
const FULL = 16 * 1024;

/** Over a data channel, which can be transferred to a worker before it is used. */
export class DataChannelTransport implements ClosingTransport {
  readonly #channel: RTCDataChannel;
  readonly closed: Promise<void>;
  onpacket: (packet: Bytes) => void = () => undefined;

  constructor(channel: RTCDataChannel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
    this.closed = new Promise((resolve) => {
      channel.addEventListener("close", () => resolve(), { once: true });
      if (channel.readyState === "closed") resolve();
    });
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.onpacket(new Uint8Array(data));
    });
  }

  get full(): boolean {
    return this.#channel.bufferedAmount > FULL;
  }

  send(packet: Bytes): boolean {
    if (this.#channel.readyState !== "open" || this.#channel.bufferedAmount + packet.length > MAX_BUFFERED) return false;
    this.#channel.send(packet);
    return true;
  }
}

/** Over a port whose other end does with packets what it likes: each message is one, as bytes. */
export class PortTransport implements ClosingTransport {
  /** Nobody can say; who waits is at the other end. */
  readonly full = false;
  readonly #port: MessagePort;
  readonly closed: Promise<void>;
  onpacket: (packet: Bytes) => void = () => undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    this.closed = new Promise((resolve) => port.addEventListener("close", () => resolve(), { once: true }));
    port.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (data instanceof ArrayBuffer) this.onpacket(new Uint8Array(data));
      else if (data instanceof Uint8Array && data.buffer instanceof ArrayBuffer) this.onpacket(data as Bytes);
    });
    port.start();
  }

  send(packet: Bytes): boolean {
    this.#port.postMessage(packet); // a copy: a packet goes all ways
    return true;
  }
}
