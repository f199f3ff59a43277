/**
 * One RTCP packet to SRTCP and back (RFC 3711 section 3.4, RFC 7714 section 9), without state: who calls gives the index.
 *
 *     AES-CM:  8 bytes of header | hidden rest       | E, index | MKI (optional) | tag
 *     AES-GCM: 8 bytes of header | hidden rest | tag | E, index | MKI (optional)
 *
 * With E = 0 nothing is hidden, but all of it is authenticated.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { Refused } from "./refused.js";
import type { MkiMode } from "./srtp.js";
import type { SessionKeys } from "./srtp_kdf.js";

const CLEAR_SIZE = 8;
const VERSION = 2;
const WORD_SIZE = 4;
const E_FLAG = 0x80000000;
export const MAX_RTCP_INDEX = 2 ** 31 - 1;
const NO_MKI = new Uint8Array(0);

/** E = 1 or E = 0. */
export type RtcpMode = "encrypted" | "unsafe-clear";

/** What is readable of an SRTCP packet. */
export interface SrtcpTrailer {
  readonly ssrc: number;
  readonly index: number;
  readonly mode: RtcpMode;
}

/** The SSRC of an RTCP packet's sender. Throws `Refused` "malformed" (RFC 3550 section 6.4). */
export function parseRtcp(packet: Bytes): number {
  const [first] = packet;
  if (first === undefined || packet.length < CLEAR_SIZE) throw malformed(`${CLEAR_SIZE} bytes or more`, packet.length);
  if (first >> 6 !== VERSION) throw malformed(`version ${VERSION}`, first >> 6);
  return view(packet).getUint32(4);
}

/** Protects `packet` at `index`: never two packets of one SSRC at one index under the same keys. */
export async function protectRtcp(keys: SessionKeys, packet: Bytes, index: number, mkiMode: MkiMode, mode: RtcpMode): Promise<Bytes> {
  const ssrc = parseRtcp(packet);
  const word = new Uint8Array(WORD_SIZE);
  view(word).setUint32(0, mode === "encrypted" ? E_FLAG + index : index);
  const clear = mode === "encrypted" ? CLEAR_SIZE : packet.length;
  const head = packet.subarray(0, clear);
  const sealed = await keys.rtcp.seal({ ssrc, index }, head, packet.subarray(clear), word);
  return concat(head, sealed.body, word, mkiMode === "mki" ? keys.mki : NO_MKI, sealed.end);
}

/** What a packet says of itself; not authentic yet. Throws `Refused` "malformed". */
export function parseSrtcp(packet: Bytes, keys: SessionKeys, mkiMode: MkiMode): SrtcpTrailer {
  const ssrc = parseRtcp(packet);
  const place = wordPlace(packet, keys, mkiMode);
  if (place < CLEAR_SIZE + keys.rtcp.tagWithBody) throw malformed("a whole tag and index", packet.length);
  const word = view(packet).getUint32(place);
  return { ssrc, index: word % E_FLAG, mode: word >= E_FLAG ? "encrypted" : "unsafe-clear" };
}

/** Opens `packet`, whose trailer is `trailer`. Rejects with `Refused` "not-authentic". */
export async function unprotectRtcp(keys: SessionKeys, packet: Bytes, trailer: SrtcpTrailer, mkiMode: MkiMode): Promise<Bytes> {
  const place = wordPlace(packet, keys, mkiMode);
  const word = packet.subarray(place, place + WORD_SIZE);
  const clear = trailer.mode === "encrypted" ? CLEAR_SIZE : place - keys.rtcp.tagWithBody;
  const head = packet.subarray(0, clear);
  const sealed = { body: packet.subarray(clear, place), end: packet.subarray(packet.length - keys.rtcp.tagAtEnd) };
  const body = await keys.rtcp.open(trailer, head, sealed, word);
  if (body === null) throw new Refused("not-authentic", "expected a packet protected with its sender's key");
  return concat(head, body);
}

/** Where a packet carries its MKI. Throws `Refused` "malformed". */
export function mkiOfRtcp(packet: Bytes, keys: SessionKeys): Bytes {
  parseSrtcp(packet, keys, "mki"); // it is long enough
  const start = wordPlace(packet, keys, "mki") + WORD_SIZE;
  return packet.subarray(start, start + keys.mki.length);
}

function wordPlace(packet: Bytes, keys: SessionKeys, mkiMode: MkiMode): number {
  return packet.length - keys.rtcp.tagAtEnd - (mkiMode === "mki" ? keys.mki.length : 0) - WORD_SIZE;
}

const view = (packet: Bytes): DataView => new DataView(packet.buffer, packet.byteOffset, packet.byteLength);

const malformed = (expected: string, got: number): Refused => new Refused("malformed", `rtcp: expected ${expected}, got ${got}`);
