/** How encoded frames travel in RTP payloads: what all codecs share. */
import type { Bytes } from "../worker/crypto_keys.js";

/**
 * Bytes of an SRTP packet at most. SCTP under a data channel puts 44 bytes around a message, DTLS 37, UDP and IP 48: within the 1,280
 * that IPv6 promises (RFC 8831 section 5 asks for 1,200 of SCTP, which would cut ours in two; what is sent whole is lost whole).
 */
export const MAX_PACKET = 1_120;
/** RTP's header, the longest tag and an MKI. */
const AROUND = 12 + 16 + 2;
export const MAX_PAYLOAD = MAX_PACKET - AROUND;

/** What one payload holds of a frame. */
export interface Fragment {
  /** Whether the frame begins and ends here. */
  readonly first: boolean;
  readonly last: boolean;
  /** Known where the frame begins: it needs no other to be decoded. */
  readonly keyFrame: boolean;
  readonly data: Bytes;
}

/** A codec in RTP. */
export interface PayloadFormat {
  /** Dynamic payload types are ours to give (RFC 3551 section 6); wire.md section 7 lists them. */
  readonly payloadType: number;
  /** Ticks of the timestamp a second. */
  readonly clockRate: number;
  /** Whether frames need those before them, back to a key frame. */
  readonly dependent: boolean;
  /** What cuts the frames of one stream, in order, into payloads of `MAX_PAYLOAD` at most. */
  packetiser(): Packetiser;
  /** Throws `Refused` "malformed". */
  read(payload: Bytes, marker: boolean): Fragment;
  /** Whether a decoder may have the frame: of pictures, whether it is not too large. */
  fits(frame: Bytes): boolean;
}

export interface Packetiser {
  split(frame: Bytes, keyFrame: boolean): Bytes[];
}

/** `bytes` in as few parts of at most `size` as there can be, all nearly as long: a short last one would cost as much as a long one. */
export function evenly(bytes: Bytes, size: number): Bytes[] {
  const count = Math.max(1, Math.ceil(bytes.length / size));
  const place = (part: number): number => Math.floor((part * bytes.length) / count);
  return Array.from({ length: count }, (_, part) => bytes.subarray(place(part), place(part + 1)));
}
