/** The cipher suites of RFC 9605 section 4.5: keys from a base key, and authenticated encryption with them. */
import type { Bytes } from "../worker/crypto_keys.js";
import { unlessInvalid } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { release } from "./release.js";
import { sameBytes } from "./same_bytes.js";

const { subtle } = crypto;

/** Sizes in bytes, by RFC 9605's names. */
export interface SFrameSuite {
  readonly number: number;
  readonly name: string;
  readonly hash: "SHA-256" | "SHA-512";
  readonly aead: "AES-CTR-HMAC" | "AES-GCM";
  /** Of the AEAD's key; with AES-CTR the first 16 encrypt and the other 32 authenticate. */
  readonly nk: number;
  readonly nn: number;
  readonly nt: number;
}

const suite = (number: number, name: string, hash: SFrameSuite["hash"], aead: SFrameSuite["aead"], nk: number, nt: number): SFrameSuite => ({
  number,
  name,
  hash,
  aead,
  nk,
  nn: 12,
  nt,
});

/** By number. Which of them a group may use is the group's policy (sframe.py): 2 and 3 have tags short enough to be guessed. */
export const SFRAME_SUITES: ReadonlyMap<number, SFrameSuite> = new Map(
  [
    suite(1, "AES_128_CTR_HMAC_SHA256_80", "SHA-256", "AES-CTR-HMAC", 48, 10),
    suite(2, "AES_128_CTR_HMAC_SHA256_64", "SHA-256", "AES-CTR-HMAC", 48, 8),
    suite(3, "AES_128_CTR_HMAC_SHA256_32", "SHA-256", "AES-CTR-HMAC", 48, 4),
    suite(4, "AES_128_GCM_SHA256_128", "SHA-256", "AES-GCM", 16, 16),
    suite(5, "AES_256_GCM_SHA512_128", "SHA-512", "AES-GCM", 32, 16),
  ].map((entry) => [entry.number, entry]),
);

const ENCRYPTION_KEY_SIZE = 16; // Nka of the suites with AES-CTR

/** AEAD.Encrypt and AEAD.Decrypt; the tag is the end of the ciphertext. */
export interface FrameCipher {
  /** `head` and what is sealed after it, in one piece: encoded frames take one, and a big one more costs as much as AES. */
  seal(nonce: Bytes, aad: Bytes, text: Bytes, head: Bytes): Promise<Bytes>;
  /** The plaintext, or null where the tag does not fit. */
  open(nonce: Bytes, aad: Bytes, sealed: Bytes): Promise<Bytes | null>;
}

/** The base key as WebCrypto holds it, not extractable. `raw` is Nk bytes; who called wipes it. */
export function importBaseKey(raw: Bytes): Promise<CryptoKey> {
  return subtle.importKey("raw", raw, "HKDF", false, ["deriveBits"]);
}

/** derive_key_salt of RFC 9605 section 4.4.2. */
export async function deriveKeySalt(suite: SFrameSuite, baseKey: CryptoKey, kid: bigint): Promise<{ key: Bytes; salt: Bytes }> {
  const expand = async (label: string, size: number): Promise<Bytes> => {
    const info = new Uint8Array(label.length + 10);
    new TextEncoder().encodeInto(label, info);
    const view = new DataView(info.buffer);
    view.setBigUint64(label.length, kid);
    view.setUint16(label.length + 8, suite.number);
    const parameters = { name: "HKDF", hash: suite.hash, salt: new Uint8Array(0), info };
    return new Uint8Array(await subtle.deriveBits(parameters, baseKey, 8 * size));
  };
  const [key, salt] = await Promise.all([expand("SFrame 1.0 Secret key ", suite.nk), expand("SFrame 1.0 Secret salt ", suite.nn)]);
  return { key, salt };
}

/** The AEAD under a key of Nk bytes, held by WebCrypto and not extractable. */
export async function frameCipher(suite: SFrameSuite, key: Bytes): Promise<FrameCipher> {
  if (key.length !== suite.nk) throw new RangeError(`expected a key of ${suite.nk} bytes, got ${key.length}`);
  if (suite.aead === "AES-GCM") return new Gcm(await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]), 8 * suite.nt);
  const [encryption, authentication] = await Promise.all([
    subtle.importKey("raw", key.subarray(0, ENCRYPTION_KEY_SIZE), "AES-CTR", false, ["encrypt", "decrypt"]),
    subtle.importKey("raw", key.subarray(ENCRYPTION_KEY_SIZE), { name: "HMAC", hash: suite.hash }, false, ["sign"]),
  ]);
  return new CtrHmac(encryption, authentication, suite.nt);
}

class Gcm implements FrameCipher {
  readonly #key: CryptoKey;
  readonly #tagLength: number;

  constructor(key: CryptoKey, tagLength: number) {
    this.#key = key;
    this.#tagLength = tagLength;
  }

  async seal(iv: Bytes, additionalData: Bytes, text: Bytes, head: Bytes): Promise<Bytes> {
    const sealed = await subtle.encrypt({ name: "AES-GCM", iv, additionalData, tagLength: this.#tagLength }, this.#key, text);
    const whole = concat(head, new Uint8Array(sealed));
    release(sealed);
    return whole;
  }

  async open(iv: Bytes, additionalData: Bytes, sealed: Bytes): Promise<Bytes | null> {
    const work = subtle.decrypt({ name: "AES-GCM", iv, additionalData, tagLength: this.#tagLength }, this.#key, sealed);
    const opened = await unlessInvalid(work);
    return opened === null ? null : new Uint8Array(opened);
  }
}

/** RFC 9605 section 4.5.1. */
class CtrHmac implements FrameCipher {
  readonly #encryption: CryptoKey;
  readonly #authentication: CryptoKey;
  readonly #tagSize: number;

  constructor(encryption: CryptoKey, authentication: CryptoKey, tagSize: number) {
    this.#encryption = encryption;
    this.#authentication = authentication;
    this.#tagSize = tagSize;
  }

  async seal(nonce: Bytes, aad: Bytes, text: Bytes, head: Bytes): Promise<Bytes> {
    const hidden = new Uint8Array(await subtle.encrypt(counterMode(nonce), this.#encryption, text));
    const whole = concat(head, hidden, await this.#tag(nonce, aad, hidden));
    release(hidden.buffer);
    return whole;
  }

  async open(nonce: Bytes, aad: Bytes, sealed: Bytes): Promise<Bytes | null> {
    const end = sealed.length - this.#tagSize;
    if (end < 0) return null;
    const hidden = sealed.subarray(0, end);
    // Both at once: RFC 9605 section 4.4.4 wants good and bad frames to take the same time.
    const [tag, text] = await Promise.all([
      this.#tag(nonce, aad, hidden),
      subtle.decrypt(counterMode(nonce), this.#encryption, hidden),
    ]);
    return sameBytes(tag, sealed.subarray(end)) ? new Uint8Array(text) : null;
  }

  async #tag(nonce: Bytes, aad: Bytes, hidden: Bytes): Promise<Bytes> {
    const sizes = new DataView(new ArrayBuffer(24));
    sizes.setBigUint64(0, BigInt(aad.length));
    sizes.setBigUint64(8, BigInt(hidden.length));
    sizes.setBigUint64(16, BigInt(this.#tagSize));
    const input = concat(new Uint8Array(sizes.buffer), nonce, aad, hidden);
    const signed = await subtle.sign("HMAC", this.#authentication, input);
    release(input.buffer);
    return new Uint8Array(signed).subarray(0, this.#tagSize);
  }
}

/** The counter block is the nonce and 32 bits that count from zero. */
function counterMode(nonce: Bytes): AesCtrParams {
  const counter = new Uint8Array(16);
  counter.set(nonce);
  return { name: "AES-CTR", counter, length: 32 };
}
