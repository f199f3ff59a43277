/** Single packets on both sides of their protection, for people to see what it does: kept only when asked for. */
import type { Bytes } from "../worker/crypto_keys.js";

/** Hears of one packet, clear and as it travels. */
export type Sampled = (packet: Bytes, wire: Bytes) => void;

export class PacketSamples<Stream> {
  readonly #wanted = new Map<Stream, Sampled>();

  /** `give` hears of the stream's next packet. */
  want(stream: Stream, give: Sampled): void {
    this.#wanted.set(stream, give);
  }

  /** What there was of one of the stream's packets. */
  show(stream: Stream, packet: Bytes | undefined, wire: Bytes | undefined): void {
    const give = this.#wanted.get(stream);
    if (give === undefined || packet === undefined || wire === undefined) return;
    this.#wanted.delete(stream);
    give(packet, wire);
  }

  forget(stream: Stream): void {
    this.#wanted.delete(stream);
  }
}
