/**
 * VP9 in RTP (RFC 9628 section 4.2).
 *
 *          0 1 2 3 4 5 6 7
 *         |I|P|L|F|B|E|V|Z|     P: predicted from other pictures; B, E: a frame begins, ends
 *      I: |M| PictureID   |     M: 15 bits of it, else 7
 *      M: |   PictureID   |
 *      L: | TID |U| SID |D|
 *  L, !F: |   TL0PICIDX   |     non-flexible mode
 *  P, F:  |   P_DIFF    |N|     flexible mode; N: another one follows, three at most
 *      V: | N_S |Y|G|  -  |     scalability structure
 *      Y:   (N_S + 1) times WIDTH (16), HEIGHT (16)
 *      G: |      N_G      |
 *    N_G times | TID |U| R |  |, R times | P_DIFF |
 *
 * We send one layer in non-flexible mode; others may send any, of which only the one that we can put together is read: a single
 * spatial layer, so that a frame is a picture.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { fitsVp9 } from "./picture_size.js";
import { Refused } from "./refused.js";
import { evenly, type Fragment, MAX_PAYLOAD, type Packetiser, type PayloadFormat } from "./rtp_payload.js";

const I = 0x80;
const P = 0x40;
const L = 0x20;
const F = 0x10;
const B = 0x08;
const E = 0x04;
const V = 0x02;
const LONG_ID = 0x80;
const PICTURE_IDS = 2 ** 15;
const DESCRIPTOR_SIZE = 3;
const SID = 0x0e;
const MORE = 0x01;
const MAX_P_DIFFS = 3;
const Y = 0x10;
const G = 0x08;

export const VP9: PayloadFormat = {
  payloadType: 98,
  clockRate: 90_000,
  dependent: true,
  packetiser: () => new Vp9Packetiser(),
  read,
  fits: fitsVp9,
};

class Vp9Packetiser implements Packetiser {
  #pictureId = 0;

  split(frame: Bytes, keyFrame: boolean): Bytes[] {
    const id = this.#pictureId;
    this.#pictureId = (id + 1) % PICTURE_IDS;
    const parts = evenly(frame, MAX_PAYLOAD - DESCRIPTOR_SIZE);
    return parts.map((part, at) => {
      const flags = I | (keyFrame ? 0 : P) | (at === 0 ? B : 0) | (at === parts.length - 1 ? E : 0);
      return concat(Uint8Array.of(flags, LONG_ID | (id >> 8), id & 0xff), part);
    });
  }
}

function read(payload: Bytes, marker: boolean): Fragment {
  const flags = payload[0] ?? 0;
  let at = 1;
  const byte = (): number => payload[at++] ?? 0; // whether all were there is looked at once, below
  if ((flags & I) !== 0 && (byte() & LONG_ID) !== 0) at += 1;
  if ((flags & L) !== 0) {
    if ((byte() & SID) !== 0) throw new Refused("malformed", "vp9: expected one spatial layer, got a higher one");
    if ((flags & F) === 0) at += 1;
  }
  if ((flags & P) !== 0 && (flags & F) !== 0) {
    let diffs = 1;
    while ((byte() & MORE) !== 0) if (++diffs > MAX_P_DIFFS) throw new Refused("malformed", `vp9: expected at most ${MAX_P_DIFFS} P_DIFF`);
  }
  if ((flags & V) !== 0) {
    const structure = byte();
    if ((structure & Y) !== 0) at += 4 * ((structure >> 5) + 1);
    if ((structure & G) !== 0) {
      for (let pictures = byte(); pictures > 0 && at < payload.length; pictures -= 1) {
        const references = (byte() >> 2) & 0x03;
        at += references;
      }
    }
  }
  if (payload.length <= at) throw new Refused("malformed", `vp9: expected more than ${at} bytes, got ${payload.length}`);
  const data = payload.subarray(at);
  const first = (flags & B) !== 0;
  return { first, last: (flags & E) !== 0 && marker, keyFrame: first && (flags & P) === 0 && isKeyFrame(data[0]!), data };
}

/** By a frame's first byte (VP9 bitstream section 6.2): frame_marker 2, shown again or not, frame_type 0; in profile 3 after a bit that is 0. */
function isKeyFrame(head: number): boolean {
  const isThird = (head & 0x30) === 0x30;
  return head >> 6 === 2 && (isThird ? (head & 0x0e) === 0 : (head & 0x0c) === 0);
}
