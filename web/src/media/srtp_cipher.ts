/**
 * The transforms of SRTP: AES in counter mode with HMAC-SHA1 (RFC 3711 section 4) and AES-GCM (RFC 7714).
 *
 * A packet is `head`, which stays clear, and `body`, which is hidden. `word` is what each kind of packet binds besides: of RTP the
 * rollover counter, of RTCP the E flag and index. `index` is the packet's, 48 bits of RTP and 31 of RTCP.
 */
import type { Bytes } from "../worker/crypto_keys.js";
import { unlessInvalid } from "../worker/crypto_keys.js";
import { concat } from "../worker/key_formats.js";
import { sameBytes } from "./same_bytes.js";

const { subtle } = crypto;
const CM_TAG_SIZE = 10;
const GCM_TAG_SIZE = 16;
const NOTHING = new Uint8Array(0);

export interface PacketPlace {
  readonly ssrc: number;
  readonly index: number;
}

/** The tag stands with the hidden body (RFC 7714), or is the packet's very end, after MKI and RTCP's word (RFC 3711). */
export interface Sealed {
  readonly body: Bytes;
  /** Empty where the tag stands with the body. */
  readonly end: Bytes;
}

export interface PacketCipher {
  /** Bytes of the tag that stand with the body. */
  readonly tagWithBody: number;
  /** Bytes of the tag that are the packet's end. */
  readonly tagAtEnd: number;
  seal(place: PacketPlace, head: Bytes, body: Bytes, word: Bytes): Promise<Sealed>;
  /** The body, or null where the tag does not fit. */
  open(place: PacketPlace, head: Bytes, sealed: Sealed, word: Bytes): Promise<Bytes | null>;
}

/** AES-CM and HMAC-SHA1 with tags of 80 bits. */
export async function cmCipher(key: Bytes, authentication: Bytes, salt: Bytes): Promise<PacketCipher> {
  const [encryption, signing] = await Promise.all([
    subtle.importKey("raw", key, "AES-CTR", false, ["encrypt", "decrypt"]),
    subtle.importKey("raw", authentication, { name: "HMAC", hash: "SHA-1" }, false, ["sign"]),
  ]);
  return new CounterMode(encryption, signing, salt);
}

/** AES-GCM, for RTP or for RTCP. */
export async function gcmCipher(kind: "rtp" | "rtcp", key: Bytes, salt: Bytes): Promise<PacketCipher> {
  return new Gcm(kind, await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt", "decrypt"]), salt);
}

class CounterMode implements PacketCipher {
  readonly tagWithBody = 0;
  readonly tagAtEnd = CM_TAG_SIZE;
  readonly #encryption: CryptoKey;
  readonly #signing: CryptoKey;
  readonly #salt: Bytes;
  /** What was signed last, and is signed next. */
  #input: Bytes = NOTHING;

  constructor(encryption: CryptoKey, signing: CryptoKey, salt: Bytes) {
    this.#encryption = encryption;
    this.#signing = signing;
    this.#salt = salt;
  }

  async seal(place: PacketPlace, head: Bytes, body: Bytes, word: Bytes): Promise<Sealed> {
    // RTCP with E = 0 has nothing to hide.
    const hidden = body.length === 0 ? body : new Uint8Array(await subtle.encrypt(this.#counter(place), this.#encryption, body));
    return { body: hidden, end: await this.#tag(head, hidden, word) };
  }

  async open(place: PacketPlace, head: Bytes, sealed: Sealed, word: Bytes): Promise<Bytes | null> {
    const { body: hidden, end: tag } = sealed;
    // The tag first: a flood of forged packets costs no decryption.
    if (!sameBytes(await this.#tag(head, hidden, word), tag)) return null;
    return hidden.length === 0 ? hidden : new Uint8Array(await subtle.decrypt(this.#counter(place), this.#encryption, hidden));
  }

  async #tag(head: Bytes, hidden: Bytes, word: Bytes): Promise<Bytes> {
    const size = head.length + hidden.length + word.length;
    if (size > this.#input.length) this.#input = new Uint8Array(2 * size);
    this.#input.set(head);
    this.#input.set(hidden, head.length);
    this.#input.set(word, head.length + hidden.length);
    // WebCrypto has a copy of its own when `sign` returns (W3C Web Cryptography section 14.3.3), so the next packet can use this memory.
    const whole = await subtle.sign("HMAC", this.#signing, this.#input.subarray(0, size));
    return new Uint8Array(whole, 0, CM_TAG_SIZE);
  }

  /** IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16) (RFC 3711 section 4.1.1); the last 16 bits count blocks. */
  #counter({ ssrc, index }: PacketPlace): AesCtrParams {
    return { name: "AES-CTR", counter: mixed(this.#salt, 16, 4, ssrc, 8, index), length: 16 };
  }
}

class Gcm implements PacketCipher {
  readonly tagWithBody = GCM_TAG_SIZE;
  readonly tagAtEnd = 0;
  readonly #kind: "rtp" | "rtcp";
  readonly #key: CryptoKey;
  readonly #salt: Bytes;

  constructor(kind: "rtp" | "rtcp", key: CryptoKey, salt: Bytes) {
    this.#kind = kind;
    this.#key = key;
    this.#salt = salt;
  }

  async seal(place: PacketPlace, head: Bytes, body: Bytes, word: Bytes): Promise<Sealed> {
    return { body: new Uint8Array(await subtle.encrypt(this.#parameters(place, head, word), this.#key, body)), end: NOTHING };
  }

  async open(place: PacketPlace, head: Bytes, sealed: Sealed, word: Bytes): Promise<Bytes | null> {
    const opened = await unlessInvalid(subtle.decrypt(this.#parameters(place, head, word), this.#key, sealed.body));
    return opened === null ? null : new Uint8Array(opened);
  }

  /** IV = (00 00 || SSRC || ROC || SEQ) XOR salt, of RTCP (00 00 || SSRC || 00 00 || index) XOR salt (RFC 7714 sections 8.1, 9.1). */
  #parameters({ ssrc, index }: PacketPlace, head: Bytes, word: Bytes): AesGcmParams {
    // The rollover counter is in the IV already.
    const additionalData = this.#kind === "rtp" ? head : concat(head, word);
    return { name: "AES-GCM", iv: mixed(this.#salt, 12, 2, ssrc, 6, index), additionalData, tagLength: 8 * GCM_TAG_SIZE };
  }
}

/**
 * `size` bytes that start with the salt, XORed with the SSRC (32 bits) and the index (48 bits) at their places. Byte by byte, because
 * a DataView takes a small array off V8's heap, which costs more than this loop.
 */
function mixed(salt: Bytes, size: number, ssrcPlace: number, ssrc: number, indexPlace: number, index: number): Bytes {
  const bytes = new Uint8Array(size);
  for (let place = 0; place < salt.length; place += 1) bytes[place] = salt[place]!;
  for (let byte = 0; byte < 4; byte += 1) bytes[ssrcPlace + byte]! ^= ssrc >>> (24 - 8 * byte);
  const high = Math.floor(index / 2 ** 32);
  bytes[indexPlace]! ^= high >>> 8;
  bytes[indexPlace + 1]! ^= high;
  for (let byte = 0; byte < 4; byte += 1) bytes[indexPlace + 2 + byte]! ^= index % 2 ** 32 >>> (24 - 8 * byte);
  return bytes;
}
