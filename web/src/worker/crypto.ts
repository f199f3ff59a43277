/**
 * WebCrypto for the Python core: one call per batch, packed as `packing` says. Also shipped alone in the wheel, for a Pyodide that is
 * not ours.
 *
 * Private keys generated here are non-extractable and stay here, under handles of 128 random bits. Private keys that the protocol
 * derives come in raw with each call, since WebCrypto has no derivation into keys of these kinds.
 */
import { Failure } from "../failure.js";
import * as hybrid from "./crypto_hybrid.js";
import { type HeldKey, type HybridKey, isHybrid } from "./crypto_hybrid.js";
import * as keys from "./crypto_keys.js";
import { type Bytes, unlessInvalid } from "./crypto_keys.js";
import { hasMlKem } from "./crypto_ml_kem.js";
import { ALGORITHMS, type AlgorithmName, KEY_KINDS, type KeyKind } from "./key_formats.js";
import { items, pack } from "./packing.js";

const { subtle } = crypto;
const TAG_BITS = 128;
const HANDLE_BYTES = 16;
const HYBRID = "MLKEM768-X25519";
const RAW = 0; // first byte of a private key field: the raw bytes follow
const HANDLE = 1; // ... : the name of a key held here follows

/** The operations on packed batches, by the names host/browser.py calls them. */
export type Operation = "generate" | "publicKeys" | "dh" | "ephemeralDh" | "sign" | "verify" | "seal" | "open";

/** Takes the answer to the question of that number, or else what was thrown. */
export type Deliver = (number: number, answer: Bytes | undefined, error?: unknown) => void;

/** One holder of keys with the operations on them; each identity's store has one, so that handles of two never meet. */
export class CryptoHost {
  /** Private keys by handle. The store puts the kept ones in at opening. */
  readonly keys = new Map<string, HeldKey>();

  readonly #operations: Record<Operation, (packed: Bytes) => Promise<(Uint8Array | null)[]>> = {
    generate: (packed) => this.#generate(packed),
    publicKeys: (packed) => each(packed, 2, ([kind, raw]) => publicKey(kind, raw)),
    dh: (packed) => this.#dh(packed),
    ephemeralDh: async (packed) => (await each(packed, 2, ephemeral)).flat(),
    sign: (packed) => each(packed, 4, ([kind, privateKey, own, message]) => this.#sign(keyKind(kind), privateKey, own, message)),
    verify: (packed) => each(packed, 4, verify),
    seal: (packed) => each(packed, 5, seal),
    open: (packed) => each(packed, 5, open),
  };

  /** Runs one operation on a batch. Rejects with `Failure` for a handle that is not held; anything else rejected is a defect. */
  async run(operation: Operation, packed: Bytes): Promise<Bytes> {
    return pack(await this.#operations[operation](packed));
  }

  /** As `run`, for Python, to which a call costs a fifth of awaiting a promise: `deliver` gets the answer, or what was thrown. */
  answer(number: number, deliver: Deliver, operation: Operation, packed: Bytes): void {
    this.run(operation, packed).then(
      (answer) => deliver(number, answer),
      (error: unknown) => deliver(number, undefined, error),
    );
  }

  /** Lets go of private keys; unknown handles are no error. */
  forget(handles: readonly string[]): void {
    for (const handle of handles) this.keys.delete(handle);
  }

  async #generate(packed: Bytes): Promise<Uint8Array[]> {
    const made = await each(packed, 1, async ([kind]) => {
      const { publicKey, privateKey } = isHybridKind(kind) ? await hybrid.generate() : await generate(keyKind(kind));
      const handle = randomHex(HANDLE_BYTES);
      this.keys.set(handle, privateKey);
      return [publicKey, new TextEncoder().encode(handle)];
    });
    return made.flat();
  }

  /** A private key is imported once for all items in a row that have it: admission of keys has one, and importing takes half of a DH. */
  #dh(packed: Bytes): Promise<(Bytes | null)[]> {
    let last: { kind: KeyKind; field: Bytes; key: Promise<CryptoKey> } | undefined;
    return each(packed, 4, async ([code, privateKey, own, peer]) => {
      if (isHybridKind(code)) return hybrid.decapsulate(await this.#hybridKey(privateKey), peer);
      const kind = keyKind(code);
      if (last?.kind !== kind || !same(last.field, privateKey)) {
        last = { kind, field: privateKey, key: this.#privateKey(kind, privateKey, own) };
      }
      const key = await last.key; // first: a missing handle is an error, a bad peer key is a value
      return keys.deriveShared(kind, key, peer);
    });
  }

  async #sign(kind: KeyKind, privateKey: Bytes, own: Bytes, message: Bytes): Promise<Bytes> {
    const key = await this.#privateKey(kind, privateKey, own);
    return new Uint8Array(await subtle.sign(signing(kind), key, message));
  }

  async #privateKey(kind: KeyKind, field: Bytes, own: Bytes): Promise<CryptoKey> {
    if (field[0] === RAW) return keys.importPrivate(kind, field.subarray(1), own);
    const key = this.#held(field);
    if (key === undefined || isHybrid(key)) throw notHeld();
    return key;
  }

  async #hybridKey(field: Bytes): Promise<HybridKey> {
    if (field[0] === RAW) return hybrid.importPrivate(field.subarray(1));
    const key = this.#held(field);
    if (key === undefined || !isHybrid(key)) throw notHeld();
    return key;
  }

  #held(field: Bytes): HeldKey | undefined {
    return field[0] === HANDLE ? this.keys.get(new TextDecoder().decode(field.subarray(1))) : undefined;
  }
}

const same = (left: Bytes, right: Bytes): boolean => left.length === right.length && left.every((byte, index) => byte === right[index]);

const notHeld = (): Failure => new Failure("key-not-found", "expected a private key that this host holds");

/** The algorithms this browser has, by the names of suites.py; asked once, at start. */
export async function supportedAlgorithms(): Promise<AlgorithmName[]> {
  const names = Object.values(ALGORITHMS);
  const present = await Promise.all(
    names.map(async (name) => {
      try {
        if (name === "AES-128-GCM" || name === "CHACHA20-POLY1305") {
          await importAead(name, new Uint8Array(name === "AES-128-GCM" ? 16 : 32), "encrypt");
          return true;
        }
        if (name === HYBRID) {
          await keys.generate("X25519");
          return await hasMlKem();
        }
        await keys.generate(name);
        // Not every browser computes the public half of a raw P-256 key, and TreeKEM needs it.
        if (name === "X25519" || name === "P-256") await keys.publicKey(name, new Uint8Array(32).fill(1));
        return true;
      } catch {
        return false; // the answer to the question, whatever the reason
      }
    }),
  );
  return names.filter((_, index) => present[index]);
}

type Tuple = [Bytes, Bytes, Bytes, Bytes, Bytes]; // as many as the operation's fields; `items` has checked the count

function each<T>(packed: Bytes, size: number, work: (fields: Tuple) => Promise<T>): Promise<T[]> {
  return Promise.all(items(packed, size).map((fields) => work(fields as Tuple)));
}

function algorithm(code: Bytes): AlgorithmName {
  const name = ALGORITHMS[code[0] as keyof typeof ALGORITHMS];
  if (name === undefined) throw new RangeError(`expected an algorithm number, got ${code[0]}`);
  return name;
}

function keyKind(code: Bytes): KeyKind {
  const name = algorithm(code);
  if (!(name in KEY_KINDS)) throw new RangeError(`expected a key algorithm, got ${name}`);
  return name as KeyKind;
}

const isHybridKind = (code: Bytes): boolean => algorithm(code) === HYBRID;

async function generate(kind: KeyKind): Promise<{ publicKey: Bytes; privateKey: CryptoKey }> {
  const pair = await keys.generate(kind);
  return { publicKey: await keys.exportRaw(pair.publicKey), privateKey: pair.privateKey };
}

function publicKey(code: Bytes, raw: Bytes): Promise<Bytes> {
  return isHybridKind(code) ? hybrid.publicKey(raw) : keys.publicKey(keyKind(code), raw);
}

function ephemeral([code, peer]: Tuple): Promise<[Bytes, Bytes] | [null, null]> {
  return isHybridKind(code) ? hybrid.encapsulate(peer) : keys.ephemeralDh(keyKind(code), peer);
}

function signing(kind: KeyKind): Algorithm | EcdsaParams {
  return kind === "ed25519" ? { name: "Ed25519" } : { name: "ECDSA", hash: "SHA-256" };
}

async function verify([code, publicKey, message, signature]: Tuple): Promise<Bytes> {
  const kind = keyKind(code);
  const key = await keys.importPublic(kind, publicKey, ["verify"]);
  if (key === null) return Uint8Array.of(0);
  return Uint8Array.of((await unlessInvalid(subtle.verify(signing(kind), key, signature, message))) === true ? 1 : 0);
}

async function seal([code, raw, iv, aad, text]: Tuple): Promise<Bytes> {
  const name = algorithm(code);
  const key = await importAead(name, raw, "encrypt");
  return new Uint8Array(await subtle.encrypt(aeadParameters(name, iv, aad), key, text));
}

async function open([code, raw, iv, aad, text]: Tuple): Promise<Bytes | null> {
  const name = algorithm(code);
  const key = await importAead(name, raw, "decrypt");
  const opened = await unlessInvalid(subtle.decrypt(aeadParameters(name, iv, aad), key, text));
  return opened === null ? null : new Uint8Array(opened);
}

function importAead(name: AlgorithmName, raw: Bytes, usage: "encrypt" | "decrypt"): Promise<CryptoKey> {
  if (name === "AES-128-GCM") return subtle.importKey("raw", raw, "AES-GCM", false, [usage]);
  // "raw-secret" (WICG, Modern Algorithms in WebCrypto) is not in TypeScript's list of formats yet.
  return subtle.importKey("raw-secret" as "raw", raw, "ChaCha20-Poly1305", false, [usage]);
}

function aeadParameters(name: AlgorithmName, iv: Bytes, additionalData: Bytes): AesGcmParams {
  return { name: name === "AES-128-GCM" ? "AES-GCM" : "ChaCha20-Poly1305", iv, additionalData, tagLength: TAG_BITS };
}

/** `size` random bytes in hex. */
export function randomHex(size: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(size)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
