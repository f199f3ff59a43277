/**
 * Picture Loss Indication: a receiver asks for a key frame (RFC 4585 section 6.3.1), by itself (RFC 5506).
 *
 *     |V=2|P|  FMT=1  |    PT=206     |          length=2             |
 *     |                   SSRC of who asks                            |
 *     |                   SSRC of the stream                          |
 */
import type { Bytes } from "../worker/crypto_keys.js";

const HEAD = [0x81, 206, 0, 2];
const SIZE = 12;

export function encodePli(own: number, stream: number): Bytes {
  const packet = new Uint8Array(SIZE);
  packet.set(HEAD);
  const view = new DataView(packet.buffer);
  view.setUint32(4, own);
  view.setUint32(8, stream);
  return packet;
}

/** The SSRC of the stream that a key frame is asked of; undefined for other RTCP. */
export function readPli(packet: Bytes): number | undefined {
  if (packet.length !== SIZE || HEAD.some((byte, place) => packet[place] !== byte)) return undefined;
  return new DataView(packet.buffer, packet.byteOffset, packet.byteLength).getUint32(8);
}
