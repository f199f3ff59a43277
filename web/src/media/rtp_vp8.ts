/**
 * VP8 in RTP (RFC 7741 section 4.2).
 *
 *          0 1 2 3 4 5 6 7
 *         |X|R|N|S|R| PID |     S: a partition begins; with PID 0, the frame does
 *      X: |I|L|T|K| RSV   |
 *      I: |M| PictureID   |     M: 15 bits of it, else 7
 *         |   PictureID   |
 *      L: |   TL0PICIDX   |
 *    T/K: |TID|Y| KEYIDX  |
 *
 * We send one layer and do not look for partitions, so PID stays 0, which section 4.2 allows.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { fitsVp8 } from "./picture_size.js";
import { Refused } from "./refused.js";
import { evenly, type Fragment, MAX_PAYLOAD, type Packetiser, type PayloadFormat } from "./rtp_payload.js";

const X = 0x80;
const S = 0x10;
const PID = 0x07;
const I = 0x80;
const L = 0x40;
const T_OR_K = 0x30;
const LONG_ID = 0x80;
const PICTURE_IDS = 2 ** 15;
const DESCRIPTOR_SIZE = 4;
/** Of a frame's first byte: 0 for key frames (RFC 6386 section 9.1). */
const INTER_FRAME = 0x01;

export const VP8: PayloadFormat = {
  payloadType: 96,
  clockRate: 90_000,
  dependent: true,
  packetiser: () => new Vp8Packetiser(),
  read,
  fits: fitsVp8,
};

class Vp8Packetiser implements Packetiser {
  #pictureId = 0;

  split(frame: Bytes): Bytes[] {
    const id = this.#pictureId;
    this.#pictureId = (id + 1) % PICTURE_IDS;
    return evenly(frame, MAX_PAYLOAD - DESCRIPTOR_SIZE).map((part, at) =>
      concat(Uint8Array.of(at === 0 ? X | S : X, I, LONG_ID | (id >> 8), id & 0xff), part),
    );
  }
}

function read(payload: Bytes, marker: boolean): Fragment {
  const head = payload[0] ?? 0;
  let size = 1;
  if ((head & X) !== 0) {
    const extension = payload[1] ?? 0;
    size = 2;
    if ((extension & I) !== 0) size += ((payload[size] ?? 0) & LONG_ID) !== 0 ? 2 : 1;
    if ((extension & L) !== 0) size += 1;
    if ((extension & T_OR_K) !== 0) size += 1;
  }
  if (payload.length <= size) throw new Refused("malformed", `vp8: expected more than ${size} bytes, got ${payload.length}`);
  const data = payload.subarray(size);
  const first = (head & S) !== 0 && (head & PID) === 0;
  return { first, last: marker, keyFrame: first && (data[0]! & INTER_FRAME) === 0, data };
}
