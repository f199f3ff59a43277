/** Ways for packets: each may lose, double and reorder them, and may be in anybody's hands. */
import type { Bytes } from "../worker/crypto_keys.js";

export interface PacketTransport {
  /** False where the packet was not taken: the way is closed or full. */
  send(packet: Bytes): boolean;
  /** Hears what comes; set once. */
  onpacket: (packet: Bytes) => void;
}

/** What a channel for packets is made with: a lost one is not sent again, and none waits for it. */
export const CHANNEL_OPTIONS = { ordered: false, maxRetransmits: 0 } as const;

/** Bytes that may wait in a channel: a quarter of a second at 4 Mbit/s. What comes later than that comes too late. */
const MAX_BUFFERED = 128 * 1024;

/** Over a data channel, which can be transferred to a worker before it is used. */
export class DataChannelTransport implements PacketTransport {
  readonly #channel: RTCDataChannel;
  onpacket: (packet: Bytes) => void = () => undefined;

  constructor(channel: RTCDataChannel) {
    this.#channel = channel;
    channel.binaryType = "arraybuffer";
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
