/**
 * Receiver Report: how streams of others come (RFC 3550 section 6.4.2), by itself (RFC 5506).
 *
 *     |V=2|P|   RC    |    PT=201     |            length             |
 *     |                   SSRC of who reports                         |
 *     then RC times:
 *     |                   SSRC of the stream                          |
 *     | fraction lost |      cumulative number of packets lost        |
 *     |          extended highest sequence number received            |
 *     |                   interarrival jitter                         |
 *     |                   last SR                                     |
 *     |                   delay since last SR                         |
 *
 * We send no SR, so the last two are zero; pictures and sound of one member keep together by their arrival.
 */
import type { Bytes } from "../worker/crypto_keys.js";

const VERSION_BITS = 0x80;
const COUNT_BITS = 0x1f;
const TYPE = 201;
const HEADER_SIZE = 8;
const BLOCK_SIZE = 24;
const WORD_SIZE = 4;
/** As many as RC can say; one member's streams and more. */
export const MAX_BLOCKS = 31;
/** Of the fraction, 8 bits. */
const WHOLE = 256;
/** Of the sum, 24 bits with a sign. */
const MAX_LOST = 2 ** 23 - 1;

/** How one stream came. */
export interface ReportBlock {
  readonly ssrc: number;
  /** Since the report before, 0 to 255/256. */
  readonly fractionLost: number;
  /** Ever. */
  readonly lost: number;
  /** 16 bits that were sent, above them how often they began again. */
  readonly highest: number;
  /** Ticks of the stream's clock. */
  readonly jitter: number;
}

/** `blocks`: at most MAX_BLOCKS; none of who hears nothing yet. */
export function encodeReport(own: number, blocks: readonly ReportBlock[]): Bytes {
  const packet = new Uint8Array(HEADER_SIZE + BLOCK_SIZE * blocks.length);
  const view = new DataView(packet.buffer);
  packet[0] = VERSION_BITS | blocks.length;
  packet[1] = TYPE;
  view.setUint16(2, packet.length / WORD_SIZE - 1);
  view.setUint32(4, own);
  for (const [place, { ssrc, fractionLost, lost, highest, jitter }] of blocks.entries()) {
    const at = HEADER_SIZE + place * BLOCK_SIZE;
    view.setUint32(at, ssrc);
    view.setUint32(at + 4, Math.max(-MAX_LOST - 1, Math.min(MAX_LOST, lost)));
    view.setUint8(at + 4, Math.min(WHOLE - 1, Math.floor(fractionLost * WHOLE)));
    view.setUint32(at + 8, highest);
    view.setUint32(at + 12, jitter);
  }
  return packet;
}

/** The blocks of a report; undefined for other RTCP. */
export function readReport(packet: Bytes): ReportBlock[] | undefined {
  const count = packet[0]! & COUNT_BITS;
  if (packet.length !== HEADER_SIZE + BLOCK_SIZE * count || packet[0]! !== (VERSION_BITS | count) || packet[1] !== TYPE) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  if (view.getUint16(2) !== packet.length / WORD_SIZE - 1) return undefined;
  return Array.from({ length: count }, (_, place) => {
    const at = HEADER_SIZE + place * BLOCK_SIZE;
    return {
      ssrc: view.getUint32(at),
      fractionLost: view.getUint8(at + 4) / WHOLE,
      lost: (view.getUint32(at + 4) << 8) >> 8,
      highest: view.getUint32(at + 8),
      jitter: view.getUint32(at + 12),
    };
  });
}
