/**
 * Which keys a conference's frames are sent and read with, and for how long (wire.md section 7). A value machine: times are
 * arguments, in milliseconds of any clock that only goes forward.
 *
 *     sending: moves to a new epoch   at once after "start", "remove", "successor"; MOVE_AFTER later after "add", "update", so that
 *                                     receivers have the commit before the first frame under it
 *     reading: an epoch's keys are    held from its coming; of who is a member no more, dropped at once in all older epochs;
 *                                     of a sender, dropped in older epochs OLD_KEY after its first frame under a newer one;
 *                                     all dropped OLD_EPOCH after a newer epoch came, or when the numbers in KIDs come again
 *     the end: everything is dropped at once, and nothing is sent or read any more
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { type Reason, Refused } from "./refused.js";
import { FrameReceiver, type OpenedFrame, type SFrameEpoch } from "./sframe.js";
import { decodeHeader } from "./sframe_header.js";
import { EPOCH_BITS } from "./sframe_kid.js";

/** The longest that wire.md allows is a second. */
export const MOVE_AFTER = 500;
export const OLD_KEY = 1_000;
export const OLD_EPOCH = 10_000;
/** Commits that may be on their way at once; frames of epochs further off are not waited for. */
const EPOCHS_AHEAD = 16n;

/** Who is at a leaf. */
export interface Occupant {
  readonly leafIndex: number;
  readonly clientId: Uint8Array;
}

/** One epoch of a conference, with the keys of its frames. */
export interface MediaEpoch<M extends Occupant> {
  readonly group: Uint8Array;
  readonly reason: "start" | "add" | "remove" | "update" | "successor";
  readonly sframe: SFrameEpoch;
  readonly ownLeaf: number;
  readonly members: readonly M[];
}

/** A frame that is authentic, and the member whose keys it was protected with. */
export interface MemberFrame<M> extends OpenedFrame {
  readonly member: M;
}

interface Held<M extends Occupant> {
  readonly epoch: MediaEpoch<M>;
  readonly sendFrom: number;
  /** When its last keys go; unknown while it is the newest. */
  ends: number;
  /** Leaf -> when that sender's keys go. */
  readonly leaving: Map<number, number>;
}

/** A group and its epochs, oldest first; a conference that goes on in a successor has a second one, for what is on its way. */
interface Generation<M extends Occupant> {
  readonly group: string;
  readonly receiver: FrameReceiver;
  epochs: Held<M>[];
}

/** How a frame of one group is refused under another one's keys. */
const OF_ANOTHER_GROUP: readonly Reason[] = ["unknown-key", "unknown-stream", "not-authentic"];
const UNKNOWN = "expected a frame of an epoch and a member whose keys are held";

export class ConferenceKeys<M extends Occupant> {
  /** Newest first. */
  #generations: Generation<M>[] = [];
  #ended = false;

  /** A new epoch's keys have come. One that is not newer than those held is no error, and changes nothing. */
  add(epoch: MediaEpoch<M>, now: number): void {
    if (this.#ended) return;
    const group = epoch.group.join();
    if (this.#generations.slice(1).some((former) => former.group === group)) return;
    let [current] = this.#generations;
    const newest = current?.epochs.at(-1);
    if (current?.group === group && newest !== undefined && newest.epoch.sframe.epoch >= epoch.sframe.epoch) return;
    for (const held of this.#held()) held.ends = Math.min(held.ends, now + OLD_EPOCH);
    this.#dropAbsent(epoch.members);
    if (current?.group !== group) {
      current = { group, receiver: new FrameReceiver(), epochs: [] };
      this.#generations.unshift(current);
    }
    const patient = epoch.reason === "add" || epoch.reason === "update";
    current.receiver.addEpoch(epoch.sframe);
    current.epochs.push({ epoch, sendFrom: patient ? now + MOVE_AFTER : now, ends: Infinity, leaving: new Map() });
    this.tick(now);
  }

  /** Nothing is sent or read any more. */
  end(): void {
    this.#ended = true;
    this.#generations = [];
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The epoch to send under; undefined before the first one and after the end. */
  sending(now: number): MediaEpoch<M> | undefined {
    return this.#generations[0]?.epochs.findLast((held) => held.sendFrom <= now)?.epoch;
  }

  /** Lets go of what is old. */
  tick(now: number): void {
    for (const generation of this.#generations) {
      for (const { epoch, leaving } of generation.epochs) {
        for (const [leaf, at] of leaving) {
          if (at > now) continue;
          generation.receiver.dropSender(epoch.sframe.epoch, leaf);
          leaving.delete(leaf);
        }
      }
      for (const { epoch } of generation.epochs.filter((held) => held.ends <= now)) generation.receiver.dropEpoch(epoch.sframe.epoch);
      generation.epochs = generation.epochs.filter((held) => held.ends > now);
    }
    this.#generations = this.#generations.filter(({ epochs }) => epochs.length > 0);
  }

  /** When `tick` has something to do; undefined where nothing grows old. */
  due(): number | undefined {
    const times = this.#held().flatMap((held) => [held.ends, ...held.leaving.values()]);
    const first = Math.min(...times);
    return Number.isFinite(first) ? first : undefined;
  }

  /** Whether a frame of unknown keys may be of an epoch that is on its way: one soon after the newest. */
  mayCome(sealed: Bytes): boolean {
    if (this.#ended) return false;
    const newest = this.#generations[0]?.epochs.at(-1)?.epoch.sframe.epoch;
    const low = BigInt.asUintN(EPOCH_BITS, decodeHeader(sealed).kid);
    if (newest === undefined) return true;
    const ahead = BigInt.asUintN(EPOCH_BITS, low - newest);
    return ahead > 0n && ahead <= EPOCHS_AHEAD;
  }

  /**
   * Opens a frame; `from`: the only client whose frames may come this way, where it is known. Rejects with `Refused` as
   * `FrameReceiver.open` does, and "unknown-stream" for a frame of somebody else, which changes nothing of that member's streams.
   */
  async open(sealed: Bytes, metadata: Bytes, now: number, from?: Uint8Array): Promise<MemberFrame<M>> {
    this.tick(now);
    let first: unknown = new Refused("unknown-key", UNKNOWN);
    let tried = 0;
    for (const generation of this.#generations) {
      try {
        const claimed = (epoch: bigint, leaf: number): void => expectFrom(generation, epoch, leaf, from);
        return this.#opened(generation, await generation.receiver.open(sealed, metadata, claimed), now);
      } catch (error) {
        // A successor's epochs begin low again: a number in a KID may mean an epoch of either group.
        if (!(error instanceof Refused) || !OF_ANOTHER_GROUP.includes(error.reason)) throw error;
        if (tried === 0) first = error;
        tried += 1;
      }
    }
    throw first;
  }

  #opened(generation: Generation<M>, frame: OpenedFrame, now: number): MemberFrame<M> {
    const place = generation.epochs.findIndex(({ epoch }) => epoch.sframe.epoch === frame.epoch);
    const member = generation.epochs[place]?.epoch.members.find(({ leafIndex }) => leafIndex === frame.senderIndex);
    if (this.#ended || member === undefined) throw new Refused("unknown-key", UNKNOWN);
    const older = [...this.#generations.slice(this.#generations.indexOf(generation) + 1).flatMap(({ epochs }) => epochs)];
    for (const { epoch, leaving } of [...older, ...generation.epochs.slice(0, place)]) {
      const before = epoch.members.find(({ clientId }) => same(clientId, member.clientId));
      if (before !== undefined && !leaving.has(before.leafIndex)) leaving.set(before.leafIndex, now + OLD_KEY);
    }
    return { ...frame, member };
  }

  #dropAbsent(members: readonly M[]): void {
    for (const { receiver, epochs } of this.#generations) {
      for (const { epoch } of epochs) {
        for (const { leafIndex, clientId } of epoch.members) {
          if (!members.some((member) => same(member.clientId, clientId))) receiver.dropSender(epoch.sframe.epoch, leafIndex);
        }
      }
    }
  }

  #held(): Held<M>[] {
    return this.#generations.flatMap(({ epochs }) => epochs);
  }
}

/** Throws `Refused` where nobody is at the leaf, "unknown-key", or not `from`, "unknown-stream". */
function expectFrom<M extends Occupant>({ epochs }: Generation<M>, number: bigint, leaf: number, from: Uint8Array | undefined): void {
  const held = epochs.find(({ epoch }) => epoch.sframe.epoch === number);
  const member = held?.epoch.members.find(({ leafIndex }) => leafIndex === leaf);
  if (member === undefined) throw new Refused("unknown-key", UNKNOWN);
  if (from !== undefined && !same(from, member.clientId)) throw new Refused("unknown-stream", "expected frames of who is at the other end");
}

const same = (left: Uint8Array, right: Uint8Array): boolean => left.length === right.length && left.every((byte, at) => byte === right[at]);
