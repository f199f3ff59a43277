/** The media worker's end of the port to the roomkey worker: keys come by it, and by nothing else. */
import { Failure } from "../failure.js";
import type { EpochValue, KeyMessage, KeyRequest, SrtpEpochValue, SrtpMasterKey } from "../media_protocol.js";
import type { Bytes } from "../worker/crypto_keys.js";
import type { Member, Wire } from "../values.js";
import { ConferenceKeys } from "./conference_keys.js";
import { SFRAME_SUITES } from "./sframe_suites.js";

/** A member as the page's `Member` shows it. */
export type WireMember = Wire<Member>;

/** A conference's keys, and who is told when they change. */
export interface Room {
  readonly keys: ConferenceKeys<WireMember>;
  readonly changed: Set<() => void>;
}

/** Milliseconds between two requests to catch up for one conference: each asks its ordering service. */
const RESYNC_PAUSE = 2_000;

/** What is asked of the other worker, without the number of the question. */
type Question = KeyRequest extends infer R ? (R extends KeyRequest ? Omit<R, "id"> : never) : never;

/** Who hears of SRTP: epochs with the keys of their senders, and what members say of their streams. */
export interface SrtpListener {
  epoch(value: SrtpEpochValue, keys: readonly SrtpMasterKey[]): void;
  end(session: number): void;
  streams(conference: number, from: Uint8Array, data: Bytes): void;
}

export class KeyPort {
  readonly #port: MessagePort;
  readonly #srtp: SrtpListener;
  readonly #rooms = new Map<number, Room>();
  readonly #asked = new Map<number, { resolve(value: bigint | undefined): void; reject(error: Failure): void }>();
  readonly #resynced = new Map<number, number>();
  #nextId = 1;

  constructor(port: MessagePort, srtp: SrtpListener) {
    this.#srtp = srtp;
    this.#port = port;
    port.addEventListener("message", ({ data }: MessageEvent<KeyMessage>) => this.#hear(data));
    port.start();
  }

  /** The keys of a conference, which may still have to come. */
  room(conference: number): Room {
    const present = this.#rooms.get(conference);
    if (present !== undefined) return present;
    const made = { keys: new ConferenceKeys<WireMember>(), changed: new Set<() => void>() };
    this.#rooms.set(conference, made);
    return made;
  }

  /** A context value that nobody else gets, written down already. Rejects with a `Failure`. */
  async context(conference: number): Promise<bigint> {
    const context = await this.#ask({ kind: "context", conference });
    if (context === undefined) throw new Failure("internal-error", "expected a context, got none");
    return context;
  }

  /** Asks for what may have been missed, unless that was asked a moment ago; whether it helped shows in the keys. */
  resync(conference: number, now: number): void {
    if (now < (this.#resynced.get(conference) ?? -Infinity) + RESYNC_PAUSE) return;
    this.#resynced.set(conference, now);
    this.#ask({ kind: "resync", conference }).catch(() => undefined); // the stream's state says what is missing, and asks again
  }

  /** Tells all members, or one client, of our SRTP streams. Rejects with a `Failure`. */
  async announce(conference: number, data: Bytes, to?: Uint8Array): Promise<void> {
    await this.#ask({ kind: "announce", conference, data, ...(to === undefined ? {} : { to }) });
  }

  #ask(question: Question): Promise<bigint | undefined> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#port.postMessage({ ...question, id } as KeyRequest);
    });
  }

  #hear(message: KeyMessage): void {
    if (message.kind === "epoch") this.#epoch(message.value, message.baseKey);
    else if (message.kind === "end") this.#end(message.conference);
    else if (message.kind === "srtp") this.#srtp.epoch(message.value, message.keys);
    else if (message.kind === "srtp-end") this.#srtp.end(message.session);
    else if (message.kind === "streams") this.#srtp.streams(message.conference, message.from, message.data);
    else {
      const asked = this.#asked.get(message.id);
      this.#asked.delete(message.id);
      if (message.kind === "context") asked?.resolve(message.context);
      else if (message.kind === "done") asked?.resolve(undefined);
      else asked?.reject(new Failure(message.error.code, message.error.text, message.error.details));
    }
  }

  #epoch(value: EpochValue, baseKey: CryptoKey): void {
    const suite = SFRAME_SUITES.get(value.suite);
    if (suite === undefined) throw new Failure("unsupported-suite", `expected an sframe suite that we have, got ${value.suite}`);
    const { group, reason, leafCount, indexBits, ownLeaf, members } = value;
    const sframe = { suite, epoch: BigInt(value.epoch), leafCount, indexBits, baseKey };
    const { keys, changed } = this.room(value.conference);
    keys.add({ group, reason, sframe, ownLeaf, members }, performance.now());
    for (const tell of [...changed]) tell();
  }

  #end(conference: number): void {
    const room = this.room(conference);
    room.keys.end();
    this.#rooms.delete(conference); // whoever asks again gets a new one; streams under way keep this, which has ended
    for (const tell of [...room.changed]) tell();
  }
}
