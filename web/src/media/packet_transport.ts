/** Ways for packets: each may lose, double and reorder them, and may be in anybody's hands. */
import type { Bytes } from "../worker/crypto_keys.js";

export interface PacketTransport {
  /** False where the packet was not taken: the way is closed or full. */
  send(packet: Bytes): boolean;
  /** Hears what comes; set once. */
  onpacket: (packet: Bytes) => void;
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

  send(packet: Bytes): boolean {
    if (this.#channel.readyState !== "open" || this.#channel.bufferedAmount + packet.length > MAX_BUFFERED) return false;
    this.#channel.send(packet);
    return true;
  }
}

/** Over a port whose other end does with packets what it likes: each message is one, as bytes. */
export class PortTransport implements ClosingTransport {
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
