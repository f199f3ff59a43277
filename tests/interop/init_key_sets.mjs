// Init-key sets (web/docs/other-clients.md): the draft's UserInitKey as the signed index of MLS KeyPackages.

import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

import { opaque, Reader, uint, vector } from "./presentation.mjs";

const ED25519 = 0x0807;
const ECDSA_P256 = 0x0403;
// MLS's suite numbers and the draft's differ for P-256 alone.
const toDraft = (suite) => (suite === 2 ? 0 : suite);
const fromDraft = (suite) => (suite === 0 ? 2 : suite);
export const ROOMKEY_CLIENT = 0xf0c1;

const sha256 = (data) => createHash("sha256").update(data).digest();

/** A client's credential key. `secret`: PKCS #8 for Ed25519, the scalar for P-256; `raw`: as MLS has it. */
export class CredentialKey {
  constructor(identity, raw, secret) {
    this.identity = Buffer.from(identity);
    this.raw = Buffer.from(raw);
    this.algorithm = raw.length === 32 ? ED25519 : ECDSA_P256;
    this.key =
      this.algorithm === ED25519
        ? createPrivateKey({ key: Buffer.from(secret), format: "der", type: "pkcs8" })
        : createPrivateKey({ key: { ...jwk(this.raw), d: Buffer.from(secret).toString("base64url") }, format: "jwk" });
  }

  /** SHA-256 of the public key. */
  get client() {
    return sha256(this.raw);
  }

  /** The draft's Credential. */
  get credential() {
    return credential(this);
  }

  /** ECDSA in DER, or as r||s. */
  sign(data, dsaEncoding = "der") {
    return this.algorithm === ED25519 ? sign(null, data, this.key) : sign("sha256", data, { key: this.key, dsaEncoding });
  }

  /** The leaf extension by which this credential vouches for a leaf's key of another signature scheme. */
  vouch(leafKey) {
    const content = Buffer.concat([vector(Buffer.from("MLS 1.0 RoomkeyClient")), vector(leafKey)]);
    return Buffer.concat([this.credential, vector(this.sign(content))]);
  }
}

/** struct { UserInitKey user_init_key; KeyPackage key_packages<V>; } InitKeySet; packages: [{suite, initKey, bytes}] */
export function initKeySet(key, packages) {
  const list = vector(Buffer.concat(packages.map(({ bytes }) => bytes)));
  const body = Buffer.concat([
    opaque(1, sha256(list)),
    opaque(1, Buffer.concat(packages.map(({ suite }) => uint(2, toDraft(suite))))),
    opaque(2, Buffer.concat(packages.map(({ initKey }) => opaque(2, initKey)))),
    key.credential,
  ]);
  return Buffer.concat([body, opaque(2, key.sign(body)), list]);
}

/** struct { opaque identity<0..2^16-1>; CipherSuite supported_suites<0..255>; } GetUserInitKeyRequest; */
export const request = (identity, suites) =>
  Buffer.concat([
    opaque(2, Buffer.from(identity)),
    opaque(1, Buffer.concat(suites.map((suite) => uint(2, toDraft(suite))))),
  ]);

/** The sets of `InitKeySetBundle bundles<V>`, each proved by its signature and index. */
export function readBundles(data, decodeKeyPackage, asked) {
  const whole = new Reader(data);
  const bundles = new Reader(whole.vector());
  if (!whole.done) throw new Error("expected nothing after the bundles");
  return bundles.all((reader) => readBundle(reader, decodeKeyPackage, asked));
}

function readBundle(reader, decodeKeyPackage, asked) {
  const identity = reader.opaque(2);
  const id = reader.opaque(1);
  const suites = new Reader(reader.opaque(1)).all((item) => fromDraft(Number(item.uint(2))));
  const initKeys = new Reader(reader.opaque(2)).all((item) => item.opaque(2));
  const owner = readCredential(reader);
  const signature = reader.opaque(2);
  const list = reader.vector();
  const packages = new Reader(list).all((item) => item.foreign(decodeKeyPackage));

  const signed = Buffer.concat([
    opaque(1, id), opaque(1, Buffer.concat(suites.map((suite) => uint(2, toDraft(suite))))),
    opaque(2, Buffer.concat(initKeys.map((key) => opaque(2, key)))), credential(owner),
  ]);
  expect(asked.includes(identity.toString()) && identity.equals(owner.identity), "the identity asked for");
  expect(verified(owner, signed, signature), "a signature by the credential's key");
  expect(id.equals(sha256(vector(list))), "the id of these key packages");
  expect(packages.length === suites.length && suites.length === initKeys.length, "as many packages as suites");
  packages.forEach(({ value: { initKey, leafNode } }, i) => {
    expect(initKeys[i].equals(initKey), "the init key of the index");
    expect(owner.identity.equals(leafNode.credential.identity), "the identity of the index");
  });
  return { identity: identity.toString(), client: sha256(owner.raw), suites, packages };
}

/** Who a leaf says it is: identity, and client by the credential's key or by the leaf's own. */
export function claimedBy({ credential: { identity }, signaturePublicKey, extensions }) {
  const vouch = extensions.find(({ extensionType }) => extensionType === ROOMKEY_CLIENT);
  const raw = vouch === undefined ? signaturePublicKey : readCredential(new Reader(vouch.extensionData)).raw;
  return { identity: Buffer.from(identity).toString(), client: sha256(raw) };
}

function readCredential(reader) {
  if (reader.uint(1) !== 0n) throw new Error("expected a basic credential");
  return { identity: reader.opaque(2), algorithm: Number(reader.uint(2)), raw: reader.opaque(2) };
}

const credential = ({ identity, algorithm, raw }) =>
  Buffer.concat([uint(1, 0), opaque(2, identity), uint(2, algorithm), opaque(2, raw)]);

function verified({ algorithm, raw }, data, signature) {
  const key = createPublicKey({ key: jwk(raw), format: "jwk" });
  return verify(algorithm === ED25519 ? null : "sha256", data, key, signature);
}

function jwk(raw) {
  const part = (from, to) => raw.subarray(from, to).toString("base64url");
  return raw.length === 32
    ? { kty: "OKP", crv: "Ed25519", x: part(0, 32) }
    : { kty: "EC", crv: "P-256", x: part(1, 33), y: part(33, 65) };
}

function expect(held, what) {
  if (!held) throw new Error(`expected ${what}`);
}
