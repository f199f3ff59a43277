/** Opens the streams that one member sends (wire.md section 7): each SSRC has its rollover counter and windows of its own. */
import { Failure } from "../failure.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { Refused } from "./refused.js";
import { ReplayWindow } from "./replay.js";
import { sameBytes } from "./same_bytes.js";
import { mkiOfRtcp, parseSrtcp, type RtcpMode, unprotectRtcp } from "./srtcp.js";
import { expectRollover, MAX_INDEX, type MkiMode, mkiOfRtp, parseRtp, SEQUENCES, unprotectRtp } from "./srtp.js";
import type { SessionKeys } from "./srtp_kdf.js";

const HALF = SEQUENCES / 2;
/** Where two are named alike: the newest keys, then those before. */
const ALIKE_TRIED = 2;
/**
 * Without MKI, newest first. Senders move MOVE_AFTER later, so that commits in quick succession leave some of them several epochs
 * behind; more than these are as much work as junk should cause.
 */
const UNNAMED_TRIED = 8;

interface Incoming {
  /** The highest that was announced. */
  rollover: number;
  readonly rtp: ReplayWindow;
  readonly rtcp: ReplayWindow;
}

/**
 * In this order it is proved of a packet that
 *   1. it is well formed,
 *   2. its SSRC was announced,
 *   3. keys are held for it: those its MKI names, or without MKI the newest are tried,
 *   4. it has not come before, where its index is certain enough to say so without authentication,
 *   5. it is authentic under that index and those keys, and still has not come before.
 * Rejects with `Refused`: "malformed", "unknown-stream", "unknown-key" (hold it and try again), "replayed", "too-old", "not-authentic",
 * "not-encrypted". The caller still owes: which member's receiver a packet is for, and how long keys are held.
 */
export class SrtpReceiver {
  /** Newest first; all of one profile. */
  #keys: SessionKeys[] = [];
  readonly #mki: MkiMode;
  readonly #rtcpMode: RtcpMode;
  readonly #streams = new Map<number, Incoming>();

  /** `rtcpMode` "unsafe-clear" also takes RTCP that everybody can read. */
  constructor(mki: MkiMode = "mki", rtcpMode: RtcpMode = "encrypted") {
    this.#mki = mki;
    this.#rtcpMode = rtcpMode;
  }

  /** Holds keys of a newer epoch beside the older ones. Throws `Failure` "bad-argument" for another profile, which wants a receiver anew. */
  addKeys(keys: SessionKeys): void {
    const [newest] = this.#keys;
    if (newest !== undefined && newest.profile !== keys.profile) throw new Failure("bad-argument", "profile: expected that of the older keys");
    this.#keys = [keys, ...this.#keys.filter((held) => held !== keys)];
  }

  /** Lets go of keys; ones not held are no error. */
  dropKeys(keys: SessionKeys): void {
    this.#keys = this.#keys.filter((held) => held !== keys);
  }

  /**
   * What the sender announced. Of a known stream it counts only where it lies ahead: nothing announced makes old packets good again.
   * Throws `Failure` "bad-argument".
   */
  announce(ssrc: number, rollover: number): void {
    expectRollover(rollover);
    const known = this.#streams.get(ssrc);
    if (known === undefined) this.#streams.set(ssrc, { rollover, rtp: new ReplayWindow(), rtcp: new ReplayWindow() });
    else known.rollover = Math.max(known.rollover, rollover);
  }

  /** Packets of this stream are refused from now on. */
  forget(ssrc: number): void {
    this.#streams.delete(ssrc);
  }

  /** The RTP packet. `used` hears under which keys it is authentic. */
  async unprotect(packet: Bytes, used?: (keys: SessionKeys) => void): Promise<Bytes> {
    // 1.
    const header = parseRtp(packet);
    // 2.
    const stream = this.#stream(header.ssrc);
    // 3.
    const candidates = this.#candidates((keys) => mkiOfRtp(packet, header, keys));
    // 4.
    const indices = likelyIndices(stream, header.sequence);
    if (indices.length === 1) stream.rtp.check(indices[0]!);
    // 5.
    return firstAuthentic(candidates, indices, async (keys, index) => {
      const opened = await unprotectRtp(keys, packet, header, index, this.#mki);
      this.#expectHeld(keys);
      stream.rtp.mark(index);
      used?.(keys);
      return opened;
    });
  }

  /** The compound RTCP packet. */
  async unprotectRtcp(packet: Bytes, used?: (keys: SessionKeys) => void): Promise<Bytes> {
    // 1. to 3.
    const candidates = this.#candidates((keys) => mkiOfRtcp(packet, keys));
    const trailer = parseSrtcp(packet, candidates[0]!, this.#mki);
    const stream = this.#stream(trailer.ssrc);
    if (trailer.mode === "unsafe-clear" && this.#rtcpMode === "encrypted") throw new Refused("not-encrypted", "expected E = 1, got 0");
    // 4.
    stream.rtcp.check(trailer.index);
    // 5.
    return firstAuthentic(candidates, [trailer.index], async (keys, index) => {
      const opened = await unprotectRtcp(keys, packet, trailer, this.#mki);
      this.#expectHeld(keys);
      stream.rtcp.mark(index);
      used?.(keys);
      return opened;
    });
  }

  #stream(ssrc: number): Incoming {
    const stream = this.#streams.get(ssrc);
    if (stream === undefined) throw new Refused("unknown-stream", "expected a packet of a stream that was announced");
    return stream;
  }

  /** At least one. Throws `Refused` "unknown-key". */
  #candidates(mkiOf: (keys: SessionKeys) => Bytes): SessionKeys[] {
    const [newest] = this.#keys;
    let found = this.#keys.slice(0, UNNAMED_TRIED);
    if (newest !== undefined && this.#mki === "mki") {
      const named = mkiOf(newest);
      // Two of one name are the same epoch of a group and of its successor.
      found = this.#keys.filter(({ mki }) => sameBytes(mki, named)).slice(0, ALIKE_TRIED);
    }
    if (found.length === 0) throw unknownKey();
    return found;
  }

  /** Keys may have been dropped while WebCrypto worked: a removed member's packet must not come out after that. */
  #expectHeld(keys: SessionKeys): void {
    if (!this.#keys.includes(keys)) throw unknownKey();
  }
}

type Open = (keys: SessionKeys, index: number) => Promise<Bytes>;

function firstAuthentic(candidates: SessionKeys[], indices: number[], open: Open): Promise<Bytes> {
  // As nearly every packet is.
  if (candidates.length === 1 && indices.length === 1) return open(candidates[0]!, indices[0]!);
  return firstOfAll(candidates, indices, open);
}

async function firstOfAll(candidates: SessionKeys[], indices: number[], open: Open): Promise<Bytes> {
  let last: unknown;
  for (const keys of candidates) {
    for (const index of indices) {
      try {
        return await open(keys, index);
      } catch (error) {
        if (!(error instanceof Refused) || error.reason !== "not-authentic") throw error;
        last = error;
      }
    }
  }
  throw last;
}

/**
 * The indices that a sequence number may stand for, likeliest first (RFC 3711 section 3.3.1, appendix A): the nearest to the highest so
 * far. Where that lies elsewhere, also the one under the announced rollover counter; while no packet has reached that, the one under
 * the next as well: the sender may have passed a rollover since it said so.
 */
function likelyIndices({ rollover, rtp: { highest } }: Incoming, sequence: number): number[] {
  const nearest = highest + ((sequence - (highest % SEQUENCES) + SEQUENCES + HALF) % SEQUENCES) - HALF;
  // As nearly every packet is: in the announced rollover, like the highest so far.
  if (Math.floor(highest / SEQUENCES) === rollover && Math.floor(nearest / SEQUENCES) === rollover) return [nearest];
  const indices = new Set<number>();
  if (highest >= 0) indices.add(nearest);
  const announced = highest < rollover * SEQUENCES ? [rollover, rollover + 1] : [rollover];
  for (const each of announced) if (each * SEQUENCES + sequence > highest) indices.add(each * SEQUENCES + sequence);
  const possible = [...indices].filter((index) => index >= 0 && index <= MAX_INDEX);
  if (possible.length === 0) throw new Refused("too-old", "expected a packet of this stream");
  return possible;
}

const unknownKey = (): Refused => new Refused("unknown-key", "expected a packet under keys that are held");
