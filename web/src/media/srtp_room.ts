/**
 * SRTP of one conference at work: frames of ours to packets and transports; packets from transports to frames.
 * A thin shell: what counts is decided in `SrtpConference`, `RtpOutgoing` and `RtpIncoming`.
 */
import type { ReachValue } from "../srtp_protocol.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { type Occupant, OLD_EPOCH } from "./conference_keys.js";
import { PacketSamples, type Sampled } from "./packet_samples.js";
import { PacketWays, type PacketTransport, type Whose } from "./packet_transport.js";
import { type Reason, Refused } from "./refused.js";
import { type EncodedFrame, RtpOutgoing } from "./rtp_outgoing.js";
import { decodeRtp } from "./rtp_packet.js";
import type { PayloadFormat } from "./rtp_payload.js";
import { parseRtp } from "./srtp.js";
import type { SrtpCondition } from "./srtp_condition.js";
import { HOLD, isRtcp, type MemberPacket, type SrtpConference, type SrtpEpoch } from "./srtp_conference.js";
import { SrtpFeedback } from "./srtp_feedback.js";
import { CODECS_BY_TYPE } from "./srtp_formats.js";
import { type HeardStream, Listening } from "./srtp_listening.js";

/** Milliseconds between two looks at how streams do. */
const LOOK = 250;

export interface RoomHooks<M> {
  /** `stream`: the same object for all frames of a stream. `timestamp`: microseconds. */
  frame(stream: HeardStream<M>, frame: EncodedFrame): void;
  /** It does otherwise than before. */
  condition(stream: HeardStream<M>, condition: SrtpCondition): void;
  /** Its sender has it no more, or is gone. */
  ended(stream: HeardStream<M>): void;
  /** All members, or one client that knows nothing of us yet, are to be told of our streams (`announcement`). */
  announce(to?: Uint8Array): void;
  /** Somebody cannot go on without a key frame of this stream of ours. */
  keyFrame(ssrc: number): void;
  /** What may be sent of this stream of ours is something else than before. */
  reach(ssrc: number, reach: ReachValue): void;
  /** A member has streams of another profile, by its number, which nobody here can open; told once of each. */
  otherProfile(member: M, profile: number): void;
  /** Packets waited in vain for keys: perhaps a commit has not come. */
  lacking(): void;
}

export class SrtpRoom<M extends Occupant> {
  readonly #conference: SrtpConference<M>;
  readonly #hooks: RoomHooks<M>;
  readonly #ways: PacketWays = new PacketWays((packet, from) => void this.#hear(packet, from));
  readonly #own = new Map<number, RtpOutgoing>();
  /** By client and SSRC: a stream is one member's. */
  readonly #streams = new Map<string, Listening<M>>();
  readonly #refused = new Map<Reason, number>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #samples = new PacketSamples<number | HeardStream<M>>();
  #looking: ReturnType<typeof setInterval> | undefined;
  readonly #feedback: SrtpFeedback;
  readonly #otherProfiles = new Set<string>();
  #waiting = false;
  #ended = false;
  sent = 0;
  received = 0;

  constructor(conference: SrtpConference<M>, hooks: RoomHooks<M>) {
    this.#conference = conference;
    this.#hooks = hooks;
    this.#feedback = new SrtpFeedback({
      send: (packet, whose) => void this.#sendRtcp(packet, whose),
      keyFrame: (ssrc) => hooks.keyFrame(ssrc),
      reach: (ssrc, reach) => hooks.reach(ssrc, reach),
    });
  }

  /** How many packets were refused, by reason. */
  get refused(): ReadonlyMap<Reason, number> {
    return this.#refused;
  }

  /** Whether what is made now would come too late. */
  get full(): boolean {
    return this.#ways.full;
  }

  /** Whether others know of us. */
  get begun(): boolean {
    return this.#feedback.begun;
  }

  /** Who is not among these is gone: also to be said before the keys of a new epoch are derived. */
  retain(members: readonly M[]): void {
    this.#conference.retain(members);
    const present = new Set(members.map(({ clientId }) => clientId.join()));
    for (const [name, stream] of this.#streams) if (!present.has(stream.member.clientId.join())) this.#drop(name, stream);
    this.#feedback.retain(present, performance.now());
  }

  /** New keys: what waited for them goes on, and who has come is told of our streams. */
  async epoch(epoch: SrtpEpoch<M>): Promise<void> {
    this.retain(epoch.members);
    this.#conference.add(epoch, performance.now());
    this.#later(OLD_EPOCH, () => this.#conference.tick(performance.now()));
    if (epoch.reason === "add" && this.begun) this.#hooks.announce();
    await this.#release();
  }

  /** What a member said of its streams. */
  async announced(clientId: Uint8Array, data: Bytes): Promise<void> {
    try {
      const said = this.#conference.announced(clientId, data);
      const client = clientId.join();
      if (said !== undefined) this.#feedback.listens(client, said.ssrcs.size > 0, performance.now());
      for (const profile of said?.otherProfiles ?? []) this.#tellProfile(said!.member, profile);
      for (const [name, stream] of this.#streams) {
        if (said !== undefined && stream.member.clientId.join() === client && !said.ssrcs.has(stream.ssrc)) this.#drop(name, stream);
      }
      if (said?.fresh === true && this.begun) this.#hooks.announce(clientId);
    } catch (error) {
      this.#count(error);
    }
    await this.#release();
  }

  /** A way for packets, to one client (`from`) or to a relay. */
  connect(transport: PacketTransport, from?: Uint8Array): void {
    this.#ways.add(transport, from);
    this.#feedback.newWay(performance.now());
  }

  disconnect(transport: PacketTransport): void {
    this.#ways.delete(transport);
  }

  /** What members are to be told of our streams. */
  announcement(): Bytes {
    return this.#conference.announcement();
  }

  /** Takes part, with a stream of ours to ask for key frames and to report by: who only listens needs one, too. `ssrc` as for `open`. */
  begin(ssrc: number): void {
    this.#conference.open(ssrc, performance.now());
    this.#feedback.begin(ssrc);
    this.#looking = setInterval(() => this.#look(), LOOK);
    this.#hooks.announce();
  }

  /** Begins a stream of ours and announces it. `ssrc` as `SrtpConference.open` has it; `bitrate`: bits a second that are wished for. */
  open(ssrc: number, format: PayloadFormat, bitrate: number): void {
    this.#conference.open(ssrc, performance.now());
    this.#own.set(ssrc, new RtpOutgoing(ssrc, format, crypto.getRandomValues(new Uint32Array(1))[0]!));
    this.#feedback.open(ssrc, bitrate, performance.now());
    this.#hooks.announce();
  }

  /** Ends a stream of ours, for good. */
  close(ssrc: number): void {
    if (!this.#own.delete(ssrc)) return;
    this.#conference.close(ssrc);
    this.#feedback.close(ssrc);
    this.#hooks.announce();
  }

  /** Sends a frame of a stream of ours, on all ways. Rejects with `Refused`. */
  async send(ssrc: number, frame: EncodedFrame): Promise<void> {
    const stream = this.#own.get(ssrc);
    if (stream === undefined) throw new Refused("unknown-stream", "expected a stream that was opened");
    // All places are taken before the first await, so packets of two frames keep their order.
    const now = performance.now();
    const packets = stream.packets(frame);
    const sealed = await Promise.all(packets.map((packet) => this.#conference.protect(packet, now)));
    for (const packet of sealed) {
      this.#feedback.sent(ssrc, parseRtp(packet).sequence, packet.length, performance.now());
      this.sent += 1;
      this.#ways.send(packet, "all");
    }
    this.#samples.show(ssrc, packets[0], sealed[0]);
  }

  /** Asks for a key frame of somebody's stream, unless that was done a moment ago. */
  needKeyFrame(stream: HeardStream<M>): void {
    (stream as Listening<M>).needKeyFrame();
  }

  /** Shows the next packet of a stream of ours. */
  sampleSent(ssrc: number, give: Sampled): void {
    this.#samples.want(ssrc, give);
  }

  /** Shows the next packet of somebody's stream. */
  sampleHeard(stream: HeardStream<M>, give: Sampled): void {
    this.#samples.want(stream, give);
  }

  /** Lets go of everything. */
  end(): void {
    this.#ended = true;
    this.#conference.end();
    clearInterval(this.#looking);
    for (const timer of this.#timers) clearTimeout(timer);
    for (const [name, stream] of this.#streams) this.#drop(name, stream);
    this.#ways.end();
    this.#own.clear();
  }

  async #hear(packet: Bytes, from: Uint8Array | undefined): Promise<void> {
    try {
      const opened = await this.#conference.receive(packet, from, performance.now());
      if (opened !== undefined) this.#take(opened, packet);
      else this.#wait(packet, from);
    } catch (error) {
      this.#count(error);
      if (error instanceof Refused) this.#blame(packet, from, error.reason);
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

  /** Sees a little later whether keys have come for what waits. */
  #wait(packet: Bytes, from: Uint8Array | undefined): void {
    this.#blame(packet, from, "unknown-key"); // of a stream that we know, it is its keys that have not come
    if (this.#waiting) return;
    this.#waiting = true;
    const before = this.#conference.lapsed;
    this.#later(HOLD, () => {
      this.#waiting = false;
      this.#conference.tick(performance.now());
      if (this.#conference.lapsed > before) this.#hooks.lacking();
    });
  }

  /** Notes a packet that was not taken with the streams that it says to be of: anybody may have sent it. */
  #blame(packet: Bytes, from: Uint8Array | undefined, reason: Reason): void {
    if (reason === "malformed" || isRtcp(packet)) return;
    const { ssrc } = parseRtp(packet);
    for (const stream of this.#streams.values()) {
      const possible = from === undefined || from.join() === stream.member.clientId.join();
      if (stream.ssrc === ssrc && possible) stream.condition.bad(reason, performance.now());
    }
  }

  #look(): void {
    const now = performance.now();
    this.#feedback.look(this.#streams.values(), now);
    for (const stream of this.#streams.values()) {
      const condition = stream.condition.look(now);
      if (condition !== undefined) this.#hooks.condition(stream, condition);
    }
  }

  /** `wire`: as it came, where that is at hand. */
  #take({ kind, packet, member }: MemberPacket<M>, wire?: Bytes): void {
    if (this.#ended) return;
    if (kind === "rtcp") {
      if (this.#feedback.hear(member.clientId.join(), packet, performance.now())) this.received += 1;
      return;
    }
    this.received += 1;
    const rtp = decodeRtp(packet);
    const codec = CODECS_BY_TYPE.get(rtp.payloadType);
    if (codec === undefined) throw new Refused("malformed", "expected a payload type that we know");
    const name = `${member.clientId.join()} ${rtp.ssrc}`;
    const stream = this.#streams.get(name) ?? this.#listen(name, { member, ssrc: rtp.ssrc, codec });
    stream.member = member;
    stream.push(rtp);
    this.#samples.show(stream, packet, wire);
  }

  #listen(name: string, heard: HeardStream<M>): Listening<M> {
    const stream: Listening<M> = new Listening(heard, {
      frame: (frame) => this.#hooks.frame(stream, frame),
      ask: () => this.#feedback.ask(heard.ssrc),
    });
    this.#streams.set(name, stream);
    return stream;
  }

  #drop(name: string, stream: Listening<M>): void {
    stream.end();
    this.#streams.delete(name);
    this.#samples.forget(stream);
    this.#hooks.ended(stream);
  }

  #tellProfile(member: M, profile: number): void {
    const name = `${member.clientId.join()} ${profile}`;
    if (!this.#otherProfiles.has(name)) this.#hooks.otherProfile(member, profile);
    this.#otherProfiles.add(name);
  }

  async #sendRtcp(packet: Bytes, whose: Whose): Promise<void> {
    if (!this.#ways.has(whose)) return;
    try {
      this.#ways.send(await this.#conference.protect(packet, performance.now()), whose);
    } catch (error) {
      this.#count(error);
    }
  }

  #later(milliseconds: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      work();
    }, milliseconds);
    this.#timers.add(timer);
  }

  #count(error: unknown): void {
    if (!(error instanceof Refused)) throw error;
    this.#refused.set(error.reason, (this.#refused.get(error.reason) ?? 0) + 1);
  }
}
