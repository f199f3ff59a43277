/** Raw keys in and out of WebCrypto, which takes private keys in PKCS #8 (RFC 5958) or JWK (RFC 7517) only. */

/** The algorithms of our cipher suites, numbered as host/browser.py numbers them. */
export const ALGORITHMS = {
  1: "X25519",
  2: "P-256",
  3: "ed25519",
  4: "ecdsa_secp256r1_sha256",
  5: "AES-128-GCM",
  6: "CHACHA20-POLY1305",
  7: "MLKEM768-X25519",
} as const;

export type AlgorithmName = (typeof ALGORITHMS)[keyof typeof ALGORITHMS];

/** What importKey and generateKey ask for, and what a private key of it may do. */
export const KEY_KINDS = {
  "X25519": { algorithm: { name: "X25519" }, usages: ["deriveBits"], publicSize: 32 },
  "P-256": { algorithm: { name: "ECDH", namedCurve: "P-256" }, usages: ["deriveBits"], publicSize: 65 },
  "ed25519": { algorithm: { name: "Ed25519" }, usages: ["sign"], publicSize: 32 },
  "ecdsa_secp256r1_sha256": { algorithm: { name: "ECDSA", namedCurve: "P-256" }, usages: ["sign"], publicSize: 65 },
} as const satisfies Record<string, { algorithm: EcKeyImportParams | Algorithm; usages: KeyUsage[]; publicSize: number }>;

export type KeyKind = keyof typeof KEY_KINDS;

const RAW_PRIVATE_SIZE = 32;

const hex = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

// PKCS #8 up to the 32 bytes of the private key (RFC 8410 section 7; RFC 5915 section 3 inside RFC 5958).
const X25519_PREFIX = hex("302e020100300506032b656e04220420");
const ED25519_PREFIX = hex("302e020100300506032b657004220420");
const P256_PREFIX = hex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420");
const P256_MIDDLE = hex("a144034200"); // [1] BIT STRING: the public key
const P256_ALONE_PREFIX = hex("3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420");

/** PKCS #8 of a raw private key. A P-256 key carries its public key when given: not every browser computes it. */
export function pkcs8(kind: KeyKind, raw: Uint8Array, publicKey: Uint8Array | null): Uint8Array<ArrayBuffer> {
  if (raw.length !== RAW_PRIVATE_SIZE) throw new RangeError(`expected a private key of 32 bytes, got ${raw.length}`);
  if (kind === "X25519") return concat(X25519_PREFIX, raw);
  if (kind === "ed25519") return concat(ED25519_PREFIX, raw);
  return publicKey === null ? concat(P256_ALONE_PREFIX, raw) : concat(P256_PREFIX, raw, P256_MIDDLE, publicKey);
}

/** The raw public key in a JWK of an X25519 or P-256 key. */
export function publicOfJwk(jwk: JsonWebKey): Uint8Array<ArrayBuffer> {
  const x = base64url(jwk.x ?? "");
  return jwk.y === undefined ? x : concat(Uint8Array.of(4), x, base64url(jwk.y));
}

function base64url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
}

/** One array of all. */
export function concat(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}
