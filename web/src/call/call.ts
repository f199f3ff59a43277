/**
 * A call: a connection from each client in it to each other (full mesh). Whatever leads to a connection goes by signals of the
 * conference, so that the fingerprints of DTLS are known to be the members' own; whatever goes over it is protected under the
 * conference's keys.
 *
 *     call({...}) --"join" to all--> in it        who is in it answers, and the one with the smaller client id opens a connection
 *     in it --"leave", the conference's end--> left
 *     a tile --its client is removed, says "leave" or joins anew--> gone, its connection closed at once
 */
import type { Conference } from "../conference.js";
import type { SignalValue } from "../conference_values.js";
import { publicError } from "../errors.js";
import { disposable, TypedEventTarget } from "../events.js";
import { Failure } from "../failure.js";
import type { FrameSample } from "../protection.js";
import type { CallOptions } from "../roomkey.js";
import { type Member, toMember } from "../values.js";
import { type CallSignal, decode, encode, newSession, type OwnMedia as SaidMedia } from "./call_signal.js";
import type { CallEvents, CallSetup, Tile } from "./call_values.js";
import { type Carriage, WebRtcCarriage } from "./carrier.js";
import { OwnMedia } from "./own_media.js";
import { Peer } from "./peer.js";
import { Speaking } from "./speaking.js";
import { SrtpCarriage } from "./srtp_carrier.js";

/** @internal The conference's signals of calls. */
export interface CallLine {
  readonly send: (data: Uint8Array, to?: Uint8Array) => Promise<void>;
  /** Hears signals until it is called with undefined. */
  readonly listen: (listener: ((value: SignalValue) => void) | undefined) => void;
}

/** Somebody's stay in a conference's call: see `Conference.call`. */
export class Call extends TypedEventTarget<CallEvents> {
  readonly #conference: Conference;
  readonly #line: CallLine;
  readonly #media: OwnMedia;
  readonly #configuration: RTCConfiguration;
  readonly #session = newSession();
  readonly #peers = new Map<string, Peer>(); // by client id
  readonly #since = new Date();
  readonly #listening = new AbortController();
  readonly #speaking: Speaking;
  #carriage: Carriage;
  #left = false;

  private constructor(conference: Conference, line: CallLine, media: OwnMedia, setup: CallSetup) {
    super();
    this.#conference = conference;
    this.#line = line;
    this.#media = media;
    this.#configuration = { iceServers: [...(setup.iceServers ?? [])], bundlePolicy: "max-bundle" };
    this.#speaking = new Speaking((client) => this.#changed(client));
    this.#carriage = new WebRtcCarriage(conference);
  }

  /** @internal */
  static async join(conference: Conference, line: CallLine, setup: CallSetup): Promise<Call> {
    const call = new Call(conference, line, await OwnMedia.open(setup), setup);
    try {
      if (setup.transport === "srtp") call.#carriage = await SrtpCarriage.begin(conference, (error) => call.emit("error", error));
      await call.#join();
    } catch (error) {
      await call.leave();
      throw error;
    }
    return call;
  }

  /** Who is in the call, ourselves first; the others by leaf index. */
  get tiles(): readonly Tile[] {
    if (this.#left) return [];
    const others = [...this.#peers.values()].sort((one, other) => one.member.leafIndex - other.member.leafIndex);
    const own = this.#ownTile();
    return Object.freeze([...(own === undefined ? [] : [own]), ...others.map((peer) => this.#tile(peer))]);
  }

  /** Turns the microphone or the camera off, or on again. */
  async turn(kind: "audio" | "video", on: boolean): Promise<void> {
    this.#media.turn(kind, on);
    await this.#mediaChanged();
  }

  /** Shows this instead of the camera, as `getDisplayMedia` gave it, until its track ends; without a stream, the camera again. */
  async shareScreen(screen?: MediaStream): Promise<void> {
    const track = screen?.getVideoTracks()[0] ?? null;
    this.#media.share(track);
    track?.addEventListener("ended", () => void this.shareScreen(), this.#listening);
    await this.#carriage.show(this.#media);
    await this.#mediaChanged();
  }

  /**
   * The next key frame of the picture that goes to a client ("send") or comes from it, before and after protection: for people to see
   * what that does. See `Protection.sample`.
   *
   * Rejects with "no-such-member" for a client that is not in the call; "closed" when it goes before a frame comes.
   */
  async sample(clientId: Uint8Array, direction: "send" | "receive", options: CallOptions = {}): Promise<FrameSample> {
    const peer = this.#peers.get(text(clientId));
    if (peer === undefined) throw publicError(new Failure("no-such-member", "expected a client of the call"));
    return peer.sample(direction, options);
  }

  /** Leaves the call; the conference goes on. */
  async leave(): Promise<void> {
    await this.#end("left");
  }

  async #join(): Promise<void> {
    const conference = this.#conference;
    this.#line.listen((value) => this.#hear(value));
    conference.addEventListener("members", ({ detail }) => detail.removed.forEach((member) => this.#drop(member)), this.#listening);
    conference.addEventListener("ended", () => void this.#end("ended"), this.#listening);
    await this.#line.send(encode({ type: "join", session: this.#session, media: this.#media.said }));
    await this.#carriage.show(this.#media);
    const own = this.#ownTile();
    if (own !== undefined) this.emit("tile", { tile: own, change: "added" });
    this.#speaking.own(this.#media.stream, own === undefined ? "" : text(own.member.clientId));
  }

  async #end(reason: "left" | "ended"): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    this.#listening.abort();
    this.#line.listen(undefined);
    this.#speaking.stop();
    for (const peer of this.#peers.values()) peer.close();
    this.#peers.clear();
    this.#media.end();
    this.emit("left", { reason });
    await this.#carriage.end().catch((error: unknown) => this.emit("error", error));
    if (reason === "left") await this.#line.send(encode({ type: "leave", session: this.#session })).catch((error: unknown) => this.emit("error", error));
  }

  // -- what the others say --

  #hear(value: SignalValue): void {
    const signal = decode(value.data);
    if (signal === undefined || this.#left) return;
    const member = this.#conference.members.find(({ clientId }) => text(clientId) === text(value.from.clientId)) ?? toMember(value.from);
    if ("peer" in signal && signal.peer !== this.#session) return; // for an earlier stay of ours
    const present = this.#peers.get(text(member.clientId));
    const known = present?.session === signal.session ? present : undefined;
    if (signal.type === "leave") {
      if (known !== undefined) this.#drop(member);
    } else if (signal.type === "join") {
      this.#meet(member, signal.session, signal.media);
      this.#tell({ type: "here", session: this.#session, peer: signal.session, media: this.#media.said }, member.clientId);
    } else if (signal.type === "here") {
      this.#meet(member, signal.session, signal.media);
    } else if (signal.type === "media") {
      if (known === undefined) return;
      known.media = signal.media;
      this.#changed(text(member.clientId));
    } else {
      const peer = known ?? (signal.type === "description" ? this.#meet(member, signal.session, { audio: true, video: "camera" }) : undefined);
      peer?.hear(signal).catch((error: unknown) => this.emit("error", error));
    }
  }

  /** The connection to a client in this stay of it, made if there is none. */
  #meet(member: Member, session: string, media: SaidMedia): Peer {
    const key = text(member.clientId);
    const present = this.#peers.get(key);
    if (present?.session === session) {
      present.media = media;
      this.#changed(key);
      return present;
    }
    this.#drop(member);
    const peer = new Peer(member, session, media, this.#polite(member), {
      carriage: this.#carriage,
      configuration: this.#configuration,
      session: this.#session,
      tracks: () => this.#media,
      send: (signal) => this.#tell(signal, member.clientId),
      changed: () => this.#changed(key),
      failed: (error) => this.emit("error", error),
    });
    this.#peers.set(key, peer);
    this.#speaking.other(key, () => peer.sound);
    this.emit("tile", { tile: this.#tile(peer), change: "added" });
    return peer;
  }

  #drop(member: Member): void {
    const key = text(member.clientId);
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.close();
    this.#peers.delete(key);
    this.#speaking.forget(key);
    this.emit("tile", { tile: this.#tile(peer), change: "removed" });
  }

  #tell(signal: CallSignal, to?: Uint8Array): void {
    this.#line.send(encode(signal), to).catch((error: unknown) => this.emit("error", error));
  }

  async #mediaChanged(): Promise<void> {
    const own = this.#ownTile();
    if (own !== undefined) this.emit("tile", { tile: own, change: "changed" });
    if (!this.#left) await this.#line.send(encode({ type: "media", session: this.#session, media: this.#media.said }));
  }

  // -- tiles --

  #changed(client: string): void {
    if (this.#left) return;
    const peer = this.#peers.get(client);
    const tile = peer === undefined ? this.#ownTile() : this.#tile(peer);
    if (tile !== undefined && text(tile.member.clientId) === client) this.emit("tile", { tile, change: "changed" });
  }

  #tile({ member, stream, media, lock }: Peer): Tile {
    return Object.freeze({ member, stream, ...media, speaking: this.#speaking.is(text(member.clientId)), lock });
  }

  #ownTile(): Tile | undefined {
    const member = this.#conference.members.find(({ own }) => own);
    if (member === undefined) return undefined;
    const lock = Object.freeze({ state: "protected", reason: undefined, since: this.#since } as const);
    return Object.freeze({ member, stream: this.#media.stream, ...this.#media.said, speaking: this.#speaking.is(text(member.clientId)), lock });
  }

  /** Whether we give way to a client: the two see it alike. */
  #polite(member: Member): boolean {
    const own = this.#conference.members.find((one) => one.own);
    return own === undefined || text(own.clientId) > text(member.clientId);
  }
}

/** A client id, to compare: bytes in order. */
const text = (id: Uint8Array): string => [...id].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** Leaves at the end of an `await using` block. */
export interface Call extends AsyncDisposable {}
disposable(Call, "leave");
