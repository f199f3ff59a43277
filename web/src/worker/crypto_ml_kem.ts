/**
 * ML-KEM-768 (FIPS 203): WebCrypto's where the browser has it (WICG, Modern Algorithms in WebCrypto), else that of the library which
 * the worker offers, fetched when first used. A private key is a CryptoKey of WebCrypto's, or a seed of 64 bytes: the library can keep
 * no key from JavaScript, and the protocol derives some.
 */
import { type Bytes, unlessInvalid } from "./crypto_keys.js";

export const PUBLIC_BYTES = 1184;
export const CIPHERTEXT_BYTES = 1088;
export const SEED_BYTES = 64;

export interface Encapsulated {
  readonly ciphertext: Bytes;
  readonly secret: Bytes;
}

export interface MlKem {
  /** A fresh pair; the private key is a seed only where it must be. */
  generate(): Promise<{ readonly publicKey: Bytes; readonly privateKey: CryptoKey | Bytes }>;
  publicKey(seed: Bytes): Promise<Bytes>;
  /** Null for a key of another length, or with a coefficient of q or more (FIPS 203 section 7.2). */
  encapsulate(publicKey: Bytes): Promise<Encapsulated | null>;
  /** Null for a ciphertext of another length; any other gives a secret (implicit rejection). */
  decapsulate(privateKey: CryptoKey | Bytes, ciphertext: Bytes): Promise<Bytes | null>;
}

/** What we use of `ml_kem768` of @noble/post-quantum (worker/ml_kem_library.ts). */
export interface MlKemLibrary {
  keygen(seed: Uint8Array): { publicKey: Uint8Array; secretKey: Uint8Array };
  encapsulate(publicKey: Uint8Array): { cipherText: Uint8Array; sharedSecret: Uint8Array };
  decapsulate(cipherText: Uint8Array, secretKey: Uint8Array): Uint8Array;
}

type Load = () => Promise<MlKemLibrary>;

let offered: Load | undefined;
let chosen: Promise<MlKem> | undefined;

/** Says where the library comes from; before `hasMlKem` is asked. */
export function offerLibrary(load: Load): void {
  offered = load;
}

/** Whether there is any ML-KEM-768 here. Loads nothing. */
export async function hasMlKem(): Promise<boolean> {
  return offered !== undefined || (await works(webCrypto));
}

/** The ML-KEM of this browser. Rejects as the library's loading does; the next call tries again. */
export function mlKem(): Promise<MlKem> {
  chosen ??= choose().catch((error: unknown) => {
    chosen = undefined;
    throw error;
  });
  return chosen;
}

async function choose(): Promise<MlKem> {
  return offered === undefined || (await works(webCrypto)) ? webCrypto : ofLibrary(await offered());
}

/** Whether all four operations are there, tried with a key of each kind. */
async function works(candidate: MlKem): Promise<boolean> {
  try {
    const { publicKey, privateKey } = await candidate.generate();
    const made = await candidate.encapsulate(publicKey);
    await candidate.publicKey(new Uint8Array(SEED_BYTES));
    return made !== null && (await candidate.decapsulate(privateKey, made.ciphertext)) !== null;
  } catch {
    return false; // the answer to the question, whatever the reason
  }
}

type Format = "raw-seed" | "raw-public";

/** What TypeScript's SubtleCrypto does not list yet. */
interface ModernSubtle {
  importKey(format: Format, data: Bytes, algorithm: Algorithm, extractable: boolean, usages: string[]): Promise<CryptoKey>;
  generateKey(algorithm: Algorithm, extractable: boolean, usages: string[]): Promise<CryptoKeyPair>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  getPublicKey(key: CryptoKey, usages: string[]): Promise<CryptoKey>;
  encapsulateBits(algorithm: Algorithm, key: CryptoKey): Promise<{ sharedKey: ArrayBuffer; ciphertext: ArrayBuffer }>;
  decapsulateBits(algorithm: Algorithm, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

const subtle = crypto.subtle as unknown as ModernSubtle;
const ALGORITHM = { name: "ML-KEM-768" };

const fromSeed = (seed: Bytes): Promise<CryptoKey> => subtle.importKey("raw-seed", seed, ALGORITHM, false, ["decapsulateBits"]);
const exported = async (key: CryptoKey): Promise<Bytes> => new Uint8Array(await subtle.exportKey("raw-public", key));

const webCrypto: MlKem = {
  async generate() {
    const { publicKey, privateKey } = await subtle.generateKey(ALGORITHM, false, ["encapsulateBits", "decapsulateBits"]);
    return { publicKey: await exported(publicKey), privateKey };
  },
  async publicKey(seed) {
    return exported(await subtle.getPublicKey(await fromSeed(seed), ["encapsulateBits"]));
  },
  async encapsulate(publicKey) {
    const key = await unlessInvalid(subtle.importKey("raw-public", publicKey, ALGORITHM, true, ["encapsulateBits"]));
    const made = key === null ? null : await unlessInvalid(subtle.encapsulateBits(ALGORITHM, key));
    return made === null ? null : { ciphertext: new Uint8Array(made.ciphertext), secret: new Uint8Array(made.sharedKey) };
  },
  async decapsulate(privateKey, ciphertext) {
    const key = privateKey instanceof CryptoKey ? privateKey : await fromSeed(privateKey);
    const secret = await unlessInvalid(subtle.decapsulateBits(ALGORITHM, key, ciphertext));
    return secret === null ? null : new Uint8Array(secret);
  },
};

function ofLibrary(library: MlKemLibrary): MlKem {
  return {
    async generate() {
      const seed = crypto.getRandomValues(new Uint8Array(SEED_BYTES));
      return { publicKey: await this.publicKey(seed), privateKey: seed };
    },
    async publicKey(seed) {
      const { publicKey, secretKey } = library.keygen(seed);
      secretKey.fill(0);
      return publicKey as Bytes;
    },
    async encapsulate(publicKey) {
      if (publicKey.length !== PUBLIC_BYTES || !isReduced(publicKey)) return null;
      const { cipherText, sharedSecret } = library.encapsulate(publicKey);
      return { ciphertext: cipherText as Bytes, secret: sharedSecret as Bytes };
    },
    async decapsulate(privateKey, ciphertext) {
      if (privateKey instanceof CryptoKey) throw new TypeError("expected a seed: WebCrypto has no ML-KEM here");
      if (ciphertext.length !== CIPHERTEXT_BYTES) return null;
      const { secretKey } = library.keygen(privateKey);
      const secret = library.decapsulate(ciphertext, secretKey);
      secretKey.fill(0);
      return secret as Bytes;
    },
  };
}

/** The modulus check, which the library makes too, but by an error that looks like any other. */
function isReduced(publicKey: Bytes): boolean {
  const byte = (index: number): number => publicKey[index] ?? 0;
  for (let at = 0; at < PUBLIC_BYTES - 32; at += 3) {
    if ((byte(at) | ((byte(at + 1) & 15) << 8)) >= 3329 || ((byte(at + 1) >> 4) | (byte(at + 2) << 4)) >= 3329) return false;
  }
  return true;
}
