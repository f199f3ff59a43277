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

export interface PacketPlace {
  readonly ssrc: number;
  readonly index: number;
}

export interface PacketCipher {
  readonly tagSize: number;
  /** Whether the tag is the packet's very end, after MKI and RTCP's word (RFC 3711), or stands with the body (RFC 7714). */
  readonly tagPlace: "end" | "body";
  /** The hidden body, then the tag. */
  seal(place: PacketPlace, head: Bytes, body: Bytes, word: Bytes): Promise<Bytes>;
  /** The body, or null where the tag does not fit. `sealed` is the hidden body, then the tag. */
  open(place: PacketPlace, head: Bytes, sealed: Bytes, word: Bytes): Promise<Bytes | null>;
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
  readonly tagSize = CM_TAG_SIZE;
  readonly tagPlace = "end";
  readonly #encryption: CryptoKey;
  readonly #signing: CryptoKey;
  readonly #salt: Bytes;

  constructor(encryption: CryptoKey, signing: CryptoKey, salt: Bytes) {
    this.#encryption = encryption;
    this.#signing = signing;
    this.#salt = salt;
  }

  async seal(place: PacketPlace, head: Bytes, body: Bytes, word: Bytes): Promise<Bytes> {
    // RTCP with E = 0 has nothing to hide
    const hidden = body.length === 0 ? body : new Uint8Array(await subtle.encrypt(this.#counter(place), this.#encryption, body));
    return concat(hidden, await this.#tag(head, hidden, word));
  }

  async open(place: PacketPlace, head: Bytes, sealed: Bytes, word: Bytes): Promise<Bytes | null> {
    const hidden = sealed.subarray(0, sealed.length - CM_TAG_SIZE);
    // The tag first: a flood of forged packets costs no decryption.
    if (!sameBytes(await this.#tag(head, hidden, word), sealed.subarray(hidden.length))) return null;
    return hidden.length === 0 ? hidden : new Uint8Array(await subtle.decrypt(this.#counter(place), this.#encryption, hidden));
  }

  async #tag(head: Bytes, hidden: Bytes, word: Bytes): Promise<Bytes> {
    const whole = await subtle.sign("HMAC", this.#signing, concat(head, hidden, word));
    return new Uint8Array(whole, 0, CM_TAG_SIZE);
  }

  /** IV = (k_s * 2^16) XOR (SSRC * 2^64) XOR (i * 2^16) (RFC 3711 section 4.1.1); the last 16 bits count blocks. */
  #counter({ ssrc, index }: PacketPlace): AesCtrParams {
    return { name: "AES-CTR", counter: mixed(this.#salt, 16, 4, ssrc, 8, index), length: 16 };
  }
}

class Gcm implements PacketCipher {
  readonly tagSize = GCM_TAG_SIZE;
  readonly tagPlace = "body";
  readonly #kind: "rtp" | "rtcp";
  readonly #key: CryptoKey;
  readonly #salt: Bytes;

  constructor(kind: "rtp" | "rtcp", key: CryptoKey, salt: Bytes) {
    this.#kind = kind;
    this.#key = key;
    this.#salt = salt;
  }

  async seal(place: PacketPlace, head: Bytes, body: Bytes, word: Bytes): Promise<Bytes> {
    return new Uint8Array(await subtle.encrypt(this.#parameters(place, head, word), this.#key, body));
  }

  async open(place: PacketPlace, head: Bytes, sealed: Bytes, word: Bytes): Promise<Bytes | null> {
    const opened = await unlessInvalid(subtle.decrypt(this.#parameters(place, head, word), this.#key, sealed));
    return opened === null ? null : new Uint8Array(opened);
  }

  /** IV = (00 00 || SSRC || ROC || SEQ) XOR salt, of RTCP (00 00 || SSRC || 00 00 || index) XOR salt (RFC 7714 sections 8.1, 9.1). */
  #parameters({ ssrc, index }: PacketPlace, head: Bytes, word: Bytes): AesGcmParams {
    // The rollover counter is in the IV already.
    const additionalData = this.#kind === "rtp" ? head : concat(head, word);
    return { name: "AES-GCM", iv: mixed(this.#salt, 12, 2, ssrc, 6, index), additionalData, tagLength: 8 * GCM_TAG_SIZE };
  }
}

/** `size` bytes that start with the salt, XORed with the SSRC (32 bits) and the index (48 bits) at their places. */
function mixed(salt: Bytes, size: number, ssrcPlace: number, ssrc: number, indexPlace: number, index: number): Bytes {
  const bytes = new Uint8Array(size);
  bytes.set(salt);
  const view = new DataView(bytes.buffer);
  view.setUint32(ssrcPlace, view.getUint32(ssrcPlace) ^ ssrc);
  view.setUint16(indexPlace, view.getUint16(indexPlace) ^ Math.floor(index / 2 ** 32));
  view.setUint32(indexPlace + 2, view.getUint32(indexPlace + 2) ^ index % 2 ** 32);
  return bytes;
}
