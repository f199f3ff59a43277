/**
 * A call's media in SRTP packets: encoded and protected once for all, and sent to each client over a data channel of the connection
 * to it. Channels have one number that both ends know, so that nothing about them is negotiated.
 */
import type { Conference } from "../conference.js";
import { publicError } from "../errors.js";
import { Failure } from "../failure.js";
import type { FrameSample } from "../protection.js";
import type { CallOptions } from "../roomkey.js";
import type { SrtpSession } from "../srtp.js";
import type { SrtpIncoming, SrtpOutgoing } from "../srtp_media.js";
import type { Lock } from "./call_values.js";
import type { Carriage, CarriedPeer, Carrier, Coming, OwnTracks } from "./carrier.js";

const CHANNEL = { ordered: false, maxRetransmits: 0, negotiated: true, id: 0 } as const;
const KINDS = ["audio", "video"] as const;

interface Sent {
  readonly track: MediaStreamTrack;
  readonly outgoing: Promise<SrtpOutgoing>;
}

export class SrtpCarriage implements Carriage {
  readonly #session: SrtpSession;
  readonly #failed: (error: unknown) => void;
  readonly #changed: () => void;
  readonly #sent = new Map<"audio" | "video", Sent>();
  readonly #unheard = new Map<SrtpOutgoing, Lock>();
  readonly #carriers = new Map<string, SrtpCarrier>(); // by client id

  private constructor(session: SrtpSession, failed: (error: unknown) => void, changed: () => void) {
    this.#session = session;
    this.#failed = failed;
    this.#changed = changed;
    session.addEventListener("stream", ({ detail }) => this.#carrierOf(detail)?.take(detail));
    session.addEventListener("gone", ({ detail }) => this.#carrierOf(detail)?.lose(detail));
    session.addEventListener("error", ({ detail }) => failed(detail));
  }

  /** Rejects as `Conference.srtp`. `failed` hears of what goes wrong with one stream; the call goes on. `changed`: `unheard` does. */
  static async begin(conference: Conference, failed: (error: unknown) => void, changed: () => void): Promise<SrtpCarriage> {
    return new SrtpCarriage(await conference.srtp(), failed, changed);
  }

  /** The picture's, before the sound's. */
  unheard(): Lock | undefined {
    const locks = [...this.#unheard];
    return (locks.find(([{ kind }]) => kind === "video") ?? locks[0])?.[1];
  }

  carrier(peer: CarriedPeer): Carrier {
    const client = peer.member.clientId.join();
    const made: SrtpCarrier = new SrtpCarrier(this.#session, peer, {
      sent: (kind) => this.#sent.get(kind)?.outgoing,
      failed: this.#failed,
      stopped: () => {
        if (this.#carriers.get(client) === made) this.#carriers.delete(client);
      },
    });
    this.#carriers.set(client, made);
    return made;
  }

  async show(tracks: OwnTracks): Promise<void> {
    for (const kind of KINDS) {
      const track = tracks[kind];
      const sent = this.#sent.get(kind);
      if (sent?.track === (track ?? undefined)) continue;
      this.#sent.delete(kind);
      sent?.outgoing.then((outgoing) => outgoing.stop()).catch(() => undefined); // what failed was told, and is not sent
      if (track === null) continue;
      const outgoing = this.#session.send(track);
      this.#sent.set(kind, { track, outgoing });
      try {
        this.#watch(await outgoing);
      } catch (error) {
        this.#failed(error);
      }
    }
  }

  async end(): Promise<void> {
    await this.#session.stop();
  }

  #watch(outgoing: SrtpOutgoing): void {
    const heard = (): boolean => this.#unheard.delete(outgoing);
    outgoing.addEventListener("ended", () => heard() && this.#changed());
    outgoing.addEventListener("state", ({ detail: { state } }) => {
      const before = heard();
      if (state === "unheard") this.#unheard.set(outgoing, Object.freeze({ state, reason: outgoing.reason, since: new Date() }));
      if (before || state === "unheard") this.#changed();
    });
  }

  #carrierOf({ member }: SrtpIncoming): SrtpCarrier | undefined {
    return this.#carriers.get(member.clientId.join());
  }
}

/** What a connection needs of its call's session. */
interface CarrierHooks {
  readonly sent: (kind: "audio" | "video") => Promise<SrtpOutgoing> | undefined;
  readonly failed: (error: unknown) => void;
  readonly stopped: () => void;
}

class SrtpCarrier implements Carrier {
  readonly #session: SrtpSession;
  readonly #peer: CarriedPeer;
  readonly #hooks: CarrierHooks;
  readonly #tracks = new Map<SrtpIncoming, MediaStreamTrack>();
  #channel: RTCDataChannel | undefined;

  constructor(session: SrtpSession, peer: CarriedPeer, hooks: CarrierHooks) {
    this.#session = session;
    this.#peer = peer;
    this.#hooks = hooks;
  }

  /** Whatever the session has of the client already was of an earlier connection to it. */
  async begin(): Promise<void> {
    const { pc, member } = this.#peer;
    this.#channel = pc.createDataChannel("srtp", CHANNEL);
    this.#session.connect(this.#channel, { from: member.clientId });
    for (const incoming of this.#session.streams) if (incoming.member.clientId.join() === member.clientId.join()) this.take(incoming);
  }

  async dress(): Promise<void> {
    // the channel is there since `begin`, and is all that there is
  }

  async show(): Promise<void> {
    // what is sent, is sent to all (`SrtpCarriage.show`)
  }

  /** A stream of the member's has come: the newest of a kind is shown, for each that is shown takes a decoder. */
  take(incoming: SrtpIncoming): void {
    const { stream, changed, look } = this.#peer;
    for (const other of [...this.#tracks.keys()]) if (other.kind === incoming.kind) this.lose(other);
    try {
      const track = incoming.track();
      this.#tracks.set(incoming, track);
      stream.addTrack(track);
    } catch (error) {
      this.#hooks.failed(error); // a browser that makes no tracks of sound shows the picture all the same
      return;
    }
    incoming.addEventListener("state", look);
    look();
    changed();
  }

  lose(incoming: SrtpIncoming): void {
    const track = this.#tracks.get(incoming);
    if (track === undefined) return;
    this.#tracks.delete(incoming);
    track.stop();
    this.#peer.stream.removeTrack(track);
    this.#peer.changed();
  }

  coming(): readonly Coming[] {
    return [...this.#tracks.keys()].map(({ state, reason, since }) => ({ state: state === "silent" ? "waiting" : state, reason, since }));
  }

  sound(): MediaStreamTrack | undefined {
    return [...this.#tracks.values()].find(({ kind }) => kind === "audio");
  }

  /** A packet in place of a frame: its header stays readable, its key is the epoch's, its counter the sequence number. */
  async sample(direction: "send" | "receive", options: CallOptions): Promise<FrameSample> {
    const source = direction === "send" ? await this.#hooks.sent("video") : [...this.#tracks.keys()].find(({ kind }) => kind === "video");
    if (source === undefined) throw publicError(new Failure("closed", "expected a picture that is sent"));
    const { packet, wire } = await source.sample(options);
    const clear = headerSize(packet);
    const word = (bytes: Uint8Array, at: number): bigint => BigInt(bytes[at]! * 256 + bytes[at + 1]!);
    const keyId = word(wire, wire.length - 2); // AES-GCM's tag stands before the MKI
    return { codec: `SRTP ${source.codec.toUpperCase()}`, frame: packet, wire, clear, header: 0, keyId, counter: word(packet, 2) };
  }

  stop(): void {
    for (const incoming of [...this.#tracks.keys()]) this.lose(incoming);
    if (this.#channel !== undefined) this.#session.disconnect(this.#channel);
    this.#hooks.stopped();
  }
}

/** Bytes of an RTP header as ours are (RFC 3550 section 5.1): without extension. */
const headerSize = (packet: Uint8Array): number => 12 + 4 * (packet[0]! & 0xf);
