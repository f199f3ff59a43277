/** Opus in RTP (RFC 7587 section 4.2): a payload is one packet of the encoder's, as it is. */
import { Refused } from "./refused.js";
import type { PayloadFormat } from "./rtp_payload.js";

export const OPUS: PayloadFormat = {
  payloadType: 111,
  /** Whatever the encoder's own rate (section 4.1). */
  clockRate: 48_000,
  dependent: false,
  packetiser: () => ({ split: (frame) => [frame] }),
  read: (payload) => {
    // Every Opus packet has a TOC byte (RFC 6716 section 3.1).
    if (payload.length === 0) throw new Refused("malformed", "opus: expected at least a byte, got none");
    return { first: true, last: true, keyFrame: true, data: payload };
  },
  fits: () => true,
};
