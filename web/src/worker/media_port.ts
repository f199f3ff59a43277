/**
 * The roomkey worker's end of the port to the media worker. Keys come from Python as bytes, become keys that nobody can export, and
 * go over it in the order they came; the page has no end of it.
 */
import { importMasterKey } from "../media/srtp_kdf.js";
import type { EpochValue, KeyMessage, KeyRequest, SrtpEpochValue } from "../media_protocol.js";
import type { Answer } from "../protocol.js";
import type { Bytes } from "./crypto_keys.js";

/** Calls a method of the bridge. */
export type CallBridge = (method: string, args: object) => Promise<Answer>;

/** What bridge/browser.py gets. */
export class MediaPort {
  readonly #port: MessagePort;
  /** Importing a key takes a turn: what follows waits for it. */
  #before: Promise<void> = Promise.resolve();

  constructor(port: MessagePort) {
    this.#port = port;
  }

  /** Hands over an epoch's base key, and wipes these bytes of it. */
  epoch(value: EpochValue, baseKey: Bytes): void {
    const key = crypto.subtle.importKey("raw", baseKey, "HKDF", false, ["deriveBits"]);
    baseKey.fill(0); // importKey has taken its copy
    this.#post(async () => ({ kind: "epoch", value, baseKey: await key }));
  }

  /** Has a conference's keys forgotten. */
  end(conference: number): void {
    this.#post(() => ({ kind: "end", conference }));
  }

  /** Hands over an epoch's SRTP keys, master key and salt of each sender, and wipes these bytes of the keys. */
  srtp(value: SrtpEpochValue, keys: readonly (readonly [Bytes, Bytes])[]): void {
    const imported = keys.map(async ([bytes, salt]) => {
      const key = importMasterKey(bytes);
      bytes.fill(0); // importKey has taken its copy
      return { key: await key, salt };
    });
    this.#post(async () => ({ kind: "srtp", value, keys: await Promise.all(imported) }));
  }

  /** Has a session's keys forgotten. */
  srtpEnd(session: number): void {
    this.#post(() => ({ kind: "srtp-end", session }));
  }

  /** What a member said of its streams. */
  streams(conference: number, from: Bytes, data: Bytes): void {
    this.#post(() => ({ kind: "streams", conference, from, data }));
  }

  /** Answers the media worker's requests from now on. */
  serve(call: CallBridge): void {
    this.#port.addEventListener("message", ({ data }: MessageEvent<KeyRequest>) => void this.#answer(data, call));
    this.#port.start();
  }

  async #answer({ kind, id, conference, ...rest }: KeyRequest, call: CallBridge): Promise<void> {
    const answer = await call(`media.${kind}`, { handle: conference, ...rest });
    this.#post(() => {
      if (!answer.ok) return { kind: "failed", id, error: answer.error };
      return kind === "context" ? { kind, id, context: BigInt(answer.value as number) } : { kind: "done", id };
    });
  }

  #post(make: () => KeyMessage | Promise<KeyMessage>): void {
    this.#before = this.#before.then(async () => this.#port.postMessage(await make()));
  }
}
