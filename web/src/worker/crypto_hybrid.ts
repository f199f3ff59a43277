/**
 * MLKEM768-X25519, as host/browser.py asks for it: public keys, private keys and secrets are ML-KEM's and X25519's one after the other
 * (crypto/hybrid_kem.py has the table, and makes one KEM of them).
 */
import { Failure } from "../failure.js";
import * as keys from "./crypto_keys.js";
import type { Bytes } from "./crypto_keys.js";
import { CIPHERTEXT_BYTES, mlKem, PUBLIC_BYTES, SEED_BYTES } from "./crypto_ml_kem.js";
import { concat } from "./key_formats.js";

/** Both private halves. ML-KEM's is a seed, readable, only where WebCrypto has no ML-KEM. */
export interface HybridKey {
  readonly mlKem: CryptoKey | Bytes;
  readonly x25519: CryptoKey;
}

/** A private key that is held here. */
export type HeldKey = CryptoKey | HybridKey;

export const isHybrid = (key: HeldKey): key is HybridKey => !(key instanceof CryptoKey);

const X25519_BYTES = 32;
const PRIVATE_BYTES = SEED_BYTES + X25519_BYTES;

export async function generate(): Promise<{ publicKey: Bytes; privateKey: HybridKey }> {
  const [first, second] = await Promise.all([(await mlKem()).generate(), keys.generate("X25519")]);
  const publicKey = concat(first.publicKey, await keys.exportRaw(second.publicKey));
  return { publicKey, privateKey: { mlKem: first.privateKey, x25519: second.privateKey } };
}

/** A raw private key of 96 bytes. */
export async function importPrivate(raw: Bytes): Promise<HybridKey> {
  return { mlKem: seedOf(raw), x25519: await keys.importPrivate("X25519", raw.subarray(SEED_BYTES), new Uint8Array()) };
}

export async function publicKey(raw: Bytes): Promise<Bytes> {
  const seed = seedOf(raw);
  const halves = [(await mlKem()).publicKey(seed), keys.publicKey("X25519", raw.subarray(SEED_BYTES))];
  return concat(...(await Promise.all(halves)));
}

/** [ciphertext and ephemeral key, both secrets], or nulls for a key that is not valid. */
export async function encapsulate(peer: Bytes): Promise<[Bytes, Bytes] | [null, null]> {
  if (peer.length !== PUBLIC_BYTES + X25519_BYTES) return [null, null];
  const kem = await mlKem();
  const halves = [kem.encapsulate(peer.slice(0, PUBLIC_BYTES)), keys.ephemeralDh("X25519", peer.slice(PUBLIC_BYTES))] as const;
  const [made, [ephemeral, shared]] = await Promise.all(halves);
  return made === null || shared === null ? [null, null] : [concat(made.ciphertext, ephemeral), concat(made.secret, shared)];
}

/** Both secrets, or null for an `enc` of another length or an all-zero Diffie-Hellman. */
export async function decapsulate(key: HybridKey, enc: Bytes): Promise<Bytes | null> {
  if (enc.length !== CIPHERTEXT_BYTES + X25519_BYTES) return null;
  const kem = await mlKem();
  const halves = [
    kem.decapsulate(key.mlKem, enc.slice(0, CIPHERTEXT_BYTES)),
    keys.deriveShared("X25519", key.x25519, enc.slice(CIPHERTEXT_BYTES)),
  ];
  const [secret, shared] = await Promise.all(halves);
  return secret == null || shared == null ? null : concat(secret, shared);
}

function seedOf(raw: Bytes): Bytes {
  if (raw.length !== PRIVATE_BYTES) {
    throw new Failure("bad-argument", `expected a private key of ${PRIVATE_BYTES} bytes, got ${raw.length}`);
  }
  return raw.slice(0, SEED_BYTES);
}
