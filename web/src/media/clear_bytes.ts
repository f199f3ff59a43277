/**
 * What stays readable of an encoded frame, so that packetisers and depacketisers who know nothing of us carry it:
 *
 *     wire = cover || body          body holds the frame whole, sealed; the cover is nothing that a receiver believes
 *
 *     codec  cover                                  body          why
 *     audio  none                                   as it is      RFC 7587 packets are the encoder's output, unread
 *     VP8    10 bytes of a key frame, else 3        as it is      RFC 7741 section 4.3: P bit and size (RFC 6386 section 9.1)
 *     VP9    none                                   as it is      RFC 9628 section 4.2: all that is needed is in the descriptor
 *     H.264  all up to 4 bytes of the first slice   escaped       RFC 6184 section 5: cut at start codes; parameter sets and the
 *                                                                 slice's number of them (H.264 7.3.3) are looked up
 *     AV1    sequence header if there is one, then   as it is      AV1 RTP sections 4.4 and 4.5: cut into OBUs, sizes put in or left
 *            the OBU header of a frame                             out; a packetiser marks a key frame where that header is first
 *
 * A cover is copied, not cut off: what a receiver decodes is what was sealed, so that altered clear bytes reach no decoder, and what
 * depacketisers rewrite (start codes, OBU sizes, H.264's parameter sets) breaks nothing.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { Refused } from "./refused.js";

/** A kind of frame; its number is authenticated with the frame, so that no other decoder gets it. */
export type Codec = keyof typeof NUMBERS;

const NOTHING = new Uint8Array(0);
const NUMBERS = { audio: 1, VP8: 2, VP9: 3, H264: 4, AV1: 5 } as const;

/** The codec of a frame by its kind and MIME type; undefined for one that we cannot cover, whose frames must not go out. */
export function codecOf(kind: "audio" | "video", mimeType: string): Codec | undefined {
  if (kind === "audio") return "audio";
  const name = mimeType.replace(/^video\//i, "").toUpperCase();
  return name === "VP8" || name === "VP9" || name === "H264" || name === "AV1" ? name : undefined;
}

/** SFrame's metadata: struct { uint8 codec; } FrameMetadata. */
export const metadata = (codec: Codec): Bytes => Uint8Array.of(NUMBERS[codec]);

/** What stands before the sealed frame, in the clear. */
export function front(codec: Codec, frame: Bytes): Bytes {
  switch (codec) {
    case "VP8":
      return padded(frame, vp8Cover(frame));
    case "AV1":
      return concat(sequenceHeader(frame), Uint8Array.of(FRAME_OBU << 3));
    default:
      return NOTHING;
  }
}

/** The frame as it travels: `sealed` is `frame` under SFrame, after its front. */
export const woven = (codec: Codec, frame: Bytes, sealed: Bytes): Bytes => (codec === "H264" ? coverH264(frame, sealed) : sealed);

/** The sealed frame in what came. Throws `Refused` "malformed" where there is none. */
export function uncover(codec: Codec, wire: Bytes): Bytes {
  switch (codec) {
    case "VP8":
      return wire.subarray(vp8Cover(wire));
    case "H264":
      return uncoverH264(wire);
    case "AV1":
      return uncoverAv1(wire);
    default:
      return wire;
  }
}

/** RFC 6386 section 9.1: the lowest bit is 0 on key frames, which go on with a start code and the size. */
const vp8Cover = (frame: Bytes): number => (((frame[0] ?? 0) & 1) === 0 ? 10 : 3);

function padded(frame: Bytes, size: number): Bytes {
  const part = new Uint8Array(size);
  part.set(frame.subarray(0, size));
  return part;
}

// -- H.264 (Annex B) --

const SLICE = 1;
const IDR_SLICE = 5;
/** Of a slice, after its NAL header: first_mb_in_slice, slice_type and pic_parameter_set_id are at most 9 bits of what encoders send. */
const SLICE_BYTES = 4;
/** Ends the body, so that it does not end in a zero, which belongs to no NAL unit. */
const STOP = 0x80;

interface Unit {
  /** Of its header, after the start code. */
  readonly start: number;
  readonly end: number;
}

/** NAL units between start codes of three or four bytes, the zeros before a start code left out. */
function* units(frame: Bytes): Generator<Unit> {
  let start = -1;
  for (let at = 0; at + 2 < frame.length; at += 1) {
    if (frame[at] !== 0 || frame[at + 1] !== 0 || frame[at + 2] !== 1) continue;
    if (start >= 0) yield { start, end: at > start && frame[at - 1] === 0 ? at - 1 : at };
    start = at + 3;
    at += 2;
  }
  if (start >= 0) yield { start, end: frame.length };
}

const isSlice = (header: number): boolean => (header & 0x1f) === SLICE || (header & 0x1f) === IDR_SLICE;

function coverH264(frame: Bytes, sealed: Bytes): Bytes {
  const parts: Bytes[] = [];
  for (const { start, end } of units(frame)) {
    parts.push(Uint8Array.of(0, 0, 0, 1));
    if (isSlice(frame[start] ?? 0)) {
      const clear = new Uint8Array(1 + SLICE_BYTES).fill(STOP);
      clear.set(frame.subarray(start, Math.min(end, start + clear.length)));
      return concat(...parts, clear, escape(clear, sealed), Uint8Array.of(STOP));
    }
    parts.push(frame.subarray(start, end));
  }
  throw new Refused("malformed", "expected an H.264 frame with a slice");
}

function uncoverH264(wire: Bytes): Bytes {
  for (const { start, end } of units(wire)) {
    if (!isSlice(wire[start] ?? 0)) continue;
    const body = start + 1 + SLICE_BYTES;
    if (body >= end || wire[end - 1] !== STOP) break;
    return unescape(wire.subarray(start, body), wire.subarray(body, end - 1));
  }
  throw new Refused("malformed", "expected an H.264 frame with a slice that holds a sealed frame");
}

/** How many zeros `bytes` end with, as far as escaping asks. */
function zerosAtEnd(bytes: Bytes): number {
  let count = 0;
  while (count < 2 && bytes[bytes.length - 1 - count] === 0) count += 1;
  return count;
}

/** Puts a 3 behind two zeros wherever a byte up to 3 follows (H.264 section 7.4.1), counting the zeros that stand before. */
function escape(before: Bytes, plain: Bytes): Bytes {
  const out = new Uint8Array(plain.length + Math.ceil(plain.length / 2) + 1);
  let zeros = zerosAtEnd(before);
  let size = 0;
  for (const byte of plain) {
    if (zeros === 2 && byte <= 3) {
      out[size++] = 3;
      zeros = 0;
    }
    out[size++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return out.slice(0, size);
}

function unescape(before: Bytes, escaped: Bytes): Bytes {
  const out = new Uint8Array(escaped.length);
  let zeros = zerosAtEnd(before);
  let size = 0;
  for (const byte of escaped) {
    if (zeros === 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    out[size++] = byte;
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return out.slice(0, size);
}

// -- AV1 (section 5.3 of its specification) --

const SEQUENCE_HEADER_OBU = 1;
const FRAME_OBU = 6;
const HAS_EXTENSION = 4;
const HAS_SIZE = 2;

interface Obu {
  readonly type: number;
  /** Of its header. */
  readonly start: number;
  readonly payload: number;
  readonly end: number;
}

/** OBUs one after the other; the last one may leave out its size. Throws `Refused` "malformed". */
function* obus(frame: Bytes): Generator<Obu> {
  for (let start = 0; start < frame.length; ) {
    const header = frame[start]!;
    let payload = start + ((header & HAS_EXTENSION) === 0 ? 1 : 2);
    let size = frame.length - payload;
    if ((header & HAS_SIZE) !== 0) [size, payload] = leb128(frame, payload);
    const end = payload + size;
    if (size < 0 || end > frame.length) throw new Refused("malformed", "expected an OBU within the frame");
    yield { type: (header >> 3) & 0xf, start, payload, end };
    start = end;
  }
}

/** The frame's sequence header as it is, or nothing. */
function sequenceHeader(frame: Bytes): Bytes {
  for (const { type, start, end } of obus(frame)) if (type === SEQUENCE_HEADER_OBU && end < frame.length) return frame.subarray(start, end);
  return new Uint8Array(0);
}

function uncoverAv1(wire: Bytes): Bytes {
  for (const { type, payload, end } of obus(wire)) if (type === FRAME_OBU) return wire.subarray(payload, end);
  throw new Refused("malformed", "expected a frame OBU");
}

function leb128(frame: Bytes, start: number): [value: number, end: number] {
  let value = 0;
  for (let place = 0; place < 5; place += 1) {
    const byte = frame[start + place];
    if (byte === undefined) break;
    value += (byte & 0x7f) * 2 ** (7 * place);
    if (byte < 0x80) return [value, start + place + 1];
  }
  throw new Refused("malformed", "expected the size of an OBU");
}
