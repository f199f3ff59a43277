/** A call's connection to one other client: protected before anything is negotiated, and from that client alone. */
import type { FrameSample } from "../protection.js";
import type { CallOptions } from "../roomkey.js";
import type { Member } from "../values.js";
import type { CallSignal, OwnMedia } from "./call_signal.js";
import type { Lock } from "./call_values.js";
import type { Carriage, Carrier, Coming, OwnTracks } from "./carrier.js";
import { Negotiation } from "./negotiation.js";

/** What a connection needs of its call. */
export interface PeerOptions {
  readonly carriage: Carriage;
  readonly configuration: RTCConfiguration;
  /** Of the own stay in the call. */
  readonly session: string;
  /** The own tracks of now. */
  readonly tracks: () => OwnTracks;
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
  readonly #carrier: Carrier;
  readonly #pc: RTCPeerConnection;
  readonly #negotiation: Promise<Negotiation | undefined>;
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
    const { tracks, changed } = options;
    const look = (): void => this.#look();
    this.#carrier = options.carriage.carrier({ pc: this.#pc, member, polite, stream: this.stream, tracks, changed, look });
    this.#pc.addEventListener("connectionstatechange", () => this.#follow());
    this.#negotiation = this.#begin();
    this.#timer = setTimeout(() => this.#retry(), CONNECT_MS);
  }

  get lock(): Lock {
    return this.#lock;
  }

  /** The other's sound, once there is some. */
  get sound(): RTCRtpReceiver | MediaStreamTrack | undefined {
    return this.#carrier.sound();
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
    return this.#carrier.sample(direction, options);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#carrier.stop();
    this.#pc.close();
    for (const track of this.stream.getTracks()) track.stop();
  }

  /** Nothing is negotiated before the connection is protected, and nothing at all where it cannot be. */
  async #begin(): Promise<Negotiation | undefined> {
    const { session, send, failed } = this.#options;
    try {
      await this.#carrier.begin();
    } catch (error) {
      this.close();
      this.#fail((error as { code?: string }).code ?? "internal-error");
      failed(error);
      return undefined;
    }
    const peer = this.session;
    const out = {
      description: (kind: "offer" | "answer", sdp: string): void => send({ type: "description", session, peer, kind, sdp }),
      candidates: (candidates: Extract<CallSignal, { type: "candidates" }>["candidates"]): void =>
        send({ type: "candidates", session, peer, candidates }),
      failed,
    };
    const negotiation = new Negotiation(this.#pc, this.#polite, out, () => this.#carrier.dress());
    if (!this.#polite) negotiation.open();
    return negotiation;
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
    return { ...worst(this.#carrier.coming()) };
  }
}

/** What is to be said of several streams: what is wrong with one, before what is well with another. */
function worst(streams: readonly Coming[]): Lock {
  for (const wanted of ["refused", "no-key", "protected"] as const) {
    const found = streams.find(({ state }) => state === wanted);
    if (found !== undefined) return { state: wanted, reason: found.reason, since: found.since };
  }
  return { state: "waiting", reason: undefined, since: new Date() };
}
