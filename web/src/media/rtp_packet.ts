/**
 * RTP packets as values (RFC 3550 section 5.1).
 *
 *     |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *     |                           timestamp                           |
 *     |                             SSRC                              |
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { Refused } from "./refused.js";
import { parseRtp } from "./srtp.js";

const HEADER_SIZE = 12;
const VERSION_BITS = 0x80;
const PADDING = 0x20;
const MARKER = 0x80;

export interface RtpPacket {
  /** Seven bits. */
  readonly payloadType: number;
  /** Of video: the last packet of a frame. Of audio: the first one after silence. */
  readonly marker: boolean;
  readonly sequence: number;
  /** 32 bits, in ticks of the codec's clock. */
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payload: Bytes;
}

/** The packet's bytes: no CSRCs, no extension, no padding. */
export function encodeRtp({ payloadType, marker, sequence, timestamp, ssrc, payload }: RtpPacket): Bytes {
  const packet = new Uint8Array(HEADER_SIZE + payload.length);
  packet[0] = VERSION_BITS;
  packet[1] = (marker ? MARKER : 0) | payloadType;
  const view = new DataView(packet.buffer);
  view.setUint16(2, sequence);
  view.setUint32(4, timestamp);
  view.setUint32(8, ssrc);
  packet.set(payload, HEADER_SIZE);
  return packet;
}

/** CSRCs and extensions are passed over. Throws `Refused` "malformed". */
export function decodeRtp(packet: Bytes): RtpPacket {
  const { size, sequence, ssrc } = parseRtp(packet);
  const padding = (packet[0]! & PADDING) === 0 ? 0 : packet[packet.length - 1]!;
  // Padding counts itself; a packet with P and no room for it is none.
  if ((packet[0]! & PADDING) !== 0 && (padding === 0 || size + padding > packet.length)) {
    throw new Refused("malformed", `rtp: expected padding within the payload, got ${padding}`);
  }
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  return {
    payloadType: packet[1]! & 0x7f,
    marker: (packet[1]! & MARKER) !== 0,
    sequence,
    timestamp: view.getUint32(4),
    ssrc,
    payload: packet.subarray(size, packet.length - padding),
  };
}
