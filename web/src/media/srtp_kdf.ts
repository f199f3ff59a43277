/** SRTP's protection profiles, and session keys from a master key (RFC 3711 section 4.3, RFC 7714 section 11). */
import { Failure } from "../failure.js";
import type { Bytes } from "../worker/crypto_keys.js";
import { cmCipher, gcmCipher, type PacketCipher } from "./srtp_cipher.js";

const { subtle } = crypto;

/** Sizes in bytes. */
export interface SrtpProfile {
  /** As DTLS-SRTP numbers it (RFC 5764 section 4.1.2, RFC 7714 section 14.2). */
  readonly number: number;
  readonly name: string;
  readonly cipher: "AES-CM" | "AES-GCM";
  readonly keySize: number;
  readonly saltSize: number;
  readonly tagSize: number;
}

/** By number; srtp.py has the same. */
export const SRTP_PROFILES: ReadonlyMap<number, SrtpProfile> = new Map(
  (
    [
      { number: 0x0001, name: "SRTP_AES128_CM_HMAC_SHA1_80", cipher: "AES-CM", keySize: 16, saltSize: 14, tagSize: 10 },
      { number: 0x0007, name: "SRTP_AEAD_AES_128_GCM", cipher: "AES-GCM", keySize: 16, saltSize: 12, tagSize: 16 },
      { number: 0x0008, name: "SRTP_AEAD_AES_256_GCM", cipher: "AES-GCM", keySize: 32, saltSize: 12, tagSize: 16 },
    ] as const satisfies SrtpProfile[]
  ).map((profile) => [profile.number, profile]),
);

/** Labels of RFC 3711 section 4.3.1. */
export const LABELS = {
  rtp: { encryption: 0x00, authentication: 0x01, salt: 0x02 },
  rtcp: { encryption: 0x03, authentication: 0x04, salt: 0x05 },
} as const;
const AUTHENTICATION_KEY_SIZE = 20;
const LABEL_PLACE = 7; // in the 14 bytes of `x`: the label, then six bytes of index / key derivation rate, which is zero here
const MKI_SIZE = 2;

/** Packets that one master key may protect (RFC 3711 section 9.2, RFC 7714 section 12). */
export const PACKET_LIMITS = { rtp: 2 ** 48, rtcp: 2 ** 31 } as const;
export type PacketLimits = Record<keyof typeof PACKET_LIMITS, number>;

/** A master key as `SessionKeys.derive` takes it; nobody can export it. These bytes of it can be wiped at once. */
export const importMasterKey = (bytes: Bytes): Promise<CryptoKey> => subtle.importKey("raw", bytes, "AES-CTR", false, ["encrypt"]);

/** The key derivation function over AES in counter mode, of the master key's size (RFC 3711 section 4.3.3, RFC 6188 section 3). */
export class KeyDerivation {
  readonly #key: CryptoKey;
  readonly #salt: Bytes;

  /** Salts of 12 bytes stand at the left of 14 (RFC 7714 section 11). */
  constructor(masterKey: CryptoKey, masterSalt: Bytes) {
    this.#key = masterKey;
    this.#salt = masterSalt;
  }

  async derive(label: number, size: number): Promise<Bytes> {
    const counter = new Uint8Array(16);
    counter.set(this.#salt);
    counter[LABEL_PLACE]! ^= label;
    return new Uint8Array(await subtle.encrypt({ name: "AES-CTR", counter, length: 16 }, this.#key, new Uint8Array(size)));
  }
}

/** What one sender protects with in one epoch: session keys, not extractable, and how many packets they protected here. */
export class SessionKeys {
  readonly profile: SrtpProfile;
  /** The master key identifier, two bytes; packets carry it where both ends agreed to. */
  readonly mki: Bytes;
  readonly rtp: PacketCipher;
  readonly rtcp: PacketCipher;
  readonly #limits: PacketLimits;
  readonly #spent: PacketLimits = { rtp: 0, rtcp: 0 };

  private constructor(profile: SrtpProfile, mki: Bytes, rtp: PacketCipher, rtcp: PacketCipher, limits: PacketLimits) {
    this.profile = profile;
    this.mki = mki;
    this.rtp = rtp;
    this.rtcp = rtcp;
    this.#limits = limits;
  }

  /**
   * Derives all session keys. The key is of `importMasterKey`, key and salt have the profile's sizes; `limits` can only lower
   * PACKET_LIMITS.
   * Rejects with `Failure` "bad-argument".
   */
  static async derive(
    profile: SrtpProfile,
    masterKey: CryptoKey,
    masterSalt: Bytes,
    mki: Bytes = new Uint8Array(MKI_SIZE),
    limits: PacketLimits = PACKET_LIMITS,
  ): Promise<SessionKeys> {
    expectSize("master key", (masterKey.algorithm as AesKeyAlgorithm).length / 8, profile.keySize);
    expectSize("master salt", masterSalt.length, profile.saltSize);
    expectSize("mki", mki.length, MKI_SIZE);
    const derivation = new KeyDerivation(masterKey, masterSalt);
    const cipher = async (kind: "rtp" | "rtcp"): Promise<PacketCipher> => {
      const labels = LABELS[kind];
      const [key, authentication, salt] = await Promise.all([
        derivation.derive(labels.encryption, profile.keySize),
        derivation.derive(labels.authentication, AUTHENTICATION_KEY_SIZE),
        derivation.derive(labels.salt, profile.saltSize),
      ]);
      const made = profile.cipher === "AES-GCM" ? gcmCipher(kind, key, salt) : cmCipher(key, authentication, salt);
      return made.finally(() => (key.fill(0), authentication.fill(0)));
    };
    const [rtp, rtcp] = await Promise.all([cipher("rtp"), cipher("rtcp")]);
    const lower = { rtp: Math.min(limits.rtp, PACKET_LIMITS.rtp), rtcp: Math.min(limits.rtcp, PACKET_LIMITS.rtcp) };
    return new SessionKeys(profile, mki, rtp, rtcp, lower);
  }

  /** Takes one packet off the limit; false where none is left: there must be a new master key first. */
  spend(kind: "rtp" | "rtcp"): boolean {
    if (this.#spent[kind] >= this.#limits[kind]) return false;
    this.#spent[kind] += 1;
    return true;
  }
}

function expectSize(what: string, got: number, size: number): void {
  if (got !== size) throw new Failure("bad-argument", `${what}: expected ${size} bytes, got ${got}`);
}
