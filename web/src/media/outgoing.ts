/** One stream of ours: its frames, each under the keys of the epoch that is sent with when it comes. Times are arguments. */
import type { Bytes } from "../worker/crypto_keys.js";
import { type Codec, front, metadata, woven } from "./clear_bytes.js";
import type { ConferenceKeys, MediaEpoch, Occupant } from "./conference_keys.js";
import { FrameSender } from "./sframe.js";

export class Outgoing<M extends Occupant> {
  readonly #keys: ConferenceKeys<M>;
  readonly #context: bigint;
  #epoch: MediaEpoch<M> | undefined;
  #sender: Promise<FrameSender> | undefined;

  /** @param context - one that no other stream, and no earlier start of this one, was given: written down before */
  constructor(keys: ConferenceKeys<M>, context: bigint) {
    this.#keys = keys;
    this.#context = context;
  }

  /** The frame as it travels; undefined where there are no keys to send with. Rejects with `Refused` "malformed", "key-exhausted". */
  async protect(codec: Codec, frame: Bytes, now: number): Promise<Bytes | undefined> {
    const epoch = this.#keys.sending(now);
    if (epoch === undefined) return undefined;
    if (epoch !== this.#epoch || this.#sender === undefined) {
      // Keys go forward only, so an epoch that was left does not come back with its counter at zero.
      this.#epoch = epoch;
      this.#sender = FrameSender.create(epoch.sframe, epoch.ownLeaf, this.#context);
    }
    const sender = await this.#sender;
    const sealed = await sender.protect(frame, metadata(codec), front(codec, frame));
    // What happened while WebCrypto worked: a frame that was sealed for somebody who is gone by now stays here.
    return this.#keys.ended ? undefined : woven(codec, frame, sealed);
  }
}
