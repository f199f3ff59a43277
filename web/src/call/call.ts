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
import { OwnMedia, wrong } from "./own_media.js";
import { Peer, type Place } from "./peer.js";
import { Shares } from "./shares.js";
import { Speaking } from "./speaking.js";
import { SrtpCarriage } from "./srtp_carrier.js";
import { Tries } from "./tries.js";

/** @internal The conference's signals of calls. */
export interface CallLine {
  readonly send: (data: Uint8Array, to?: Uint8Array) => Promise<void>;
  /** Hears signals until it is called with undefined. */
  readonly listen: (listener: ((value: SignalValue) => void) | undefined) => void;
}

/** Milliseconds after which it is said once more that we are in the call, for those who have not heard it. */
const SAY_AGAIN_MS = [5_000, 20_000];
/** Stays of others that are over, remembered so that what is late of them is passed over. */
const KEPT_STAYS = 256;

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
  readonly #over = new Set<string>(); // stays of others by client and session, oldest first
  readonly #shares = new Shares();
  #timers: ReturnType<typeof setTimeout>[] = [];
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
    if (setup.transport !== undefined && !["webrtc", "srtp"].includes(setup.transport)) throw wrong("transport", '"webrtc" or "srtp"');
    const call = new Call(conference, line, await OwnMedia.open(setup), setup);
    try {
      if (setup.transport === "srtp") call.#carriage = await SrtpCarriage.begin(conference, (error) => call.emit("error", error), () => call.#ownChanged());
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
    const others = [...this.#peers.values()].sort((one, other) => one.place.member.leafIndex - other.place.member.leafIndex);
    const own = this.#ownTile();
    return Object.freeze([...(own === undefined ? [] : [own]), ...others.map((peer) => this.#tile(peer))]);
  }

  /** Turns the microphone or the camera off, or on again; one that this call was not joined with stays off. Rejects with "bad-argument". */
  async turn(kind: "audio" | "video", on: boolean): Promise<void> {
    this.#media.turn(kind, on);
    await this.#mediaChanged();
  }

  /** Shows this instead of the camera, as `getDisplayMedia` gave it, until its track ends; without a stream, the camera again. Rejects with "bad-argument". */
  async shareScreen(screen?: MediaStream): Promise<void> {
    const track = (screen instanceof MediaStream ? screen.getVideoTracks()[0] : undefined) ?? null;
    if (screen !== undefined && track === null) throw wrong("screen", "a MediaStream with a picture");
    this.#media.share(track);
    track?.addEventListener("ended", () => void (this.#media.video === track && this.shareScreen()), this.#listening);
    await this.#carriage.show(this.#media);
    await this.#mediaChanged();
  }

  /**
   * The next key frame of the picture that goes to a client ("send") or comes from it, before and after protection: for people to see
   * what that does. See `Protection.sample`.
   *
   * Rejects with "no-such-member" for a client that is not another one in the call, "bad-argument"; "closed" when it goes before a frame comes.
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
    conference.addEventListener("members", ({ detail }) => detail.removed.forEach((member) => this.#gone(member)), this.#listening);
    conference.addEventListener("ended", () => void this.#end("ended"), this.#listening);
    for (const track of [this.#media.audio, this.#media.video]) track?.addEventListener("ended", () => void this.#lost(), this.#listening);
    addEventListener("online", () => this.#peers.forEach((peer) => peer.wake()), this.#listening);
    const join = (): CallSignal => ({ type: "join", session: this.#session, media: this.#media.said });
    await this.#line.send(encode(join()));
    this.#timers = SAY_AGAIN_MS.map((wait) => setTimeout(() => this.#tell(join()), wait));
    await this.#carriage.show(this.#media);
    const own = this.#ownTile();
    if (own !== undefined) this.emit("tile", { tile: own, change: "added" });
    this.#speaking.own(this.#media.stream, own === undefined ? "" : text(own.member.clientId));
  }

  async #end(reason: "left" | "ended"): Promise<void> {
    if (this.#left) return;
    this.#left = true;
    this.#listening.abort();
    this.#timers.forEach((timer) => clearTimeout(timer));
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
    if (this.#over.has(stay(member, signal.session))) return;
    // Who has us do more than it takes to connect is heard no more for a while, so that there is something left to say to others.
    if (!["leave", "media"].includes(signal.type) && !this.#shares.has(text(member.clientId), performance.now())) return;
    const present = this.#peers.get(text(member.clientId));
    const known = present?.place.session === signal.session ? present : undefined;
    if (signal.type === "leave") {
      if (known !== undefined) this.#drop(member);
      this.#isOver(member, signal.session); // also where it has not been heard that they came
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
      // Who has joined anew says so first; of somebody else's stay than the one that is here, what comes is late.
      const peer = known ?? (present === undefined ? this.#meet(member, signal.session, { audio: true, video: "camera" }) : undefined);
      if (peer === undefined || signal.attempt < peer.place.attempt) return;
      const current = signal.attempt > peer.place.attempt ? this.#renew(peer, signal.attempt) : peer;
      current.hear(signal).catch((error: unknown) => this.emit("error", error));
    }
  }

  /** The connection to a client in this stay of it, made if there is none. */
  #meet(member: Member, session: string, media: SaidMedia): Peer {
    const key = text(member.clientId);
    const present = this.#peers.get(key);
    if (present?.place.session === session) {
      present.media = media;
      this.#changed(key);
      return present;
    }
    this.#drop(member);
    const place = { member, session, attempt: 0, polite: this.#polite(member), stream: new MediaStream(), tries: new Tries() };
    const peer = this.#connect(place, media);
    this.#speaking.other(key, () => this.#peers.get(key)?.sound);
    this.emit("tile", { tile: this.#tile(peer), change: "added" });
    return peer;
  }

  #connect(place: Place, media: SaidMedia): Peer {
    const { clientId } = place.member;
    const peer: Peer = new Peer(place, media, {
      carriage: this.#carriage,
      configuration: this.#configuration,
      session: this.#session,
      tracks: () => this.#media,
      send: (signal) => this.#tell(signal, clientId),
      changed: () => this.#changed(text(clientId)),
      failed: (error) => this.emit("error", error),
      renew: () => {
        const { session, attempt } = this.#renew(peer, peer.place.attempt + 1).place;
        this.#tell({ type: "again", session: this.#session, peer: session, attempt }, clientId);
      },
    });
    this.#peers.set(text(clientId), peer);
    this.#shares.take(text(clientId), performance.now());
    return peer;
  }

  /** Another connection to the same stay, in the same tile. */
  #renew(peer: Peer, attempt: number): Peer {
    peer.close();
    const made = this.#connect({ ...peer.place, attempt }, peer.media);
    this.#changed(text(peer.place.member.clientId));
    return made;
  }

  #drop(member: Member): void {
    const key = text(member.clientId);
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.close();
    this.#peers.delete(key);
    this.#isOver(member, peer.place.session);
    this.#speaking.forget(key);
    this.emit("tile", { tile: this.#tile(peer), change: "removed" });
  }

  #isOver(member: Member, session: string): void {
    this.#over.add(stay(member, session));
    for (const oldest of this.#over) if (this.#over.size > KEPT_STAYS) this.#over.delete(oldest);
  }

  #gone(member: Member): void {
    this.#drop(member);
    this.#shares.forget(text(member.clientId));
  }

  #tell(signal: CallSignal, to?: Uint8Array): void {
    if (to !== undefined) this.#shares.take(text(to), performance.now());
    this.#line.send(encode(signal), to).catch((error: unknown) => this.emit("error", error));
  }

  /** A device of ours is gone, or what the application lent has ended. */
  async #lost(): Promise<void> {
    this.#media.lose();
    try {
      await this.#carriage.show(this.#media);
      await this.#mediaChanged();
    } catch (error) {
      this.emit("error", error);
    }
  }

  async #mediaChanged(): Promise<void> {
    this.#ownChanged();
    if (!this.#left) await this.#line.send(encode({ type: "media", session: this.#session, media: this.#media.said }));
  }

  // -- tiles --

  #ownChanged(): void {
    const own = this.#ownTile();
    if (own !== undefined) this.emit("tile", { tile: own, change: "changed" });
  }

  #changed(client: string): void {
    if (this.#left) return;
    const peer = this.#peers.get(client);
    const tile = peer === undefined ? this.#ownTile() : this.#tile(peer);
    if (tile !== undefined && text(tile.member.clientId) === client) this.emit("tile", { tile, change: "changed" });
  }

  #tile({ place: { member, stream }, media, lock }: Peer): Tile {
    return Object.freeze({ member, stream, ...media, speaking: this.#speaking.is(text(member.clientId)), lock });
  }

  #ownTile(): Tile | undefined {
    const member = this.#conference.members.find(({ own }) => own);
    if (member === undefined) return undefined;
    const lock = this.#carriage.unheard() ?? Object.freeze({ state: "protected", reason: undefined, since: this.#since } as const);
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

/** A client's stay: sessions alone may be said by anybody. */
const stay = ({ clientId }: Member, session: string): string => `${text(clientId)} ${session}`;

/** Leaves at the end of an `await using` block. */
export interface Call extends AsyncDisposable {}
disposable(Call, "leave");
