/** How one stream of somebody's comes, for reports (RFC 3550 appendices A.1, A.3 and A.8). A value machine: times are arguments, in milliseconds. */
import type { ReportBlock } from "./rtcp_rr.js";
import { unwrapped } from "./rtp_incoming.js";
import type { RtpPacket } from "./rtp_packet.js";

const SEQUENCES = 2 ** 16;
const TIMESTAMPS = 2 ** 32;
/** Of how many packets the jitter is about the mean (appendix A.8). */
const SMOOTHING = 16;

export class Reception {
  readonly #ticksPerMillisecond: number;
  #base = 0;
  #highest: number | undefined;
  #received = 0;
  #transit: number | undefined;
  #jitter = 0;
  /** As of the report before. */
  #before = { expected: 0, received: 0 };

  /** @param clockRate - ticks of the timestamp a second */
  constructor(clockRate: number) {
    this.#ticksPerMillisecond = clockRate / 1_000;
  }

  /** A packet that is authentic; none comes twice. */
  push({ sequence, timestamp }: RtpPacket, now: number): void {
    if (this.#highest === undefined) this.#base = this.#highest = sequence;
    const place = unwrapped(sequence, this.#highest, SEQUENCES);
    if (place < this.#base) return; // from before we heard the first
    this.#highest = Math.max(this.#highest, place);
    this.#received += 1;
    const transit = now * this.#ticksPerMillisecond - timestamp;
    if (this.#transit !== undefined) {
      const step = Math.abs(transit - this.#transit) % TIMESTAMPS;
      this.#jitter += (Math.min(step, TIMESTAMPS - step) - this.#jitter) / SMOOTHING;
    }
    this.#transit = transit;
  }

  /** What is to be reported of it; the next report counts from here. Undefined before the first packet. */
  report(ssrc: number): ReportBlock | undefined {
    if (this.#highest === undefined) return undefined;
    const now = { expected: this.#highest - this.#base + 1, received: this.#received };
    const [expected, received] = [now.expected - this.#before.expected, now.received - this.#before.received];
    this.#before = now;
    return {
      ssrc,
      fractionLost: expected <= 0 ? 0 : Math.max(0, (expected - received) / expected),
      lost: now.expected - now.received,
      highest: this.#highest % 2 ** 32,
      jitter: Math.round(this.#jitter) % 2 ** 32,
    };
  }
}
