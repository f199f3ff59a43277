/**
 * How large a picture a frame makes its decoder hold, by its own header: decoders make room for it before they look whether there is any
 * picture, so that fifty bytes of a member's can cost hundreds of megabytes, and seconds.
 */
import type { Bytes } from "../worker/crypto_keys.js";

/** Pixels, as many as 4K of cinemas has: more than cameras of computers send. */
export const MAX_PIXELS = 4_096 * 2_304;

const VP8_HEADER_SIZE = 10;

/** Whether a decoder may have the frame. RFC 6386 section 9.1: key frames say the size, others have that of the key frame. */
export function fitsVp8(frame: Bytes): boolean {
  if ((frame[0]! & 1) !== 0) return true;
  if (frame.length < VP8_HEADER_SIZE) return false;
  const size = (at: number): number => (frame[at]! | (frame[at + 1]! << 8)) & 0x3fff;
  return size(6) * size(8) <= MAX_PIXELS;
}

/**
 * Whether a decoder may have the frame, or the frames of a superframe (VP9 bitstream annex B): profile 0 only, since no other is decoded
 * here.
 */
export function fitsVp9(data: Bytes): boolean {
  return vp9Frames(data).every(fitsOne);
}

function vp9Frames(data: Bytes): Bytes[] {
  const marker = data.at(-1)!;
  const [count, bytes] = [(marker & 0x07) + 1, ((marker >> 3) & 0x03) + 1];
  const index = data.length - 2 - count * bytes;
  if ((marker & 0xe0) !== 0xc0 || index < 0 || data[index] !== marker) return [data];
  let start = 0;
  return Array.from({ length: count }, (_, frame) => {
    let size = 0;
    for (let place = 0; place < bytes; place += 1) size += data[index + 1 + frame * bytes + place]! * 2 ** (8 * place);
    return data.subarray(start, (start += size));
  });
}

/** VP9 bitstream section 6.2, uncompressed_header(), up to the size. */
function fitsOne(frame: Bytes): boolean {
  let at = 0;
  const bits = (count: number): number => {
    let value = 0;
    for (let left = count; left > 0; left -= 1, at += 1) value = 2 * value + (((frame[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    return value;
  };
  const fits = (): boolean => (bits(16) + 1) * (bits(16) + 1) <= MAX_PIXELS;
  if (bits(2) !== 2 || bits(2) !== 0) return false; // frame_marker, profile
  if (bits(1) === 1) return true; // show_existing_frame
  const isKey = bits(1) === 0;
  const [isShown, isResilient] = [bits(1) === 1, bits(1) === 1];
  if (isKey) {
    bits(24); // frame_sync_code
    const colours = bits(3);
    if (colours !== CS_RGB) bits(1); // color_range
    return fits();
  }
  const isIntra = !isShown && bits(1) === 1;
  if (!isResilient) bits(2); // reset_frame_context
  if (isIntra) bits(24);
  bits(8); // refresh_frame_flags
  if (isIntra) return fits();
  bits(3 * 4); // references
  for (let reference = 0; reference < 3; reference += 1) if (bits(1) === 1) return true; // as large as that one
  return fits();
}

const CS_RGB = 7;
