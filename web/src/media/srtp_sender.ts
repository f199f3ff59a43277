/** Protects the streams that one member sends (wire.md section 7). Places in a stream only go up, whatever the keys. */
import { Failure } from "../failure.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { Refused } from "./refused.js";
import { MAX_RTCP_INDEX, parseRtcp, protectRtcp, type RtcpMode } from "./srtcp.js";
import { expectRollover, MAX_INDEX, type MkiMode, parseRtp, protectRtp, SEQUENCES } from "./srtp.js";
import type { SessionKeys } from "./srtp_kdf.js";

/** Receivers guess the rollover counter from the nearest half of the sequence numbers (RFC 3711 section 3.3.1). */
const HALF = SEQUENCES / 2;

interface Outgoing {
  /** The index of the last packet; before the first, undefined. */
  last: number | undefined;
  /** For the first packet. */
  readonly rollover: number;
  nextRtcp: number;
}

/** Rejects with `Refused`: "malformed", "unknown-stream", "counter-used", "key-exhausted". */
export class SrtpSender {
  #keys: SessionKeys;
  readonly #mki: MkiMode;
  readonly #rtcpMode: RtcpMode;
  readonly #streams = new Map<number, Outgoing>();

  constructor(keys: SessionKeys, mki: MkiMode = "mki", rtcpMode: RtcpMode = "encrypted") {
    this.#keys = keys;
    this.#mki = mki;
    this.#rtcpMode = rtcpMode;
  }

  /**
   * Begins a stream, once: it is announced to the receivers and written down before its first packet. `rollover` and `rtcpIndex` are
   * those of the first packets. Throws `Failure` "bad-argument".
   */
  open(ssrc: number, rollover = 0, rtcpIndex = 0): void {
    if (this.#streams.has(ssrc)) throw new Failure("bad-argument", "ssrc: expected one that was not opened before");
    expectRollover(rollover);
    this.#streams.set(ssrc, { last: undefined, rollover, nextRtcp: rtcpIndex });
  }

  /** The rollover counter to announce for a stream. Throws `Refused` "unknown-stream". */
  rollover(ssrc: number): number {
    const { last, rollover } = this.#stream(ssrc);
    return last === undefined ? rollover : Math.floor(last / SEQUENCES);
  }

  /** Keys of a new epoch, for all packets from now on. The streams run on (RFC 3711 section 3.3.1). */
  rekey(keys: SessionKeys): void {
    this.#keys = keys;
  }

  /** One RTP packet. A place is taken when asked for, also if WebCrypto then fails. */
  async protect(packet: Bytes): Promise<Bytes> {
    const header = parseRtp(packet);
    const stream = this.#stream(header.ssrc);
    const index = nextIndex(stream, header.sequence);
    if (index > MAX_INDEX || !this.#keys.spend("rtp")) throw exhausted();
    stream.last = index;
    return protectRtp(this.#keys, packet, header, index, this.#mki);
  }

  /** One compound RTCP packet. */
  async protectRtcp(packet: Bytes): Promise<Bytes> {
    const stream = this.#stream(parseRtcp(packet));
    const index = stream.nextRtcp;
    if (index > MAX_RTCP_INDEX || !this.#keys.spend("rtcp")) throw exhausted();
    stream.nextRtcp += 1;
    return protectRtcp(this.#keys, packet, index, this.#mki, this.#rtcpMode);
  }

  #stream(ssrc: number): Outgoing {
    const stream = this.#streams.get(ssrc);
    if (stream === undefined) throw new Refused("unknown-stream", "expected a packet of a stream that was opened");
    return stream;
  }
}

function nextIndex({ last, rollover }: Outgoing, sequence: number): number {
  if (last === undefined) return rollover * SEQUENCES + sequence;
  const step = (sequence - (last % SEQUENCES) + SEQUENCES) % SEQUENCES;
  if (step === 0 || step >= HALF) throw new Refused("counter-used", "expected a sequence number after the last one, and not far");
  return last + step;
}

const exhausted = (): Refused => new Refused("key-exhausted", "expected a new master key before this packet");
