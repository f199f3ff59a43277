/**
 * SRTP of one conference at work: frames of ours to encoders, packets and transports; packets from transports to decoders and frames.
 * A thin shell: what counts is decided in `SrtpConference`, `RtpOutgoing` and `RtpIncoming`.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import type { Occupant } from "./conference_keys.js";
import type { PacketTransport } from "./packet_transport.js";
import { type Reason, Refused } from "./refused.js";
import { encodePli, readPli } from "./rtcp_pli.js";
import { RtpIncoming } from "./rtp_incoming.js";
import { OPUS } from "./rtp_opus.js";
import { type EncodedFrame, RtpOutgoing } from "./rtp_outgoing.js";
import { decodeRtp } from "./rtp_packet.js";
import type { PayloadFormat } from "./rtp_payload.js";
import { VP8 } from "./rtp_vp8.js";
import type { MemberPacket, SrtpConference, SrtpEpoch } from "./srtp_conference.js";

/** Milliseconds between two requests for a key frame of one stream. */
const KEY_FRAME_PAUSE = 500;

/** A frame of somebody's, ready for a decoder. `timestamp`: microseconds. */
export interface HeardFrame<M> extends EncodedFrame {
  readonly member: M;
  readonly ssrc: number;
  readonly format: PayloadFormat;
}

export interface RoomHooks<M> {
  frame(heard: HeardFrame<M>): void;
  /** What all members are to be told of our streams. */
  announce(data: Bytes): void;
  /** Somebody cannot go on without a key frame of this stream of ours. */
  keyFrame(ssrc: number): void;
}

interface Listening<M> {
  readonly incoming: RtpIncoming;
  readonly format: PayloadFormat;
  member: M;
  asked: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

const FORMATS: ReadonlyMap<number, PayloadFormat> = new Map([VP8, OPUS].map((format) => [format.payloadType, format]));

export class SrtpRoom<M extends Occupant> {
  readonly #conference: SrtpConference<M>;
  readonly #hooks: RoomHooks<M>;
  readonly #transports = new Set<PacketTransport>();
  readonly #own = new Map<number, RtpOutgoing>();
  /** By client and SSRC: a stream is one member's. */
  readonly #streams = new Map<string, Listening<M>>();
  readonly #refused = new Map<Reason, number>();

  constructor(conference: SrtpConference<M>, hooks: RoomHooks<M>) {
    this.#conference = conference;
    this.#hooks = hooks;
  }

  /** How many packets were refused, by reason. */
  get refused(): ReadonlyMap<Reason, number> {
    return this.#refused;
  }

  /** New keys: what waited for them goes on, and who has come is told of our streams. */
  async epoch(epoch: SrtpEpoch<M>): Promise<void> {
    this.#conference.add(epoch, performance.now());
    if (epoch.reason === "add" && this.#own.size > 0) this.#hooks.announce(this.#conference.announcement());
    await this.#release();
  }

  /** What a member said of its streams. */
  async announced(clientId: Uint8Array, data: Bytes): Promise<void> {
    try {
      this.#conference.announced(clientId, data);
    } catch (error) {
      this.#count(error);
    }
    await this.#release();
  }

  /** A way for packets, to one client (`from`) or to a relay. */
  connect(transport: PacketTransport, from?: Uint8Array): void {
    transport.onpacket = (packet) => void this.#hear(packet, from);
    this.#transports.add(transport);
  }

  disconnect(transport: PacketTransport): void {
    transport.onpacket = () => undefined;
    this.#transports.delete(transport);
  }

  /** Begins a stream of ours and announces it. `ssrc` as `SrtpConference.open` has it. */
  open(ssrc: number, format: PayloadFormat): void {
    this.#conference.open(ssrc, performance.now());
    this.#own.set(ssrc, new RtpOutgoing(ssrc, format, crypto.getRandomValues(new Uint32Array(1))[0]!));
    this.#hooks.announce(this.#conference.announcement());
  }

  /** Sends a frame of a stream of ours, on all ways. */
  async send(ssrc: number, frame: EncodedFrame): Promise<void> {
    const stream = this.#own.get(ssrc);
    if (stream === undefined) throw new Refused("unknown-stream", "expected a stream that was opened");
    // All places are taken before the first await, so packets of two frames keep their order.
    const now = performance.now();
    const sealing = stream.packets(frame).map((packet) => this.#conference.protect(packet, now));
    for (const packet of await Promise.all(sealing)) this.#broadcast(packet);
  }

  /** Lets go of everything. */
  end(): void {
    this.#conference.end();
    for (const { timer } of this.#streams.values()) clearTimeout(timer);
    for (const transport of this.#transports) this.disconnect(transport);
    this.#streams.clear();
  }

  #broadcast(packet: Bytes): void {
    for (const transport of this.#transports) transport.send(packet);
  }

  async #hear(packet: Bytes, from: Uint8Array | undefined): Promise<void> {
    try {
      const opened = await this.#conference.receive(packet, from, performance.now());
      if (opened !== undefined) this.#take(opened);
    } catch (error) {
      this.#count(error);
    }
  }

  async #release(): Promise<void> {
    for (const opened of await this.#conference.release(performance.now())) {
      try {
        this.#take(opened);
      } catch (error) {
        this.#count(error);
      }
    }
  }

  #take({ kind, packet, member }: MemberPacket<M>): void {
    if (kind === "rtcp") {
      const asked = readPli(packet);
      if (asked !== undefined && this.#own.has(asked)) this.#hooks.keyFrame(asked);
      return;
    }
    const rtp = decodeRtp(packet);
    const format = FORMATS.get(rtp.payloadType);
    if (format === undefined) throw new Refused("malformed", "expected a payload type that we know");
    const name = `${member.clientId.join()} ${rtp.ssrc}`;
    const stream = this.#streams.get(name) ?? { incoming: new RtpIncoming(format), format, member, asked: -Infinity, timer: undefined };
    stream.member = member;
    this.#streams.set(name, stream);
    stream.incoming.push(rtp, performance.now());
    this.#drain(stream, rtp.ssrc);
  }

  #drain(stream: Listening<M>, ssrc: number): void {
    const { incoming, format, member } = stream;
    const now = performance.now();
    for (const { data, keyFrame, ticks } of incoming.take(now)) {
      this.#hooks.frame({ data, keyFrame, timestamp: Math.round((ticks * 1e6) / format.clockRate), member, ssrc, format });
    }
    if (incoming.needsKeyFrame && now >= stream.asked + KEY_FRAME_PAUSE) {
      stream.asked = now;
      void this.#ask(ssrc);
    }
    clearTimeout(stream.timer);
    const due = incoming.due();
    stream.timer = due === undefined ? undefined : setTimeout(() => this.#drain(stream, ssrc), Math.max(0, due - now) + 1);
  }

  /** Asks for a key frame, under a stream of ours: who sends nothing needs one for this alone. */
  async #ask(stream: number): Promise<void> {
    const [own] = this.#own.keys();
    if (own === undefined) return;
    try {
      this.#broadcast(await this.#conference.protect(encodePli(own, stream), performance.now()));
    } catch (error) {
      this.#count(error);
    }
  }

  #count(error: unknown): void {
    if (!(error instanceof Refused)) throw error;
    this.#refused.set(error.reason, (this.#refused.get(error.reason) ?? 0) + 1);
  }
}
