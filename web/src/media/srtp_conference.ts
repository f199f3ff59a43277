/**
 * SRTP of one conference: which keys packets are sent and read with, for how long, and whose streams there are (wire.md section 7).
 * A value machine: times are arguments, in milliseconds of any clock that only goes forward.
 *
 *     sending: moves to a new epoch   at once after "start", "remove", "successor"; MOVE_AFTER later after "add", "update"; the streams
 *                                     run on with their rollover counters; keys that are used up stop it until newer ones come
 *     reading: each member's streams  by its announcements alone, so that one SSRC of two members is two streams
 *              a member's old keys    dropped OLD_KEY after its first packet under newer ones, OLD_EPOCH after newer ones came
 *              who is gone            all of its keys and streams, at once
 *              packets of unknown     keys or streams are held for HOLD, MAX_HELD of each way: commits and announcements go another
 *                                     way, and who sends junk by a way of its own fills no other's; what looks forged is kept as
 *                                     long, for a successor's keys may have the MKI of older ones; without MKI it is all one
 *     the end: everything is dropped at once, and nothing is sent or read any more
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { MOVE_AFTER, type MediaEpoch, type Occupant, OLD_EPOCH, OLD_KEY } from "./conference_keys.js";
import { type Reason, Refused } from "./refused.js";
import { sameBytes } from "./same_bytes.js";
import { parseRtcp } from "./srtcp.js";
import { type MkiMode, parseRtp } from "./srtp.js";
import type { SessionKeys } from "./srtp_kdf.js";
import { SrtpReceiver } from "./srtp_receiver.js";
import { SrtpSender } from "./srtp_sender.js";
import { decodeStreams, encodeStreams, MAX_STREAMS } from "./srtp_streams.js";

/** Milliseconds that a packet waits for its keys, or for word of its stream. */
export const HOLD = 1_000;
/** Packets that wait of one way, a member's own or a relay's: half a second of two members' video. */
export const MAX_HELD = 300;

/** One epoch, with the session keys of each sender by leaf; all of one profile. */
export interface SrtpEpoch<M extends Occupant> extends Pick<MediaEpoch<M>, "group" | "reason" | "ownLeaf" | "members"> {
  readonly epoch: bigint;
  readonly keys: ReadonlyMap<number, SessionKeys>;
}

/** A packet that is authentic, and the member under whose keys it was. */
export interface MemberPacket<M> {
  readonly kind: "rtp" | "rtcp";
  readonly packet: Bytes;
  readonly member: M;
}

interface Peer<M> {
  member: M;
  readonly receiver: SrtpReceiver;
  readonly ssrcs: Set<number>;
  /** Newest first. `ends`: when they go. */
  keys: { readonly keys: SessionKeys; ends: number }[];
}

/** What came of an announcement. */
export interface Announced<M> {
  /** Whether it names streams, and none that was known: its sender has just begun, and may know nothing of ours. */
  readonly fresh: boolean;
  /** All that the member has now, of our profile. */
  readonly ssrcs: ReadonlySet<number>;
  /** Profiles of its streams that are not ours; those streams are passed over. */
  readonly otherProfiles: ReadonlySet<number>;
  readonly member: M;
}

interface Waiting {
  readonly packet: Bytes;
  readonly reason: Reason;
  readonly from: Uint8Array | undefined;
  /** `from` in hex; all that came by relays have one. */
  readonly way: string;
  readonly at: number;
}

/** RTCP and RTP on one way (RFC 5761 section 4). */
export const isRtcp = (packet: Bytes): boolean => packet[1] !== undefined && packet[1] >= 192 && packet[1] <= 223;

export class SrtpConference<M extends Occupant> {
  readonly #profile: number;
  readonly #mode: MkiMode;
  #own: number[] = [];
  #sender: SrtpSender | undefined;
  /** Keys to send with, and from when. */
  #coming: { readonly keys: SessionKeys; readonly from: number }[] = [];
  /** The group and those that it succeeded, newest first, with the last epoch of each. */
  readonly #groups: { readonly group: Uint8Array; epoch: bigint }[] = [];
  /** By client, in hex. */
  readonly #peers = new Map<string, Peer<M>>();
  #waiting: Waiting[] = [];
  #ended = false;
  #lapsed = 0;

  /** @param profile - by its DTLS-SRTP number */
  constructor(profile: number, mode: MkiMode = "mki") {
    this.#profile = profile;
    this.#mode = mode;
  }

  /** A new epoch's keys. One that is not newer is no error, and changes nothing. */
  add({ group, epoch, reason, ownLeaf, members, keys }: SrtpEpoch<M>, now: number): void {
    const [current, ...former] = this.#groups;
    if (this.#ended || former.some((left) => sameBytes(left.group, group))) return;
    if (current === undefined || !sameBytes(current.group, group)) this.#groups.unshift({ group, epoch });
    else if (current.epoch >= epoch) return;
    else current.epoch = epoch;
    const mine = keys.get(ownLeaf);
    if (mine !== undefined) this.#coming.push({ keys: mine, from: reason === "add" || reason === "update" ? now + MOVE_AFTER : now });
    this.retain(members);
    for (const member of members) {
      const theirs = keys.get(member.leafIndex);
      if (member.leafIndex === ownLeaf || theirs === undefined) continue;
      const peer = this.#peers.get(name(member.clientId)) ?? this.#makePeer(member);
      peer.member = member;
      for (const held of peer.keys) held.ends = Math.min(held.ends, now + OLD_EPOCH);
      peer.keys.unshift({ keys: theirs, ends: Infinity });
      peer.receiver.addKeys(theirs);
    }
    this.tick(now);
  }

  /** Who is not among these is gone, with all keys and streams: also to be said before the keys of a new epoch are derived. */
  retain(members: readonly M[]): void {
    const present = new Set(members.map(({ clientId }) => name(clientId)));
    for (const client of this.#peers.keys()) if (!present.has(client)) this.#peers.delete(client);
  }

  /** Nothing is sent or read any more. */
  end(): void {
    this.#ended = true;
    this.#sender = undefined;
    this.#coming = [];
    this.#waiting = [];
    this.#peers.clear();
  }

  // -- sending --

  /**
   * Begins a stream of ours; it is to be announced before its first packet. `ssrc`: one that this client never had in this conference,
   * written down before. Throws `Failure` "bad-argument", `Refused` "unknown-key" where there are no keys yet.
   */
  open(ssrc: number, now: number): void {
    this.tick(now);
    if (this.#sender === undefined || this.#own.length >= MAX_STREAMS) throw new Refused("unknown-key", "expected keys to send with");
    this.#sender.open(ssrc);
    this.#own.push(ssrc);
  }

  /** Ends a stream of ours; its number is never used again. */
  close(ssrc: number): void {
    this.#own = this.#own.filter((own) => own !== ssrc);
  }

  /** What is to be told to all members before a stream's first packet, and after every Add. */
  announcement(): Bytes {
    const sender = this.#sender;
    if (sender === undefined) return encodeStreams([]);
    return encodeStreams(this.#own.map((ssrc) => ({ ssrc, profile: this.#profile, rollover: sender.rollover(ssrc) })));
  }

  /** The packet as it travels. Rejects with `Refused` as `SrtpSender` does, and "unknown-key" where there are no keys. */
  async protect(packet: Bytes, now: number): Promise<Bytes> {
    this.tick(now);
    const sender = this.#sender;
    if (sender === undefined) throw new Refused("unknown-key", "expected keys to send with");
    const sealed = await (isRtcp(packet) ? sender.protectRtcp(packet) : sender.protect(packet));
    // What happened while WebCrypto worked: a packet sealed for somebody who is gone by now stays here.
    if (this.#ended) throw new Refused("unknown-key", "expected a conference that goes on");
    return sealed;
  }

  // -- receiving --

  /**
   * What a member said of its streams; undefined where it is no member. Those of a profile that is not ours are passed over. A stream
   * that is not named any more is kept, for an announcement may have been overtaken, until there are too many.
   * Throws `Refused` "malformed".
   */
  announced(clientId: Uint8Array, data: Bytes): Announced<M> | undefined {
    const said = decodeStreams(data);
    const streams = said.filter(({ profile }) => profile === this.#profile);
    const peer = this.#peers.get(name(clientId));
    if (peer === undefined) return undefined;
    const ssrcs = new Set(streams.map(({ ssrc }) => ssrc));
    const fresh = ssrcs.size > 0 && ![...ssrcs].some((ssrc) => peer.ssrcs.has(ssrc));
    for (const { ssrc, rollover } of streams) {
      peer.ssrcs.add(ssrc);
      peer.receiver.announce(ssrc, rollover);
    }
    for (const ssrc of peer.ssrcs) {
      if (peer.ssrcs.size <= MAX_STREAMS) break;
      if (ssrcs.has(ssrc)) continue;
      peer.ssrcs.delete(ssrc);
      peer.receiver.forget(ssrc);
    }
    const otherProfiles = new Set(said.map(({ profile }) => profile).filter((profile) => profile !== this.#profile));
    return { fresh, ssrcs, otherProfiles, member: peer.member };
  }

  /**
   * Opens a packet; undefined where it waits for its keys, or for word of its stream. `from`: the client whose way it came by, if that is
   * known. Rejects with `Refused` where it is not good and will not be.
   */
  async receive(packet: Bytes, from: Uint8Array | undefined, now: number): Promise<MemberPacket<M> | undefined> {
    this.tick(now);
    try {
      return await this.#open(packet, from, now);
    } catch (error) {
      const reason = this.#mayCome(error);
      if (reason === undefined) throw error;
      this.#hold({ packet, reason, from, way: from === undefined ? "" : name(from), at: now });
      if (reason === "not-authentic") throw error;
      return undefined;
    }
  }

  /** The packets that waited and can be opened now: to be asked for after `add` and `announced`. */
  async release(now: number): Promise<MemberPacket<M>[]> {
    this.tick(now);
    const opened: MemberPacket<M>[] = [];
    for (const held of this.#waiting.splice(0)) {
      try {
        opened.push(await this.#open(held.packet, held.from, now));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (this.#mayCome(error) !== undefined) this.#hold(held);
      }
    }
    return opened;
  }

  /** Lets go of what is old, and moves to newer keys when it is time. */
  tick(now: number): void {
    const ready = this.#coming.findLastIndex(({ from }) => from <= now);
    if (ready >= 0) {
      const { keys } = this.#coming[ready]!;
      this.#coming = this.#coming.slice(ready + 1);
      if (this.#sender === undefined) this.#sender = new SrtpSender(keys, this.#mode);
      else this.#sender.rekey(keys);
    }
    const still = this.#waiting.filter(({ at }) => now < at + HOLD);
    this.#lapsed += this.#waiting.filter(({ at, reason }) => reason === "unknown-key" && now >= at + HOLD).length;
    this.#waiting = still;
    for (const peer of this.#peers.values()) {
      for (const { keys } of peer.keys.filter(({ ends }) => ends <= now)) peer.receiver.dropKeys(keys);
      peer.keys = peer.keys.filter(({ ends }) => ends > now);
    }
  }

  /** How many packets waited in vain for keys: perhaps a commit has not come. */
  get lapsed(): number {
    return this.#lapsed;
  }

  /** Packets that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  #hold(held: Waiting): void {
    if (!this.#ended && this.#waiting.filter(({ way }) => way === held.way).length < MAX_HELD) this.#waiting.push(held);
  }

  /** What has not come yet and may still, where that is why a packet is not good. */
  #mayCome(error: unknown): Reason | undefined {
    if (!(error instanceof Refused)) return undefined;
    if (error.reason === "not-authentic" && this.#mode === "no-mki") return "unknown-key";
    return ["unknown-key", "unknown-stream", "not-authentic"].includes(error.reason) ? error.reason : undefined;
  }

  #makePeer(member: M): Peer<M> {
    const peer = { member, receiver: new SrtpReceiver(this.#mode), ssrcs: new Set<number>(), keys: [] };
    this.#peers.set(name(member.clientId), peer);
    return peer;
  }

  /** Tries the members who announced the packet's SSRC; it is authentic for one of them at most. */
  async #open(packet: Bytes, from: Uint8Array | undefined, now: number): Promise<MemberPacket<M>> {
    const kind = isRtcp(packet) ? "rtcp" : "rtp";
    const ssrc = kind === "rtcp" ? parseRtcp(packet) : parseRtp(packet).ssrc;
    let refused = new Refused("unknown-stream", "expected a packet of a stream that was announced");
    for (const [client, peer] of this.#peers) {
      if (!peer.ssrcs.has(ssrc) || (from !== undefined && client !== name(from))) continue;
      try {
        const used = (keys: SessionKeys): void => this.#used(peer, keys, now);
        const opened = await (kind === "rtcp" ? peer.receiver.unprotectRtcp(packet, used) : peer.receiver.unprotect(packet, used));
        if (this.#peers.get(client) !== peer) throw new Refused("unknown-stream", "expected a packet of a member");
        return { kind, packet: opened, member: peer.member };
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        // What may come is told before what will not: another member's stream of this SSRC may be the one.
        if (RANK.indexOf(error.reason) > RANK.indexOf(refused.reason)) refused = error;
      }
    }
    throw refused;
  }

  #used(peer: Peer<M>, keys: SessionKeys, now: number): void {
    const place = peer.keys.findIndex((held) => held.keys === keys);
    for (const held of peer.keys.slice(place + 1)) held.ends = Math.min(held.ends, now + OLD_KEY);
  }
}

/** Which refusal counts where several members' streams were tried: the last. */
const RANK: readonly Reason[] = ["unknown-stream", "malformed", "not-authentic", "not-encrypted", "too-old", "replayed", "unknown-key"];

const name = (clientId: Uint8Array): string => Array.from(clientId, (byte) => byte.toString(16).padStart(2, "0")).join("");
