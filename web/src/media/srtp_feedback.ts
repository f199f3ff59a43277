/**
 * What receivers and senders of a conference's streams say to each other in RTCP: requests for key frames, and reports of what came,
 * by which the others send less or nothing more. A thin shell: what counts is decided in `StreamReach`.
 *
 * A report names streams by SSRC alone, and two members may have one of the same, by chance or on purpose. So each member is told of its
 * own streams, on its own ways; who listens on a relay gets them all, and could write any member's report.
 */
import type { ReachValue } from "../srtp_protocol.js";
import type { Bytes } from "../worker/crypto_keys.js";
import type { Occupant } from "./conference_keys.js";
import type { Whose } from "./packet_transport.js";
import { readPli, encodePli } from "./rtcp_pli.js";
import { encodeReport, MAX_BLOCKS, readReport, type ReportBlock } from "./rtcp_rr.js";
import type { Reception } from "./rtp_reception.js";
import { StreamReach } from "./srtp_reach.js";

/** Milliseconds between two reports: 100 bytes of two streams, 2 kbit/s on each way. RFC 4585 allows them as often as 5 % of the media do. */
const REPORT = 500;

/**
 * Milliseconds between two key frames of one stream that others get for asking: who needs one asks again, a little later
 * than this, and who asks all the time costs the others no more than that.
 */
export const KEY_FRAME_PAUSE = 400;

export interface FeedbackHooks {
  /** Sends RTCP, clear as yet. */
  send(packet: Bytes, whose: Whose): void;
  /** Somebody cannot go on without a key frame of this stream of ours. */
  keyFrame(ssrc: number): void;
  /** What may be sent of this stream of ours is something else than before. */
  reach(ssrc: number, reach: ReachValue): void;
}

/** A stream of somebody's. */
interface Received {
  readonly ssrc: number;
  readonly member: Occupant;
  readonly reception: Reception;
}

interface OwnStream {
  readonly reach: StreamReach;
  told: ReachValue;
  /** When the last key frame was asked for. */
  asked: number;
}

export class SrtpFeedback {
  readonly #hooks: FeedbackHooks;
  readonly #own = new Map<number, OwnStream>();
  /** Clients who have streams, of which each has one at least to report under. */
  readonly #listening = new Set<string>();
  /** The stream that all of ours goes under; it has no packets but these. */
  #asking: number | undefined;
  #reported = -Infinity;

  constructor(hooks: FeedbackHooks) {
    this.#hooks = hooks;
  }

  /** Whether others know of us. */
  get begun(): boolean {
    return this.#asking !== undefined;
  }

  begin(ssrc: number): void {
    this.#asking = ssrc;
  }

  // -- what we send --

  /** @param bitrate - bits a second that are wished for */
  open(ssrc: number, bitrate: number, now: number): void {
    const reach = new StreamReach(bitrate);
    reach.listening(this.#listening, now);
    this.#own.set(ssrc, { reach, told: reach.look(now), asked: -Infinity });
  }

  close(ssrc: number): void {
    this.#own.delete(ssrc);
  }

  /** A packet of a stream of ours, as it travels. */
  sent(ssrc: number, sequence: number, size: number, now: number): void {
    this.#own.get(ssrc)?.reach.sent(sequence, size, now);
  }

  /** Whether somebody takes part, by client. */
  listens(client: string, is: boolean, now: number): void {
    if (is) this.#listening.add(client);
    else this.#listening.delete(client);
    for (const { reach } of this.#own.values()) reach.listening(this.#listening, now);
  }

  /** Who is not among these clients takes part no more. */
  retain(clients: ReadonlySet<string>, now: number): void {
    for (const client of this.#listening) if (!clients.has(client)) this.listens(client, false, now);
  }

  newWay(now: number): void {
    for (const { reach } of this.#own.values()) reach.newWay(now);
  }

  /** RTCP of somebody's; whether it asked for something. */
  hear(client: string, packet: Bytes, now: number): boolean {
    const asked = readPli(packet);
    if (asked !== undefined) this.#askedFor(asked, now);
    const blocks = asked === undefined ? readReport(packet) : undefined;
    if (blocks === undefined) return true;
    for (const [ssrc, { reach }] of this.#own) reach.reported(client, blocks.find((block) => block.ssrc === ssrc), now);
    return false;
  }

  #askedFor(ssrc: number, now: number): void {
    const own = this.#own.get(ssrc);
    if (own === undefined || now < own.asked + KEY_FRAME_PAUSE) return;
    own.asked = now;
    this.#hooks.keyFrame(ssrc);
  }

  // -- what others send --

  /** Asks for a key frame of somebody's stream. */
  ask(ssrc: number): void {
    if (this.#asking !== undefined) this.#hooks.send(encodePli(this.#asking, ssrc), "all");
  }

  /** From time to time: tells the others what came of their streams, and sees whom ours reach. */
  look(streams: Iterable<Received>, now: number): void {
    for (const [ssrc, own] of this.#own) {
      const found = own.reach.look(now);
      if (found.state === own.told.state && found.reason === own.told.reason && found.bitrate === own.told.bitrate) continue;
      own.told = found;
      this.#hooks.reach(ssrc, found);
    }
    if (this.#asking === undefined || this.#listening.size === 0 || now < this.#reported + REPORT) return;
    this.#reported = now;
    const blocks: [client: string, block: ReportBlock][] = [];
    for (const { ssrc, member, reception } of streams) {
      const block = reception.report(ssrc);
      if (block !== undefined) blocks.push([member.clientId.join(), block]);
    }
    for (const client of this.#listening) {
      const theirs = blocks.filter(([of]) => of === client);
      this.#report(this.#asking, theirs.map(([, block]) => block), { client });
    }
    this.#report(this.#asking, blocks.map(([, block]) => block), "relays");
  }

  /** One without blocks says that we are there. */
  #report(own: number, blocks: readonly ReportBlock[], whose: Whose): void {
    for (let at = 0; at === 0 || at < blocks.length; at += MAX_BLOCKS) this.#hooks.send(encodeReport(own, blocks.slice(at, at + MAX_BLOCKS)), whose);
  }
}
