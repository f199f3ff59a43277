/**
 * Frames protected by SFrame under an MLS group's keys (RFC 9605; wire.md section 7). No clock and no transport: who calls says when
 * an epoch begins and ends, and which context value a stream has, written down before its first frame.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { Refused } from "./refused.js";
import { ReplayWindow } from "./replay.js";
import { decodeHeader, KidHeaders } from "./sframe_header.js";
import { decodeKid, encodeKid, EPOCH_BITS, type KidLayout } from "./sframe_kid.js";
import { deriveKeySalt, type FrameCipher, frameCipher, importBaseKey, type SFrameSuite } from "./sframe_suites.js";

const NOTHING = new Uint8Array(0);
/**
 * Frames under one key, and the end of the counters that are read: as many as SRTP allows packets under the same ciphers (RFC 7714
 * section 12). Never reached, and it keeps counters exact as numbers.
 */
export const MAX_FRAMES = 2 ** 48;
/** Streams of one member in one epoch: each keeps a key and a window, so a member who makes up contexts costs bounded memory. */
const KEPT_CONTEXTS = 64;

/** One epoch's base key; every member's keys follow from it. */
export interface SFrameEpoch {
  readonly suite: SFrameSuite;
  readonly epoch: bigint;
  /** Width of the ratchet tree, blank leaves included. */
  readonly leafCount: number;
  readonly indexBits: number;
  readonly baseKey: CryptoKey;
}

/** Takes an epoch's base key (Nk bytes) into WebCrypto. `indexBits` as sframe.py exports it. */
export async function sframeEpoch(
  suite: SFrameSuite,
  epoch: bigint,
  leafCount: number,
  indexBits: number,
  baseKey: Bytes,
): Promise<SFrameEpoch> {
  if (baseKey.length !== suite.nk) throw new RangeError(`expected a base key of ${suite.nk} bytes, got ${baseKey.length}`);
  return { suite, epoch, leafCount, indexBits, baseKey: await importBaseKey(baseKey) };
}

/** Key and salt behind one KID. */
export class FrameKey {
  readonly suite: SFrameSuite;
  readonly kid: bigint;
  readonly #cipher: FrameCipher;
  readonly #salt: Bytes;
  readonly #headers: KidHeaders;

  private constructor(suite: SFrameSuite, kid: bigint, cipher: FrameCipher, salt: Bytes) {
    this.suite = suite;
    this.kid = kid;
    this.#cipher = cipher;
    this.#salt = salt;
    this.#headers = new KidHeaders(kid);
  }

  static async derive(suite: SFrameSuite, baseKey: CryptoKey, kid: bigint): Promise<FrameKey> {
    const { key, salt } = await deriveKeySalt(suite, baseKey, kid);
    const cipher = await frameCipher(suite, key);
    key.fill(0);
    return new FrameKey(suite, kid, cipher, salt);
  }

  /**
   * cover + header + ciphertext; SFrame knows nothing of the cover. The caller never gives a counter twice; `FrameSender` is such a caller.
   */
  encrypt(ctr: number, metadata: Bytes, frame: Bytes, cover: Bytes = NOTHING): Promise<Bytes> {
    const aad = this.#headers.withMetadata(ctr, metadata);
    const header = aad.subarray(0, aad.length - metadata.length);
    return this.#cipher.seal(this.#nonce(ctr), aad, frame, cover.length === 0 ? header : concat(cover, header));
  }

  /** The frame. Throws `Refused` "not-authentic". `headerSize` and `ctr` are those of its header. */
  async decrypt(ctr: number, headerSize: number, metadata: Bytes, sealed: Bytes): Promise<Bytes> {
    const aad = concat(sealed.subarray(0, headerSize), metadata);
    const frame = await this.#cipher.open(this.#nonce(ctr), aad, sealed.subarray(headerSize));
    if (frame === null) throw new Refused("not-authentic", "expected a frame protected with its sender's key");
    return frame;
  }

  /** Salt XOR counter (RFC 9605 section 4.4.3). */
  #nonce(ctr: number): Bytes {
    const nonce = this.#salt.slice();
    for (let place = nonce.length - 1, rest = ctr; rest > 0; place -= 1, rest = Math.floor(rest / 256)) nonce[place]! ^= rest % 256;
    return nonce;
  }
}

/** Protects the frames of one stream in one epoch. One of these per (epoch, context), ever: its counter starts at zero. */
export class FrameSender {
  readonly #key: FrameKey;
  readonly #limit: number;
  #next = 0;

  private constructor(key: FrameKey, limit: number) {
    this.#key = key;
    this.#limit = Math.min(limit, MAX_FRAMES);
  }

  /** `limit` can only lower MAX_FRAMES. Throws RangeError for a context or index that does not fit the KID. */
  static async create(epoch: SFrameEpoch, senderIndex: number, context: bigint, limit = MAX_FRAMES): Promise<FrameSender> {
    const kid = encodeKid(context, senderIndex, epoch.epoch, layout(epoch));
    return new FrameSender(await FrameKey.derive(epoch.suite, epoch.baseKey, kid), limit);
  }

  get kid(): bigint {
    return this.#key.kid;
  }

  /**
   * The frame protected, after `cover` in the clear. A counter is spent when asked for, also if WebCrypto then fails.
   * Rejects with `Refused` "key-exhausted".
   */
  async protect(frame: Bytes, metadata: Bytes = NOTHING, cover: Bytes = NOTHING): Promise<Bytes> {
    if (this.#next >= this.#limit) throw new Refused("key-exhausted", `expected at most ${this.#limit} frames under one key`);
    const ctr = this.#next;
    this.#next += 1;
    return this.#key.encrypt(ctr, metadata, frame, cover);
  }
}

/** A frame as it was protected, and whose it claims to be: any member can compute any other's keys. */
export interface OpenedFrame {
  readonly frame: Bytes;
  readonly epoch: bigint;
  readonly senderIndex: number;
  readonly context: bigint;
  readonly counter: number;
}

interface Stream {
  readonly key: FrameKey;
  readonly window: ReplayWindow;
}

interface HeldEpoch {
  readonly epoch: SFrameEpoch;
  /** By KID: streams of which a frame was authentic. */
  readonly streams: Map<bigint, Stream>;
  readonly contexts: Map<number, number>;
  readonly dropped: Set<number>;
}

/**
 * Opens frames of every member in the epochs held. In this order it is proved of a frame that
 *   1. its header is well formed and as short as can be,
 *   2. its epoch is held, its sender a leaf of it, and not dropped; and whoever it claims to be of may be heard here, if the caller
 *      says who may (`claimed`): what another one forged must not move the windows of 3.,
 *   3. its counter has not come before under that KID,
 *   4. it is authentic with its header and metadata.
 * The caller still owes: that the sender may send this kind of media, and how long epochs are held.
 */
export class FrameReceiver {
  /** By the low bits of the epoch's number. */
  readonly #epochs = new Map<number, HeldEpoch>();

  /** Holds an epoch from now on; an older one of the same low bits goes (RFC 9605 section 5.2). */
  addEpoch(epoch: SFrameEpoch): void {
    const low = Number(BigInt.asUintN(EPOCH_BITS, epoch.epoch));
    const held = this.#epochs.get(low);
    // The same epoch again must not forget what came already.
    if (held !== undefined && held.epoch.epoch >= epoch.epoch) return;
    this.#epochs.set(low, { epoch, streams: new Map(), contexts: new Map(), dropped: new Set() });
  }

  /** Lets go of an epoch's keys; one not held is no error. */
  dropEpoch(epoch: bigint): void {
    const low = Number(BigInt.asUintN(EPOCH_BITS, epoch));
    if (this.#epochs.get(low)?.epoch.epoch === epoch) this.#epochs.delete(low);
  }

  /** Refuses a member's frames of `epoch` from now on, "unknown-key": who was removed, or has moved to newer keys. */
  dropSender(epoch: bigint, senderIndex: number): void {
    const held = this.#epochs.get(Number(BigInt.asUintN(EPOCH_BITS, epoch)));
    if (held?.epoch.epoch !== epoch) return;
    held.dropped.add(senderIndex);
    for (const kid of held.streams.keys()) {
      if (decodeKid(kid, layout(held.epoch)).senderIndex === senderIndex) held.streams.delete(kid);
    }
  }

  /**
   * `claimed` throws what a frame of such a sender is refused with.
   * Rejects with `Refused`: "malformed", "unknown-key" (hold the frame and try again), "replayed", "too-old", "not-authentic",
   * "key-exhausted".
   */
  async open(sealed: Bytes, metadata: Bytes = NOTHING, claimed?: (epoch: bigint, senderIndex: number) => void): Promise<OpenedFrame> {
    // 1.
    const { kid, ctr, size } = decodeHeader(sealed);
    if (ctr >= BigInt(MAX_FRAMES)) throw new Refused("key-exhausted", "expected a counter below 2^48");
    const counter = Number(ctr);
    // 2.
    const held = this.#epochs.get(Number(BigInt.asUintN(EPOCH_BITS, kid)));
    if (held === undefined) throw unknownKey();
    const { context, senderIndex } = decodeKid(kid, layout(held.epoch));
    if (senderIndex >= held.epoch.leafCount || held.dropped.has(senderIndex)) throw unknownKey();
    claimed?.(held.epoch.epoch, senderIndex);
    // 3.
    const known = held.streams.get(kid);
    known?.window.check(counter);
    // 4.
    const key = known?.key ?? (await FrameKey.derive(held.epoch.suite, held.epoch.baseKey, kid));
    const frame = await key.decrypt(counter, size, metadata, sealed);
    // The world may have changed while WebCrypto worked.
    if (held.dropped.has(senderIndex) || this.#epochs.get(Number(BigInt.asUintN(EPOCH_BITS, kid))) !== held) throw unknownKey();
    this.#stream(held, key, senderIndex).window.mark(counter);
    return { frame, epoch: held.epoch.epoch, senderIndex, context, counter };
  }

  #stream(held: HeldEpoch, key: FrameKey, senderIndex: number): Stream {
    const known = held.streams.get(key.kid);
    if (known !== undefined) return known;
    const contexts = held.contexts.get(senderIndex) ?? 0;
    if (contexts >= KEPT_CONTEXTS) throw new Refused("key-exhausted", `expected at most ${KEPT_CONTEXTS} streams of one member in an epoch`);
    held.contexts.set(senderIndex, contexts + 1);
    const made = { key, window: new ReplayWindow() };
    held.streams.set(key.kid, made);
    return made;
  }
}

const layout = ({ indexBits }: SFrameEpoch): KidLayout => ({ indexBits, epochBits: EPOCH_BITS });

const unknownKey = (): Refused => new Refused("unknown-key", "expected a frame of an epoch and a member whose keys are held");
