/**
 * SRTP of a conference, as pages use it: ways for packets in, media in, media out. Keys, packets, encoders and decoders are in the media
 * worker; what goes through the page is media that it has anyway, and packets that are protected.
 */
import type { SrtpProfile } from "./conference_values.js";
import { publicError, RoomkeyError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import { pumpAudio, pumpVideo, trackFrames } from "./frame_source.js";
import type { MediaLink } from "./media_link.js";
import { relayed } from "./packet_relay.js";
import { type SrtpCounts, SrtpIncoming, SrtpOutgoing } from "./srtp_media.js";
import type { SrtpReport, SrtpRequest } from "./srtp_protocol.js";
import { SrtpRelay, type SrtpRelayOptions } from "./srtp_relay.js";
import { encodingOf, type SrtpConnectOptions, type SrtpOptions, type SrtpSendOptions } from "./srtp_values.js";
import { type Member, toMember } from "./values.js";

/** Events of a session. */
export interface SrtpSessionEvents {
  /** Somebody's stream, of which packets come. */
  stream: SrtpIncoming;
  /** A stream whose sender has it no more, or is gone. */
  gone: SrtpIncoming;
  /** The session is over: by `stop`, or with the conference. */
  ended: undefined;
  /** A member whose streams are under another profile ("profile-mismatch", `details.profile` by its number), so that nobody here can open them. */
  mismatch: { readonly member: Member; readonly error: RoomkeyError };
  /** A failure in the background. */
  error: RoomkeyError;
}

/** @internal */
export interface SrtpUse {
  readonly conference: number;
  /** Has the media worker get the conference's SRTP keys for this session; answers the profile's number. */
  readonly begin: (session: number, profile: SrtpProfile) => Promise<number>;
  readonly end: (session: number) => Promise<void>;
}

/** @internal See `Conference.srtp`. */
export async function beginSrtp(link: MediaLink, use: SrtpUse, { profile = "SRTP_AEAD_AES_128_GCM", mki = true }: SrtpOptions): Promise<SrtpSession> {
  return SrtpSession.begin(link, use, profile, mki);
}

type Ask = SrtpRequest extends infer R ? (R extends SrtpRequest ? Omit<R, "kind" | "session"> : never) : never;

/** Media of a conference in SRTP packets: see `Conference.srtp`. */
export class SrtpSession extends TypedEventTarget<SrtpSessionEvents> {
  readonly profile: SrtpProfile;
  readonly #link: MediaLink;
  readonly #use: SrtpUse;
  readonly #number: number;
  readonly #ways = new Map<RTCDataChannel | MessagePort, number>();
  readonly #outgoing = new Map<number, SrtpOutgoing>();
  readonly #opening = new Map<number, { resolve(ssrc: number): void; reject(error: RoomkeyError): void }>();
  readonly #incoming = new Map<number, SrtpIncoming>();
  readonly #relays = new Map<number, SrtpRelay>();
  readonly #entering = new Map<number, { resolve(): void; reject(error: RoomkeyError): void }>();
  readonly #counting: ((counts: SrtpCounts | undefined) => void)[] = [];
  #nextWay = 1;
  #nextStream = 1;
  #ended = false;

  private constructor(link: MediaLink, use: SrtpUse, profile: SrtpProfile) {
    super();
    this.profile = profile;
    this.#link = link;
    this.#use = use;
    this.#number = link.addSession((report) => this.#hear(report));
  }

  /** @internal */
  static async begin(link: MediaLink, use: SrtpUse, name: SrtpProfile, mki: boolean): Promise<SrtpSession> {
    const session = new SrtpSession(link, use, name);
    try {
      const profile = await use.begin(session.#number, name);
      session.#ask({ ask: "start", conference: use.conference, profile, mki });
    } catch (error) {
      link.removeSession(session.#number);
      use.end(session.#number).catch(() => undefined); // it may have begun there though we stopped waiting; else there is none to end
      throw error;
    }
    return session;
  }

  /** What members send that packets have come of. */
  get streams(): readonly SrtpIncoming[] {
    return [...this.#incoming.values()];
  }

  /** Whether it is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * Sends and takes packets by this channel from now on: one to a member's page (`from`), or to a relay. It is to be made with
   * `{ ordered: false, maxRetransmits: 0 }` and connected in the same task: then it goes to the worker, where the browser can do that
   * (Chromium), and is of no use here any more. Else packets pass through this page, protected. Of a port, each message is one packet.
   *
   * Throws "bad-argument", "closed".
   */
  connect(channel: RTCDataChannel | MessagePort, { from }: SrtpConnectOptions = {}): void {
    this.#expectOpen();
    const isChannel = channel instanceof RTCDataChannel;
    if (!isChannel && !(channel instanceof MessagePort)) throw wrong("channel", "an RTCDataChannel or MessagePort");
    if (this.#ways.has(channel)) throw wrong("channel", "one that is not connected yet");
    const way = this.#nextWay++;
    const request = { ask: "connect", way, from: from?.slice() } as const;
    try {
      this.#ask({ ...request, channel }, [channel as unknown as Transferable]);
    } catch (error) {
      if (!isChannel || !(error instanceof DOMException || error instanceof TypeError)) throw error;
      const port = relayed(channel, () => this.disconnect(channel)); // this browser, or this channel, cannot be transferred
      this.#ask({ ...request, channel: port }, [port]);
    }
    this.#ways.set(channel, way);
  }

  /** Uses a channel no more. One that is not connected is no error. */
  disconnect(channel: RTCDataChannel | MessagePort): void {
    const way = this.#ways.get(channel);
    if (way !== undefined && !this.#ended) this.#ask({ ask: "disconnect", way });
    this.#ways.delete(channel);
  }

  /**
   * Sends and takes packets through a room of a relay (`roomkey-relay`) from now on, over WebTransport. The address names the room, such
   * as `https://relay.example:8444/v1/rooms/NAME`, with a name of 22 or more characters of base64url that members alone know. The relay
   * sees protected packets, and who is in which room. A page's connect-src must allow its origin.
   *
   * Rejects with "relay-unreachable", "blocked-by-csp", "browser-too-old" (`details.missing`), "bad-argument", "closed".
   */
  async relay(url: string, { certificateHashes = [], signal }: SrtpRelayOptions = {}): Promise<SrtpRelay> {
    this.#expectOpen();
    signal?.throwIfAborted();
    if (!URL.canParse(url) || new URL(url).protocol !== "https:") throw wrong("url", "the https address of a room");
    const hashes = certificateHashes.map((hash) => hash.slice());
    if (hashes.some(({ length }) => length !== 32)) throw wrong("certificateHashes", "32 bytes each");
    const way = this.#nextWay++;
    const relay = new SrtpRelay(url, () => this.#leaveRelay(way, undefined));
    const entered = new Promise<void>((resolve, reject) => this.#entering.set(way, { resolve, reject }));
    const abort = (): void => this.#leaveRelay(way, signal?.reason as RoomkeyError);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      this.#ask({ ask: "relay", way, url, hashes });
      await entered;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#entering.delete(way);
    }
    this.#relays.set(way, relay);
    return relay;
  }

  /**
   * Sends a track, or frames as they come (WebCodecs; the stream goes to the worker), on all ways, to all members. Resolves when it is
   * announced; others see it from their next packet on.
   *
   * Rejects with "bad-argument" for a codec that is none of ours, "closed".
   */
  async send(
    source: MediaStreamTrack | ReadableStream<VideoFrame> | ReadableStream<AudioData>,
    options: SrtpSendOptions = {},
  ): Promise<SrtpOutgoing> {
    this.#expectOpen();
    options.signal?.throwIfAborted();
    const isTrack = source instanceof MediaStreamTrack;
    if (!isTrack && !(source instanceof ReadableStream)) throw wrong("source", "a MediaStreamTrack or a ReadableStream of frames");
    const kind = isTrack ? (source.kind as "audio" | "video") : (options.kind ?? "video");
    const encoding = encodingOf(kind, options);
    const stream = this.#nextStream++;
    const frames = isTrack ? trackFrames(source) : source;
    const opened = new Promise<number>((resolve, reject) => this.#opening.set(stream, { resolve, reject }));
    this.#ask({ ask: "send", stream, media: kind, encoding, source: frames }, frames === undefined ? [] : [frames as unknown as Transferable]);
    const ssrc = await opened;
    const outgoing = new SrtpOutgoing(kind, encoding, ssrc, {
      stop: () => this.#ended || this.#ask({ ask: "unsend", stream }),
      sample: () => this.#ask({ ask: "sample", direction: "send", stream }),
    });
    this.#outgoing.set(stream, outgoing);
    if (frames === undefined) {
      const give = (frame: VideoFrame | AudioData): void => this.#ask({ ask: "frame", stream, frame }, [frame as unknown as Transferable]);
      const end = await (kind === "audio" ? pumpAudio : pumpVideo)(source as MediaStreamTrack, give);
      outgoing.addEventListener("ended", end, { once: true });
    }
    return outgoing;
  }

  /** How many packets were sent, taken, and refused, by reason: "replayed", "not-authentic", "unknown-stream", ... Rejects with "closed". */
  counts(): Promise<SrtpCounts> {
    this.#expectOpen();
    return new Promise((resolve, reject) => {
      this.#counting.push((counts) => (counts === undefined ? reject(closed()) : resolve(counts)));
      this.#ask({ ask: "counts" });
    });
  }

  /** Nothing is sent or taken any more, and the keys are forgotten. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#ask({ ask: "stop" });
    this.#end();
    await this.#use.end(this.#number);
  }

  #hear(report: SrtpReport): void {
    if (report.told === "stream") {
      const { stream, ssrc, codec } = report;
      const show = (target: Extract<Ask, { ask: "show" }>["target"]): void => {
        this.#expectOpen();
        this.#ask({ ask: "show", stream, target }, [target as unknown as Transferable]);
      };
      const sample = (): void => this.#ask({ ask: "sample", direction: "receive", stream });
      const incoming = new SrtpIncoming(toMember(report.member), report.media, codec, ssrc, { show, sample });
      this.#incoming.set(stream, incoming);
      this.emit("stream", incoming);
    } else if (report.told === "stream-ended") {
      this.#gone(report.stream);
    } else if (report.told === "state") {
      this.#incoming.get(report.stream)?.became(report.state, report.reason, new Date(report.since));
    } else if (report.told === "sample") {
      const streams: ReadonlyMap<number, SrtpIncoming | SrtpOutgoing> = report.direction === "send" ? this.#outgoing : this.#incoming;
      streams.get(report.stream)?.sampled(Object.freeze(report.sample));
    } else if (report.told === "sending") {
      this.#opening.get(report.stream)?.resolve(report.ssrc);
      this.#opening.delete(report.stream);
    } else if (report.told === "unsent") {
      this.#unsent(report.stream, report.error === undefined ? undefined : new RoomkeyError(report.error));
    } else if (report.told === "relaying") {
      this.#entering.get(report.way)?.resolve();
    } else if (report.told === "relay-ended") {
      this.#relayEnded(report.way, report.error === undefined ? undefined : new RoomkeyError(report.error));
    } else if (report.told === "reach") {
      const { state, reason, bitrate } = report;
      this.#outgoing.get(report.stream)?.reached({ state, reason, bitrate });
    } else if (report.told === "other-profile") {
      const text = `expected streams under ${this.profile}, got protection profile ${report.profile}`;
      const failure = new Failure("profile-mismatch", text, { profile: report.profile });
      this.emit("mismatch", { member: toMember(report.member), error: publicError(failure) });
    } else if (report.told === "counts") {
      this.#counting.shift()?.(Object.freeze(report.counts));
    } else if (report.told === "error") {
      this.emit("error", new RoomkeyError(report.error));
    } else if (!this.#ended) {
      this.#end();
    }
  }

  #leaveRelay(way: number, reason: RoomkeyError | undefined): void {
    if (!this.#ended) this.#ask({ ask: "disconnect", way });
    this.#relayEnded(way, reason);
  }

  #relayEnded(way: number, error: RoomkeyError | undefined): void {
    this.#entering.get(way)?.reject(error ?? closed());
    const relay = this.#relays.get(way);
    this.#relays.delete(way);
    relay?.emit("ended", { error });
  }

  #unsent(stream: number, error: RoomkeyError | undefined): void {
    this.#opening.get(stream)?.reject(error ?? closed());
    this.#opening.delete(stream);
    const outgoing = this.#outgoing.get(stream);
    this.#outgoing.delete(stream);
    outgoing?.end(error);
  }

  #gone(stream: number): void {
    const incoming = this.#incoming.get(stream);
    if (incoming === undefined) return;
    this.#incoming.delete(stream);
    incoming.end();
    this.emit("gone", incoming);
  }

  #end(): void {
    this.#ended = true;
    this.#link.removeSession(this.#number);
    for (const stream of [...this.#opening.keys(), ...this.#outgoing.keys()]) this.#unsent(stream, undefined);
    for (const way of [...this.#entering.keys(), ...this.#relays.keys()]) this.#relayEnded(way, undefined);
    for (const settle of this.#counting.splice(0)) settle(undefined);
    for (const stream of [...this.#incoming.keys()]) this.#gone(stream);
    this.emit("ended", undefined);
  }

  #expectOpen(): void {
    if (this.#ended) throw closed();
  }

  #ask(ask: Ask, transfer: Transferable[] = []): void {
    this.#link.ask({ kind: "srtp", session: this.#number, ...ask } as SrtpRequest, transfer);
  }
}

/** Stops at the end of an `await using` block. */
export interface SrtpSession extends AsyncDisposable {}
disposable(SrtpSession, "stop");

const wrong = (field: string, expected: string): RoomkeyError => publicError(new Failure("bad-argument", `${field}: expected ${expected}`, { field }));
const closed = (): RoomkeyError => publicError(new Failure("closed", "expected a session that goes on"));
