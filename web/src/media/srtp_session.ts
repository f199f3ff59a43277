/**
 * SRTP sessions of pages, in the media worker: keys and announcements by the port to the roomkey worker, ways and media by the page.
 * Each moves in one order, so that an announcement meets the epoch that it was made in.
 */
import { Failure, failureOf } from "../failure.js";
import type { SrtpEpochValue, SrtpMasterKey } from "../media_protocol.js";
import type { EncodingValue, MediaTarget, ReachValue, SrtpReport, SrtpRequest } from "../srtp_protocol.js";
import type { Bytes } from "../worker/crypto_keys.js";
import type { KeyPort, SrtpListener, WireMember } from "./key_port.js";
import type { SrtpCondition } from "./srtp_condition.js";
import { SrtpConference } from "./srtp_conference.js";
import type { EncodedFrame } from "./rtp_outgoing.js";
import { CODECS, type MediaFrame } from "./srtp_formats.js";
import { SessionKeys, SRTP_PROFILES } from "./srtp_kdf.js";
import type { HeardStream } from "./srtp_listening.js";
import { SrtpRoom } from "./srtp_room.js";
import { Shown } from "./srtp_shown.js";
import { Sending } from "./srtp_sending.js";
import { encodeStreams, MAX_STREAMS_EVER, streamNumber } from "./srtp_streams.js";
import { SrtpWays } from "./srtp_ways.js";

/** Milliseconds before an announcement is tried again that was one too many, and between two to one client, who may ask all the time. */
const ANNOUNCE_PAUSE = 1_000;

type Told = SrtpReport extends infer R ? (R extends SrtpReport ? Omit<R, "kind" | "session"> : never) : never;
type Asked<A extends SrtpRequest["ask"]> = Extract<SrtpRequest, { ask: A }>;

/** The sessions of this worker, by the page's number. Keys may come before the page's word, and the other way round. */
export class SrtpSessions implements SrtpListener {
  readonly #report: (report: SrtpReport) => void;
  readonly #sessions = new Map<number, SrtpSession>();
  /** Epochs of sessions that the page has not begun here yet. */
  readonly #early = new Map<number, [SrtpEpochValue, readonly SrtpMasterKey[]][]>();
  #keys: KeyPort | undefined;

  constructor(report: (report: SrtpReport) => void) {
    this.#report = report;
  }

  /** Once, before anything else. */
  use(keys: KeyPort): void {
    this.#keys = keys;
  }

  hear(request: SrtpRequest): void {
    const { session } = request;
    if (request.ask !== "start") {
      this.#sessions.get(session)?.hear(request);
      return;
    }
    if (this.#keys === undefined || this.#sessions.has(session)) return;
    const made = new SrtpSession(request, this.#keys, (told) => this.#report({ kind: "srtp", session, ...told } as SrtpReport));
    this.#sessions.set(session, made);
    for (const [value, keys] of this.#early.get(session) ?? []) made.epoch(value, keys);
    this.#early.delete(session);
  }

  epoch(value: SrtpEpochValue, keys: readonly SrtpMasterKey[]): void {
    const session = this.#sessions.get(value.session);
    if (session !== undefined) session.epoch(value, keys);
    else this.#early.set(value.session, [...(this.#early.get(value.session) ?? []), [value, keys]]);
  }

  streams(conference: number, from: Uint8Array, data: Bytes): void {
    for (const session of this.#sessions.values()) if (session.conference === conference) session.announced(from, data);
  }

  end(session: number): void {
    this.#sessions.get(session)?.end();
    this.#sessions.delete(session);
    this.#early.delete(session);
  }
}

/** One page's use of a conference's SRTP keys. */
class SrtpSession {
  readonly conference: number;
  readonly #port: KeyPort;
  readonly #tell: (told: Told) => void;
  readonly #room: SrtpRoom<WireMember>;
  readonly #ways: SrtpWays;
  readonly #sending = new Map<number, Sending>();
  readonly #shown = new Map<HeardStream<WireMember>, Shown>();
  /** Since the first epoch. */
  #own: WireMember | undefined;
  readonly #begun: Promise<void>;
  #begin: () => void = () => undefined;
  /** Whom we are telling of our streams, "" for all; true: once more after that. */
  readonly #announcing = new Map<string, boolean>();
  #turn: Promise<void> = Promise.resolve();
  #nextShown = 1;
  #ended = false;

  constructor({ conference, profile, mki }: Asked<"start">, port: KeyPort, tell: (told: Told) => void) {
    this.conference = conference;
    this.#port = port;
    this.#tell = tell;
    this.#begun = new Promise((resolve) => (this.#begin = resolve));
    this.#room = new SrtpRoom(new SrtpConference<WireMember>(profile, mki ? "mki" : "no-mki"), {
      frame: (stream, frame) => this.#shownOf(stream).take(frame),
      ended: (stream) => this.#hide(stream),
      announce: (to) => void this.#announce(to),
      keyFrame: (ssrc) => this.#sendingOf(ssrc)?.[1].askKeyFrame(),
      reach: (ssrc, reach) => this.#reach(ssrc, reach),
      otherProfile: (member, profile) => tell({ told: "other-profile", member, profile }),
      condition: (stream, condition) => this.#say(stream, condition),
      lacking: () => this.#port.resync(this.conference, performance.now()),
    });
    this.#ways = new SrtpWays(this.#room, {
      relaying: (way) => tell({ told: "relaying", way }),
      relayEnded: (way, error) => tell({ told: "relay-ended", way, error: error.plain() }),
    });
  }

  epoch(value: SrtpEpochValue, masters: readonly SrtpMasterKey[]): void {
    this.#room.retain(value.members); // who is gone is gone at once, and not when the others' keys are derived
    this.#next(async () => {
      const profile = SRTP_PROFILES.get(value.profile);
      if (profile === undefined) throw new Failure("internal-error", `expected a profile that we have, got ${value.profile}`);
      const derived = masters.map(({ key, salt }) => SessionKeys.derive(profile, key, salt, value.mki));
      const keys = new Map((await Promise.all(derived)).map((made, at) => [value.senders[at]!, made]));
      const { group, reason, ownLeaf, members } = value;
      this.#own = members.find(({ leafIndex }) => leafIndex === ownLeaf);
      await this.#room.epoch({ group, epoch: BigInt(value.epoch), reason, ownLeaf, members, keys });
      this.#begin();
    });
    if (value.reason === "start") this.#next(async () => this.#room.begin(await this.#ssrc()));
  }

  announced(from: Uint8Array, data: Bytes): void {
    this.#next(() => this.#room.announced(from, data));
  }

  hear(request: SrtpRequest): void {
    if (request.ask === "connect") this.#ways.connect(request);
    else if (request.ask === "relay") void this.#ways.relay(request);
    else if (request.ask === "disconnect") this.#ways.disconnect(request.way);
    else if (request.ask === "send") void this.#send(request);
    else if (request.ask === "frame") this.#pass(request);
    else if (request.ask === "unsend") this.#unsend(request.stream, undefined);
    else if (request.ask === "show") this.#show(request.stream, request.target);
    else if (request.ask === "sample") this.#sample(request);
    else if (request.ask === "counts") this.#count();
    else if (request.ask === "stop") this.#leave();
  }

  /** The others are told that there is nothing of us any more; the port keeps order, so that no earlier word comes after it. */
  #leave(): void {
    if (this.#ended) return;
    if (this.#room.begun) this.#port.announce(this.conference, encodeStreams([])).catch(() => undefined); // who is gone shows by itself, too
    this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#room.end();
    for (const sending of this.#sending.values()) sending.end();
    this.#sending.clear();
    this.#ways.end();
    this.#tell({ told: "ended" });
  }

  // -- what we send --

  async #send({ stream, media, encoding, source }: Asked<"send">): Promise<void> {
    const codec = CODECS.get(encoding.codec);
    if (codec?.encoder === undefined || codec.kind !== media) {
      this.#unsent(stream, new Failure("bad-argument", `codec: expected one for ${media} that we have`, { field: "codec" }));
      return;
    }
    await this.#begun;
    try {
      const ssrc = await this.#ssrc();
      if (this.#ended) return;
      this.#room.open(ssrc, codec.format, encoding.bitrate);
      const encoder = { make: codec.encoder, encoding: encoding as EncodingValue };
      const way = { send: (frame: EncodedFrame) => this.#room.send(ssrc, frame), full: () => this.#room.full };
      const sending = new Sending(ssrc, encoder, way, (error) => this.#unsend(stream, error));
      this.#sending.set(stream, sending);
      this.#tell({ told: "sending", stream, ssrc });
      if (source !== undefined) void sending.run(source as ReadableStream<MediaFrame>);
    } catch (error) {
      this.#unsent(stream, failureOf(error));
    }
  }

  #pass({ stream, frame }: Asked<"frame">): void {
    const sending = this.#sending.get(stream);
    if (sending === undefined) frame.close();
    else sending.take(frame);
  }

  #unsend(stream: number, error: Failure | undefined): void {
    const sending = this.#sending.get(stream);
    if (sending === undefined) return;
    this.#sending.delete(stream);
    sending.end();
    this.#room.close(sending.ssrc);
    this.#unsent(stream, error);
  }

  #unsent(stream: number, error: Failure | undefined): void {
    this.#tell({ told: "unsent", stream, error: error?.plain() });
  }

  #sendingOf(ssrc: number): [number, Sending] | undefined {
    return [...this.#sending].find(([, sending]) => sending.ssrc === ssrc);
  }

  #reach(ssrc: number, reach: ReachValue): void {
    const [stream, sending] = this.#sendingOf(ssrc) ?? [];
    if (stream === undefined) return;
    sending?.reach(reach);
    this.#tell({ told: "reach", stream, ...reach });
  }

  /**
   * An SSRC that this client never had in this conference: the low bits count, durably, for as long as its place in it lasts. The others
   * tell this place from one that the client had before, whose packets their replay windows remember.
   */
  async #ssrc(): Promise<number> {
    const context = await this.#port.context(this.conference);
    if (context >= MAX_STREAMS_EVER) throw new Failure("bad-argument", `expected at most ${MAX_STREAMS_EVER} streams of one conference`);
    return streamNumber(this.#own!.clientId, Number(context), crypto.getRandomValues(new Uint32Array(1))[0]!);
  }

  /** What is said while this is under way is said by the next one, which tells of all streams of then. */
  async #announce(to: Uint8Array | undefined): Promise<void> {
    const whom = to?.join() ?? "";
    const isUnderWay = this.#announcing.has(whom);
    this.#announcing.set(whom, isUnderWay);
    if (isUnderWay) return;
    do {
      this.#announcing.set(whom, false);
      const isSaid = await this.#announceOnce(to);
      if (!isSaid) this.#announcing.set(whom, true);
      if (!isSaid || to !== undefined) await new Promise((resolve) => setTimeout(resolve, ANNOUNCE_PAUSE));
    } while (this.#announcing.get(whom) === true && !this.#ended);
    this.#announcing.delete(whom);
  }

  /** False where it was one signal too many. */
  async #announceOnce(to: Uint8Array | undefined): Promise<boolean> {
    try {
      await this.#port.announce(this.conference, this.#room.announcement(), to);
    } catch (error) {
      const failed = failureOf(error);
      if (failed.code === "too-many-signals") return false;
      if (failed.code !== "no-such-member") this.#tell({ told: "error", error: failed.plain() }); // gone meanwhile, and nothing to be told
    }
    return true;
  }

  // -- what others send --

  #shownOf(stream: HeardStream<WireMember>): Shown {
    const present = this.#shown.get(stream);
    if (present !== undefined) return present;
    const made = new Shown(this.#nextShown++, stream.codec, () => this.#room.needKeyFrame(stream));
    this.#shown.set(stream, made);
    const { member, ssrc, codec } = stream;
    this.#tell({ told: "stream", stream: made.number, member, ssrc, media: codec.kind, codec: codec.name });
    return made;
  }

  #show(number: number, target: MediaTarget): void {
    for (const shown of this.#shown.values()) if (shown.number === number) shown.show(target);
  }

  #hide(stream: HeardStream<WireMember>): void {
    const shown = this.#shown.get(stream);
    if (shown === undefined) return;
    this.#shown.delete(stream);
    shown.end();
    this.#tell({ told: "stream-ended", stream: shown.number });
  }

  #say(stream: HeardStream<WireMember>, { state, reason, since }: SrtpCondition): void {
    const shown = this.#shown.get(stream);
    const time = Date.now() - (performance.now() - since);
    if (shown !== undefined) this.#tell({ told: "state", stream: shown.number, state, reason, since: time });
  }

  #sample({ direction, stream }: Asked<"sample">): void {
    const tell = (packet: Bytes, wire: Bytes): void => this.#tell({ told: "sample", direction, stream, sample: { packet, wire } });
    const sending = this.#sending.get(stream);
    if (direction === "send" && sending !== undefined) this.#room.sampleSent(sending.ssrc, tell);
    for (const [heard, shown] of this.#shown) if (direction === "receive" && shown.number === stream) this.#room.sampleHeard(heard, tell);
  }

  #count(): void {
    const { sent, received, refused } = this.#room;
    this.#tell({ told: "counts", counts: { sent, received, refused: Object.fromEntries(refused) } });
  }

  /** One thing after the other. What fails is told, and the next goes on. */
  #next(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#ended) return;
      try {
        await work();
      } catch (error) {
        this.#tell({ told: "error", error: failureOf(error).plain() });
      }
    });
  }
}
