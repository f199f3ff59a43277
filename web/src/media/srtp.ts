/**
 * One RTP packet to SRTP and back (RFC 3711 section 3.1, RFC 7714 section 8), without state: who calls knows the packet's index.
 *
 *     AES-CM:  RTP header | hidden payload       | MKI (optional) | tag
 *     AES-GCM: RTP header | hidden payload | tag | MKI (optional)
 */
import { Failure } from "../failure.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { Refused } from "./refused.js";
import type { SessionKeys } from "./srtp_kdf.js";

const FIXED_HEADER_SIZE = 12;
const VERSION = 2;
export const SEQUENCES = 2 ** 16;
/** Indices of one stream: 32 bits of rollover counter, 16 of sequence number. */
export const MAX_INDEX = 2 ** 48 - 1;
const MAX_ROLLOVER = 2 ** 32 - 1;
const NO_MKI = new Uint8Array(0);

/** Whether packets name their master key. Both ends must know; it is off for endpoints that lack it. */
export type MkiMode = "mki" | "no-mki";

/** What stays readable of a packet. */
export interface RtpHeader {
  /** With CSRC list and extension, in bytes. */
  readonly size: number;
  readonly sequence: number;
  readonly ssrc: number;
}

/** Throws `Refused` "malformed" where this is no RTP packet (RFC 3550 section 5.1). */
export function parseRtp(packet: Bytes): RtpHeader {
  const [first] = packet;
  if (first === undefined || packet.length < FIXED_HEADER_SIZE) throw malformed(`${FIXED_HEADER_SIZE} bytes or more`, packet.length);
  if (first >> 6 !== VERSION) throw malformed(`version ${VERSION}`, first >> 6);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  let size = FIXED_HEADER_SIZE + 4 * (first & 0xf);
  if ((first & 0x10) !== 0) {
    if (packet.length < size + 4) throw malformed(`a header of ${size + 4} bytes or more`, packet.length);
    size += 4 + 4 * view.getUint16(size + 2);
  }
  if (packet.length < size) throw malformed(`a header of ${size} bytes`, packet.length);
  return { size, sequence: view.getUint16(2), ssrc: view.getUint32(8) };
}

/** Protects `packet`, whose header is `header`, at `index`: never two packets of one SSRC at one index under the same keys. */
export async function protectRtp(keys: SessionKeys, packet: Bytes, header: RtpHeader, index: number, mode: MkiMode): Promise<Bytes> {
  const head = packet.subarray(0, header.size);
  const sealed = await keys.rtp.seal({ ssrc: header.ssrc, index }, head, packet.subarray(header.size), rolloverWord(index));
  return concat(head, sealed.body, mode === "mki" ? keys.mki : NO_MKI, sealed.end);
}

/** Opens `packet` as the one at `index`. Rejects with `Refused` "malformed" or "not-authentic". */
export async function unprotectRtp(keys: SessionKeys, packet: Bytes, header: RtpHeader, index: number, mode: MkiMode): Promise<Bytes> {
  const { tagWithBody, tagAtEnd } = keys.rtp;
  const end = packet.length - tagAtEnd;
  const bodyEnd = end - (mode === "mki" ? keys.mki.length : 0);
  if (bodyEnd < header.size + tagWithBody) throw malformed("a whole tag", packet.length);
  const head = packet.subarray(0, header.size);
  const place = { ssrc: header.ssrc, index };
  const sealed = { body: packet.subarray(header.size, bodyEnd), end: packet.subarray(end) };
  const body = await keys.rtp.open(place, head, sealed, rolloverWord(index));
  if (body === null) throw new Refused("not-authentic", "expected a packet protected with its sender's key");
  return concat(head, body);
}

/** Throws `Failure` "bad-argument" where this is no rollover counter. */
export function expectRollover(rollover: number): void {
  if (!Number.isInteger(rollover) || rollover < 0 || rollover > MAX_ROLLOVER) {
    throw new Failure("bad-argument", `rollover: expected 32 bits, got ${rollover}`);
  }
}

/** Where a packet carries its MKI. Throws `Refused` "malformed". */
export function mkiOfRtp(packet: Bytes, header: RtpHeader, keys: SessionKeys): Bytes {
  const end = packet.length - keys.rtp.tagAtEnd;
  const start = end - keys.mki.length;
  if (start < header.size) throw malformed("an mki", packet.length);
  return packet.subarray(start, end);
}

/** The rollover counter as the tag binds it. */
function rolloverWord(index: number): Bytes {
  const rollover = Math.floor(index / SEQUENCES);
  return Uint8Array.of(rollover >>> 24, rollover >>> 16, rollover >>> 8, rollover);
}

const malformed = (expected: string, got: number): Refused => new Refused("malformed", `rtp: expected ${expected}, got ${got}`);
