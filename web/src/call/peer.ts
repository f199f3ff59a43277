/** A call's connection to one other client: protected before anything is negotiated, and from that client alone. */
import type { Conference } from "../conference.js";
import { publicError } from "../errors.js";
import { Failure } from "../failure.js";
import type { FrameSample, ProtectedStream, Protection } from "../protection.js";
import type { CallOptions } from "../roomkey.js";
import type { Member } from "../values.js";
import type { CallSignal, OwnMedia } from "./call_signal.js";
import type { Lock } from "./call_values.js";
import { Negotiation } from "./negotiation.js";

/** What a connection needs of its call. */
export interface PeerOptions {
  readonly conference: Conference;
  readonly configuration: RTCConfiguration;
  /** Of the own stay in the call. */
  readonly session: string;
  /** The own tracks of now. */
  readonly tracks: () => { readonly audio: MediaStreamTrack | null; readonly video: MediaStreamTrack | null };
  readonly send: (signal: CallSignal) => void;
  readonly changed: () => void;
  readonly failed: (error: unknown) => void;
}

/** Tries at finding other ways, and the milliseconds before each: a phone that changes networks is back in a few seconds. */
const RESTARTS_MS = [0, 2000, 5000, 10_000, 20_000];
/** Milliseconds for which a first connection may take before other ways are tried. */
const CONNECT_MS = 15_000;

export class Peer {
  readonly member: Member;
  readonly session: string;
  /** What comes: one sound, one picture. */
  readonly stream = new MediaStream();
  media: OwnMedia;
  readonly #options: PeerOptions;
  readonly #polite: boolean;
  readonly #pc: RTCPeerConnection;
  readonly #negotiation: Promise<Negotiation | undefined>;
  #protection: Protection | undefined;
  #lock: Lock = { state: "connecting", reason: undefined, since: new Date() };
  #failure: string | undefined;
  #restarts = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(member: Member, session: string, media: OwnMedia, polite: boolean, options: PeerOptions) {
    this.member = member;
    this.session = session;
    this.media = media;
    this.#polite = polite;
    this.#options = options;
    this.#pc = new RTCPeerConnection(options.configuration);
    this.#pc.addEventListener("track", ({ track }) => {
      this.stream.addTrack(track);
      options.changed();
    });
    this.#pc.addEventListener("connectionstatechange", () => this.#follow());
    this.#negotiation = this.#begin();
    this.#timer = setTimeout(() => this.#retry(), CONNECT_MS);
  }

  get lock(): Lock {
    return this.#lock;
  }

  /** The receiver of the other's sound, once there is one. */
  get sound(): RTCRtpReceiver | undefined {
    return this.#pc.getReceivers().find(({ track }) => track.kind === "audio");
  }

  /** Takes what the other client said to this stay of ours. */
  async hear(signal: CallSignal): Promise<void> {
    const negotiation = await this.#negotiation;
    if (signal.type === "description") negotiation?.described(signal.kind, signal.sdp);
    else if (signal.type === "candidates") negotiation?.found(signal.candidates);
  }

  /** See `Call.sample`. */
  async sample(direction: "send" | "receive", options: CallOptions): Promise<FrameSample> {
    await this.#negotiation;
    if (this.#protection === undefined) throw publicError(new Failure("closed", "expected a connection that is protected"));
    return this.#protection.sample(direction, "video", options);
  }

  /** Sends the own tracks of now. */
  async show(): Promise<void> {
    const { audio, video } = this.#options.tracks();
    for (const { sender, receiver } of this.#pc.getTransceivers()) await sender.replaceTrack(receiver.track.kind === "audio" ? audio : video);
  }

  close(): void {
    clearTimeout(this.#timer);
    void this.#protection?.stop();
    this.#pc.close();
    for (const track of this.stream.getTracks()) track.stop();
  }

  /** Nothing is negotiated before the connection is protected, and nothing at all where it cannot be. */
  async #begin(): Promise<Negotiation | undefined> {
    const { conference, session, send, failed } = this.#options;
    try {
      this.#protection = await conference.protect(this.#pc, { from: this.member.clientId });
    } catch (error) {
      this.close();
      this.#fail((error as { code?: string }).code ?? "internal-error");
      failed(error);
      return undefined;
    }
    this.#protection.addEventListener("state", () => this.#look());
    const peer = this.session;
    const out = {
      description: (kind: "offer" | "answer", sdp: string): void => send({ type: "description", session, peer, kind, sdp }),
      candidates: (candidates: Extract<CallSignal, { type: "candidates" }>["candidates"]): void =>
        send({ type: "candidates", session, peer, candidates }),
      failed,
    };
    const negotiation = new Negotiation(this.#pc, this.#polite, out, () => this.#dress());
    if (!this.#polite) negotiation.open();
    return negotiation;
  }

  /** One section for sound and one for the picture, whatever there is to send: tracks come and go without negotiating again. */
  async #dress(): Promise<void> {
    if (!this.#polite) for (const kind of ["audio", "video"]) this.#pc.addTransceiver(kind, { direction: "sendrecv" });
    for (const transceiver of this.#pc.getTransceivers()) transceiver.direction = "sendrecv";
    await this.show();
  }

  #follow(): void {
    const { connectionState } = this.#pc;
    if (connectionState === "connected") {
      clearTimeout(this.#timer);
      this.#restarts = 0;
    } else if (connectionState === "failed") this.#retry();
    this.#look();
  }

  #retry(): void {
    clearTimeout(this.#timer);
    if (this.#pc.signalingState === "closed") return;
    const wait = RESTARTS_MS[this.#restarts++];
    if (wait === undefined) this.#fail("no-way");
    else {
      this.#timer = setTimeout(() => {
        void this.#negotiation.then((negotiation) => negotiation?.restart());
        this.#timer = setTimeout(() => this.#retry(), CONNECT_MS);
      }, wait);
    }
  }

  #fail(reason: string): void {
    this.#failure = reason;
    this.#look();
  }

  #look(): void {
    const { state, reason, since } = this.#now();
    if (state === this.#lock.state && reason === this.#lock.reason) return;
    this.#lock = Object.freeze({ state, reason, since });
    this.#options.changed();
  }

  #now(): Lock {
    if (this.#pc.connectionState !== "connected") {
      const failed = this.#failure !== undefined;
      return { state: failed ? "failed" : "connecting", reason: this.#failure, since: new Date() };
    }
    this.#failure = undefined;
    const coming = (this.#protection?.states() ?? []).filter(({ direction }) => direction === "receive");
    return { ...worst(coming) };
  }
}

/** What is to be said of several streams: what is wrong with one, before what is well with another. */
function worst(streams: readonly ProtectedStream[]): Lock {
  for (const wanted of ["refused", "no-key", "protected"] as const) {
    const found = streams.find(({ state }) => state === wanted);
    if (found !== undefined) return { state: wanted, reason: found.reason, since: found.since };
  }
  return { state: "waiting", reason: undefined, since: new Date() };
}
