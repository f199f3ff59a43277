/** A call's connection to one other client: protected before anything is negotiated, and from that client alone. */
import type { FrameSample } from "../protection.js";
import type { CallOptions } from "../roomkey.js";
import type { Member } from "../values.js";
import type { CallSignal, OwnMedia } from "./call_signal.js";
import type { Lock } from "./call_values.js";
import type { Carriage, Carrier, Coming, OwnTracks } from "./carrier.js";
import { Negotiation } from "./negotiation.js";
import type { Tries } from "./tries.js";

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
  /** Asks for another connection in place of this one. */
  readonly renew: () => void;
}

/** Which connection it is. */
export interface Place {
  readonly member: Member;
  /** Of the other's stay in the call. */
  readonly session: string;
  readonly attempt: number;
  readonly polite: boolean;
  /** What comes: one sound, one picture. */
  readonly stream: MediaStream;
  readonly tries: Tries;
}

/** Milliseconds without a sign before another way is looked for: browsers hope for minutes, and a moment without network is nothing. */
const LOST_MS = 3000;
/** Milliseconds for which a first connection may take before other ways are tried. */
const CONNECT_MS = 15_000;

export class Peer {
  readonly place: Place;
  media: OwnMedia;
  readonly #options: PeerOptions;
  readonly #carrier: Carrier;
  readonly #pc: RTCPeerConnection;
  readonly #negotiation: Promise<Negotiation | undefined>;
  #lock: Lock = { state: "connecting", reason: undefined, since: new Date() };
  #failure: string | undefined;
  #connected = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(place: Place, media: OwnMedia, options: PeerOptions) {
    this.place = place;
    this.media = media;
    this.#options = options;
    const { member, polite, stream } = place;
    this.#pc = new RTCPeerConnection(options.configuration);
    const { tracks, changed } = options;
    const look = (): void => this.#look();
    this.#carrier = options.carriage.carrier({ pc: this.#pc, member, polite, stream, tracks, changed, look });
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
    void this.#negotiation.then((negotiation) => negotiation?.close());
    const { stream } = this.place;
    for (const track of stream.getTracks()) {
      track.stop();
      stream.removeTrack(track);
    }
  }

  /** The network has changed: what could not be reached may be now. */
  wake(): void {
    if (this.#pc.connectionState === "connected") return;
    this.place.tries.reset();
    this.#failure = undefined;
    this.#retry();
    this.#look();
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
    const { session: peer, attempt, polite } = this.place;
    const out = {
      description: (kind: "offer" | "answer", sdp: string): void => send({ type: "description", session, peer, attempt, kind, sdp }),
      candidates: (candidates: Extract<CallSignal, { type: "candidates" }>["candidates"]): void =>
        send({ type: "candidates", session, peer, attempt, candidates }),
      failed,
    };
    const negotiation = new Negotiation(this.#pc, polite, out, () => this.#carrier.dress());
    if (!polite) negotiation.open();
    return negotiation;
  }

  #follow(): void {
    const { connectionState } = this.#pc;
    const { tries } = this.place;
    if (connectionState === "connected") {
      clearTimeout(this.#timer);
      this.#connected = true;
      tries.reset();
    } else if (connectionState === "failed") {
      tries.impostor ||= this.#isImpostor();
      this.#retry();
    } else if (connectionState === "disconnected" && tries.fresh) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#retry(), LOST_MS);
    }
    this.#look();
  }

  #retry(): void {
    clearTimeout(this.#timer);
    if (this.#pc.signalingState === "closed") return;
    const { tries } = this.place;
    const wait = tries.next();
    if (wait === undefined) this.#fail(tries.impostor ? "impostor" : "no-way");
    else {
      this.#timer = setTimeout(() => {
        // A connection that was good looks for other ways; one whose offer or answer was lost, or that was never good, is made anew.
        if (!this.#connected || this.#pc.signalingState !== "stable") return this.#options.renew();
        void this.#negotiation.then((negotiation) => negotiation?.restart());
        this.#timer = setTimeout(() => this.#retry(), CONNECT_MS);
      }, wait);
    }
  }

  /** Whether there is a way, and at its end somebody without the key of the member's description (RFC 8827 section 6.5). */
  #isImpostor(): boolean {
    const transports = [this.#pc.sctp?.transport, ...this.#pc.getTransceivers().map(({ sender }) => sender.transport)];
    return transports.some((transport) => transport?.state === "failed" && ["connected", "completed"].includes(transport.iceTransport.state));
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
