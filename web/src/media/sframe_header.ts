/**
 * The SFrame header (RFC 9605 section 4.3): one config byte, then KID and CTR where they do not fit into it.
 *
 *     0 1 2 3 4 5 6 7
 *    +-+-+-+-+-+-+-+-+------------+------------+
 *    |X|  K  |Y|  C  |   KID...   |   CTR...   |      X, Y = 0: K, C are the value; 1: its length in bytes, minus one
 *    +-+-+-+-+-+-+-+-+------------+------------+
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { Refused } from "./refused.js";

const EXTENDED = 0x8; // of a config byte's half: the value follows outside
const LARGEST_INSIDE = 7n;
const MAX_VALUE = (1n << 64n) - 1n;

export interface SFrameHeader {
  readonly kid: bigint;
  readonly ctr: bigint;
  /** Its length in bytes, 1 to 17. */
  readonly size: number;
}

/** The header's bytes. Throws RangeError where a value is not in 64 bits. */
export function encodeHeader(kid: bigint, ctr: bigint): Bytes {
  const kidBytes = minimal(kid);
  const ctrBytes = minimal(ctr);
  const half = (value: bigint, bytes: number[]): number => (bytes.length === 0 ? Number(value) : EXTENDED | (bytes.length - 1));
  return Uint8Array.of((half(kid, kidBytes) << 4) | half(ctr, ctrBytes), ...kidBytes, ...ctrBytes);
}

/** Headers of the frames under one KID: made for each frame that is sent, so without the arithmetic of 64 bits. */
export class KidHeaders {
  /** The header at counter 0. */
  readonly #first: Bytes;

  constructor(kid: bigint) {
    this.#first = encodeHeader(kid, 0n);
  }

  /** The header and `metadata` after it, which is what SFrame authenticates. `ctr` is a whole number below 2^53. */
  withMetadata(ctr: number, metadata: Bytes): Bytes {
    let more = 0;
    if (ctr > Number(LARGEST_INSIDE)) for (let rest = ctr; rest > 0; rest = Math.floor(rest / 256)) more += 1;
    const start = this.#first.length;
    const out = new Uint8Array(start + more + metadata.length);
    out.set(this.#first);
    out[0]! |= more === 0 ? ctr : EXTENDED | (more - 1);
    for (let place = start + more - 1, rest = ctr; place >= start; place -= 1, rest = Math.floor(rest / 256)) out[place] = rest % 256;
    out.set(metadata, start + more);
    return out;
  }
}

/** The header that `frame` starts with. Throws `Refused` "malformed" for a cut one or one not encoded as short as can be. */
export function decodeHeader(frame: Bytes): SFrameHeader {
  const config = frame[0];
  if (config === undefined) throw new Refused("malformed", "expected an sframe header, got nothing");
  const [kid, afterKid] = decodeValue(frame, config >> 4, 1);
  const [ctr, size] = decodeValue(frame, config & 0xf, afterKid);
  return { kid, ctr, size };
}

/** The bytes outside the config byte: none for a small value, else as few as hold it. */
function minimal(value: bigint): number[] {
  if (value < 0n || value > MAX_VALUE) throw new RangeError("expected a value of 64 bits");
  const bytes: number[] = [];
  if (value > LARGEST_INSIDE) for (let rest = value; rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return bytes;
}

function decodeValue(frame: Bytes, half: number, start: number): [value: bigint, end: number] {
  if ((half & EXTENDED) === 0) return [BigInt(half), start];
  const end = start + (half & 0x7) + 1;
  if (end > frame.length) throw new Refused("malformed", `expected a header of ${end} bytes or more, got ${frame.length}`);
  let value = 0n;
  for (const byte of frame.subarray(start, end)) value = (value << 8n) | BigInt(byte);
  // A second form of the same header would be a second form of the same frame.
  if (value <= LARGEST_INSIDE || frame[start] === 0) throw new Refused("malformed", "expected the shortest form of a header's value");
  return [value, end];
}
