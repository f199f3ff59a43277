/**
 * What a member says of the SRTP streams that it sends (wire.md section 7); it travels as a signal of its own kind.
 *
 *     struct {
 *         uint32 ssrc;
 *         uint16 protection_profile;
 *         uint32 roc;
 *     } SrtpStream;
 *
 *     struct {
 *         SrtpStream streams<V>;
 *     } SrtpStreams;
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { Refused } from "./refused.js";

/** Of one member: as many as anybody sends, several times over; each costs its receivers two replay windows. */
export const MAX_STREAMS = 32;
/** Streams of one client in a conference, ever: they share the low bits of an SSRC. */
export const MAX_STREAMS_EVER = 2 ** 20;
const STREAM_SIZE = 10;
/** Lengths below 2^6 take a byte, those below 2^14 two (RFC 9420 section 2.1.2). */
const TWO_BYTES = 0x40;

export interface SrtpStream {
  readonly ssrc: number;
  /** By its DTLS-SRTP number. */
  readonly profile: number;
  /** The rollover counter of the next packet, or of one before it. */
  readonly rollover: number;
}

/**
 * An SSRC that this client never had in this conference: `count` is one that it never had. Clients count from places of their own, so
 * that two of them seldom have one number: what is reported of streams (RFC 3550) names them by that alone. `random`: 32 bits.
 */
export function streamNumber(clientId: Uint8Array, count: number, random: number): number {
  const first = new DataView(clientId.buffer, clientId.byteOffset).getUint32(0) % MAX_STREAMS_EVER;
  return random - (random % MAX_STREAMS_EVER) + ((first + count) % MAX_STREAMS_EVER);
}

export function encodeStreams(streams: readonly SrtpStream[]): Bytes {
  const size = streams.length * STREAM_SIZE;
  const head = size < TWO_BYTES ? [size] : [TWO_BYTES | (size >> 8), size & 0xff];
  const bytes = new Uint8Array(head.length + size);
  bytes.set(head);
  const view = new DataView(bytes.buffer);
  for (const [place, { ssrc, profile, rollover }] of streams.entries()) {
    const at = head.length + place * STREAM_SIZE;
    view.setUint32(at, ssrc);
    view.setUint16(at + 4, profile);
    view.setUint32(at + 6, rollover);
  }
  return bytes;
}

/** Throws `Refused` "malformed". */
export function decodeStreams(bytes: Bytes): SrtpStream[] {
  const [first = 0xff, second = 0] = bytes;
  const head = first < TWO_BYTES ? 1 : 2;
  const size = head === 1 ? first : ((first & 0x3f) << 8) | second;
  // A length in more bytes than it needs is another encoding of the same, which RFC 9420 forbids.
  const minimal = first >> 6 === 0 || (first >> 6 === 1 && size >= TWO_BYTES);
  const count = size / STREAM_SIZE;
  if (!minimal || bytes.length !== head + size || !Number.isInteger(count) || count > MAX_STREAMS) {
    throw new Refused("malformed", `streams: expected at most ${MAX_STREAMS} of ${STREAM_SIZE} bytes, got ${bytes.length} bytes`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: count }, (_, place) => {
    const at = head + place * STREAM_SIZE;
    return { ssrc: view.getUint32(at), profile: view.getUint16(at + 4), rollover: view.getUint32(at + 6) };
  });
}
