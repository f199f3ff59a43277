/** Keys of one algorithm each in WebCrypto: made, imported, exported, and Diffie-Hellman with them. */
import { Failure } from "../failure.js";
import { KEY_KINDS, type KeyKind, pkcs8, publicOfJwk } from "./key_formats.js";

export type Bytes = Uint8Array<ArrayBuffer>;

const { subtle } = crypto;
const SHARED_BITS = 256;

export function generate(kind: KeyKind): Promise<CryptoKeyPair> {
  return subtle.generateKey(KEY_KINDS[kind].algorithm, false, usages(kind)) as Promise<CryptoKeyPair>;
}

/** What a pair of this kind may do: the private half derives or signs, the public half of a signature key verifies. */
function usages(kind: KeyKind): KeyUsage[] {
  return [...KEY_KINDS[kind].usages];
}

export async function exportRaw(key: CryptoKey): Promise<Bytes> {
  return new Uint8Array(await subtle.exportKey("raw", key));
}

export function importPrivate(kind: KeyKind, raw: Bytes, own: Bytes): Promise<CryptoKey> {
  return subtle.importKey("pkcs8", pkcs8(kind, raw, own), KEY_KINDS[kind].algorithm, false, usages(kind));
}

export async function importPublic(kind: KeyKind, raw: Bytes, usages: KeyUsage[]): Promise<CryptoKey | null> {
  if (raw.length !== KEY_KINDS[kind].publicSize) return null; // P-256: compressed points are not RFC 9180's form
  return unlessInvalid(subtle.importKey("raw", raw, KEY_KINDS[kind].algorithm, true, usages));
}

/** The result, or null where WebCrypto says that the data is bad; every other failure goes on up. */
export async function unlessInvalid<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof DOMException && (error.name === "DataError" || error.name === "OperationError")) return null;
    throw error;
  }
}

export async function publicKey(kind: KeyKind, raw: Bytes): Promise<Bytes> {
  const imported = subtle.importKey("pkcs8", pkcs8(kind, raw, null), KEY_KINDS[kind].algorithm, true, usages(kind));
  const key = await unlessInvalid(imported);
  if (key === null) throw new Failure("bad-argument", `expected a ${kind} private key in range`);
  if (kind !== "X25519") return publicOfJwk(await subtle.exportKey("jwk", key));
  const jwk = await unlessInvalid(subtle.exportKey("jwk", key));
  if (jwk !== null) return publicOfJwk(jwk);
  // Firefox before 153 exports no key that was imported: RFC 7748 section 6.1, X25519(a, 9), which elsewhere takes twice as long.
  return new Uint8Array(await subtle.deriveBits({ name: kind, public: await x25519Base() }, key, SHARED_BITS));
}

let base: Promise<CryptoKey> | undefined;

/** The base point, u = 9. */
function x25519Base(): Promise<CryptoKey> {
  base ??= subtle.importKey("raw", Uint8Array.from({ length: 32 }, (_, at) => (at === 0 ? 9 : 0)), "X25519", true, []);
  return base;
}

export async function deriveShared(kind: KeyKind, key: CryptoKey, peer: Bytes): Promise<Bytes | null> {
  const peerKey = await importPublic(kind, peer, []);
  if (peerKey === null) return null;
  const name = KEY_KINDS[kind].algorithm.name;
  const shared = await unlessInvalid(subtle.deriveBits({ name, public: peerKey }, key, SHARED_BITS));
  if (shared === null) return null;
  const bytes = new Uint8Array(shared);
  // X25519 alone (RFC 7748 section 6.1; WebCrypto refuses it already, older browsers let it pass): P-256 has a good point with x = 0.
  return kind === "X25519" && bytes.every((byte) => byte === 0) ? null : bytes;
}

export async function ephemeralDh(kind: KeyKind, peer: Bytes): Promise<[Bytes, Bytes] | [null, null]> {
  const pair = await generate(kind);
  const [own, shared] = await Promise.all([exportRaw(pair.publicKey), deriveShared(kind, pair.privateKey, peer)]);
  return shared === null ? [null, null] : [own, shared];
}
