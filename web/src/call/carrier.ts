/** How the connections of a call carry media: as WebRTC's own, each frame protected, or in SRTP packets (srtp_carrier.ts). */
import type { Conference } from "../conference.js";
import { publicError } from "../errors.js";
import { Failure } from "../failure.js";
import type { FrameSample, Protection } from "../protection.js";
import type { CallOptions } from "../roomkey.js";
import type { Member } from "../values.js";
import type { Lock } from "./call_values.js";

const KINDS = ["audio", "video"] as const;

/** The own tracks of now. */
export interface OwnTracks {
  readonly audio: MediaStreamTrack | null;
  readonly video: MediaStreamTrack | null;
}

/** One connection, to one client. */
export interface CarriedPeer {
  readonly pc: RTCPeerConnection;
  readonly member: Member;
  readonly polite: boolean;
  /** What comes is put here. */
  readonly stream: MediaStream;
  readonly tracks: () => OwnTracks;
  /** There is something more or less in `stream`. */
  readonly changed: () => void;
  /** What comes does otherwise than before. */
  readonly look: () => void;
}

/** How what comes does. */
export type Coming = Pick<Lock, "state" | "reason" | "since">;

/** Media of one connection. */
export interface Carrier {
  /** Before anything is negotiated; rejects where media cannot be protected. */
  begin(): Promise<void>;
  /** Prepares our side of what is negotiated; once. */
  dress(): Promise<void>;
  /** Sends the own tracks of now. */
  show(): Promise<void>;
  coming(): readonly Coming[];
  /** The other's sound, once there is some. */
  sound(): RTCRtpReceiver | MediaStreamTrack | undefined;
  /** See `Call.sample`. */
  sample(direction: "send" | "receive", options: CallOptions): Promise<FrameSample>;
  stop(): void;
}

/** Media of all connections of a call. */
export interface Carriage {
  carrier(peer: CarriedPeer): Carrier;
  /** Sends the own tracks of now to all. */
  show(tracks: OwnTracks): Promise<void>;
  /** Of what is sent to all: why nobody gets it. */
  unheard(): Lock | undefined;
  end(): Promise<void>;
}

/** WebRTC's own media, protected by SFrame. */
export class WebRtcCarriage implements Carriage {
  readonly #conference: Conference;
  readonly #carriers = new Set<WebRtcCarrier>();

  constructor(conference: Conference) {
    this.#conference = conference;
  }

  carrier(peer: CarriedPeer): Carrier {
    const made = new WebRtcCarrier(this.#conference, peer, () => this.#carriers.delete(made));
    this.#carriers.add(made);
    return made;
  }

  /** Each connection has media of its own, and its tile says how that does. */
  unheard(): undefined {
    return undefined;
  }

  async show(): Promise<void> {
    await Promise.all([...this.#carriers].map((carrier) => carrier.show()));
  }

  async end(): Promise<void> {
    // each connection ends by itself
  }
}

class WebRtcCarrier implements Carrier {
  readonly #conference: Conference;
  readonly #peer: CarriedPeer;
  readonly #stopped: () => void;
  #protection: Protection | undefined;

  constructor(conference: Conference, peer: CarriedPeer, stopped: () => void) {
    this.#conference = conference;
    this.#peer = peer;
    this.#stopped = stopped;
    peer.pc.addEventListener("track", ({ track, transceiver }) => {
      if (this.#section(track.kind) !== transceiver) {
        transceiver.direction = "inactive"; // a member may offer any number, and would have us encode a picture for each
        return;
      }
      peer.stream.addTrack(track);
      peer.changed();
    });
  }

  async begin(): Promise<void> {
    const { pc, member, look } = this.#peer;
    this.#protection = await this.#conference.protect(pc, { from: member.clientId });
    this.#protection.addEventListener("state", look);
  }

  /** One section for sound and one for the picture, whatever there is to send: tracks come and go without negotiating again. */
  async dress(): Promise<void> {
    const { pc, polite } = this.#peer;
    if (!polite) for (const kind of KINDS) pc.addTransceiver(kind, { direction: "sendrecv" });
    for (const kind of KINDS) {
      const section = this.#section(kind);
      if (section !== undefined) section.direction = "sendrecv";
    }
    await this.show();
  }

  async show(): Promise<void> {
    const tracks = this.#peer.tracks();
    for (const kind of KINDS) await this.#section(kind)?.sender.replaceTrack(tracks[kind]);
  }

  coming(): readonly Coming[] {
    return (this.#protection?.states() ?? []).filter(({ direction }) => direction === "receive");
  }

  sound(): RTCRtpReceiver | undefined {
    return this.#section("audio")?.receiver;
  }

  async sample(direction: "send" | "receive", options: CallOptions): Promise<FrameSample> {
    if (this.#protection === undefined) throw publicError(new Failure("closed", "expected a connection that is protected"));
    return this.#protection.sample(direction, "video", options);
  }

  stop(): void {
    void this.#protection?.stop();
    this.#stopped();
  }

  /** The one media section for sound, or for the picture. */
  #section(kind: string): RTCRtpTransceiver | undefined {
    return this.#peer.pc.getTransceivers().find(({ receiver }) => receiver.track.kind === kind);
  }
}
