/**
 * Whom one stream of ours reaches, by their reports, and how many bits a second it may have. A value machine: times are arguments, in
 * milliseconds of any clock that only goes forward.
 *
 *     the rate of a receiver    with each of its reports
 *       more than LOSS_CUT lost, or a packet on its way for MAX_WAITING     at most CUT of what arrived, and CUT of itself once for all that
 *                                                                           was on its way by then; LEAST at least
 *       less than LOSS_GOOD lost                                            INCREASE a second more, as wished at most
 *       between them                                                        stays
 *     the stream's rate         the least of those who reported within SILENT: who is away holds up nobody
 *     "sending"                 somebody listens and got something within UNHEARD, or nobody listens
 *     "unheard"                 all who listen got nothing for UNHEARD, though we sent: nothing is sent any more
 *       "no-reports"            none of them said anything in that time
 *       "no-packets"            they said that nothing came
 *     "sending" again           somebody begins to listen, or reports again after UNHEARD without; or a new way is there
 *
 * The rate: additive increase, multiplicative decrease, with the limits on loss of Google's congestion control
 * (draft-ietf-rmcat-gcc-02 section 6) and its decrease to a part of what arrived (section 5.5). "unheard": the circuit breakers of RFC 8083
 * section 4 on missing reports and on missing media. The one on congestion asks for less than ten times what TCP would take: at LEAST,
 * packets of 1,000 bytes and a round trip below a second that is so at any loss.
 */
import type { ReachValue } from "../srtp_protocol.js";
import type { ReportBlock } from "./rtcp_rr.js";

/** Fractions lost: below the first there is room, above the second there is none. */
export const LOSS_GOOD = 0.02;
export const LOSS_CUT = 0.1;
export const CUT = 0.85;
/** Bits a second, each second: from the least to a megabit in some twenty. */
export const INCREASE = 50_000;
/** Bits a second: a small picture that still moves. */
export const LEAST = 60_000;
/** Milliseconds that a packet may be on its way and its report back: half of it is the most for talking (ITU-T G.114), and queues grow from there. */
export const MAX_WAITING = 500;
/** Milliseconds without a report after which somebody does not count: four of them. */
export const SILENT = 2_000;
/**
 * Milliseconds: the longest that RFC 8083 allows (section 4, CB_INTERVAL), which it is where no key frames come by themselves. Calls
 * live through shorter changes of the network.
 */
export const UNHEARD = 15_000;
/** Packets remembered: more than are on their way in UNHEARD at LEAST, and some seconds of a fast stream. */
const MAX_SENT = 2_048;
const SEQUENCES = 2 ** 16;

interface SentPacket {
  readonly place: number;
  readonly at: number;
  /** Of the stream, this packet included. */
  readonly bytes: number;
}

interface Listener {
  readonly began: number;
  bitrate: number;
  /** When it last said anything; undefined as long as it said nothing. */
  reported: number | undefined;
  /** When something new came to it, or it began. */
  got: number;
  highest: SentPacket | undefined;
  /** Of the report before. */
  before: { readonly at: number; readonly bytes: number } | undefined;
  /** Packets up to this one were on their way at the last cut. */
  cut: number;
}

export class StreamReach {
  readonly #wished: number;
  readonly #least: number;
  readonly #listeners = new Map<string, Listener>();
  /** By sequence number; oldest first. */
  readonly #sent = new Map<number, SentPacket>();
  #last: SentPacket = { place: -1, at: -Infinity, bytes: 0 };
  #unheard = false;

  /** @param wished - bits a second, of which there are never more */
  constructor(wished: number) {
    this.#wished = wished;
    this.#least = Math.min(LEAST, wished);
  }

  /** A packet of ours. `sequence`: 16 bits, each one more than the one before. */
  sent(sequence: number, bytes: number, now: number): void {
    if (!this.#unheard && now > this.#last.at + SILENT) this.newWay(now); // there was nothing to get
    this.#last = { place: this.#last.place + 1, at: now, bytes: this.#last.bytes + bytes };
    this.#sent.delete(sequence);
    this.#sent.set(sequence, this.#last);
    for (const oldest of this.#sent.keys()) {
      if (this.#sent.size <= MAX_SENT) break;
      this.#sent.delete(oldest);
    }
  }

  /** Who takes part, by client. */
  listening(clients: Iterable<string>, now: number): void {
    const present = new Set(clients);
    for (const client of this.#listeners.keys()) if (!present.has(client)) this.#listeners.delete(client);
    for (const client of present) if (!this.#listeners.has(client)) this.#listeners.set(client, this.#begin(now));
  }

  /** There is another way to them, so that they have UNHEARD anew. */
  newWay(now: number): void {
    for (const listener of this.#listeners.values()) listener.got = now;
  }

  /** Somebody's report; without a block it says nothing of this stream. */
  reported(client: string, block: Pick<ReportBlock, "highest" | "fractionLost"> | undefined, now: number): void {
    const listener = this.#listeners.get(client);
    if (listener === undefined) return;
    if (now >= (listener.reported ?? listener.began) + UNHEARD) listener.got = now;
    listener.reported = now;
    const highest = block === undefined ? undefined : this.#sent.get(block.highest % SEQUENCES);
    if (block === undefined || highest === undefined) return; // nothing of ours, or of a stream of the same number
    if (highest.place > (listener.highest?.place ?? -1) || highest.place === this.#last.place) listener.got = now;
    listener.highest = highest;
    this.#adapt(listener, highest, block.fractionLost, now);
  }

  look(now: number): ReachValue {
    const listeners = [...this.#listeners.values()];
    const sending = this.#unheard || now < this.#last.at + SILENT;
    this.#unheard = sending && listeners.length > 0 && listeners.every(({ got }) => now >= got + UNHEARD);
    const reporting = listeners.some(({ reported }) => reported !== undefined && now < reported + UNHEARD);
    const rates = listeners.filter(({ reported }) => reported !== undefined && now < reported + SILENT).map(({ bitrate }) => bitrate);
    return {
      state: this.#unheard ? "unheard" : "sending",
      reason: this.#unheard ? (reporting ? "no-packets" : "no-reports") : undefined,
      bitrate: Math.round(Math.min(this.#wished, ...rates)),
    };
  }

  #begin(now: number): Listener {
    return { began: now, bitrate: this.#wished, reported: undefined, got: now, highest: undefined, before: undefined, cut: -1 };
  }

  #adapt(listener: Listener, highest: SentPacket, lost: number, now: number): void {
    const { before } = listener;
    listener.before = { at: now, bytes: highest.bytes };
    const seconds = before === undefined ? 0 : Math.min(1, (now - before.at) / 1_000); // who was away does not come back at full speed
    const waited = this.#waited(highest, now);
    if (lost > LOSS_CUT || waited > MAX_WAITING) {
      const arrived = before === undefined || now === before.at ? Infinity : (8_000 * (highest.bytes - before.bytes) * (1 - lost)) / (now - before.at);
      const fresh = highest.place > listener.cut;
      listener.bitrate = Math.max(this.#least, Math.min(fresh ? CUT * listener.bitrate : listener.bitrate, CUT * arrived));
      if (fresh) listener.cut = this.#last.place;
    } else if (lost < LOSS_GOOD) {
      listener.bitrate = Math.min(this.#wished, listener.bitrate + INCREASE * seconds);
    }
  }

  /** For how long the first packet has been on its way that had not come. */
  #waited({ place }: SentPacket, now: number): number {
    for (const packet of this.#sent.values()) if (packet.place === place + 1) return now - packet.at;
    return 0;
  }
}
