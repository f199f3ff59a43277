// ts-mls 1.6.4 in the post-quantum suite of draft-ietf-mls-pq-ciphersuites, behind the same JSON lines as without.
//
// Not ts-mls: it has X-Wing suites with SHA-512 and AES-256 only, none that the draft has. Its engine takes any suite that it is handed:
// this one is suite 1 with another KEM, which is put together here from @hpke/core and the X-Wing of @noble/post-quantum.

import { createHash, randomBytes } from "node:crypto";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { hpkeCore, mls, modules, offer, part, suite } from "./ts_mls_suites.mjs";

const NUMBER = 0xf0c1;
const NAME = "MLS_128_MLKEM768X25519_AES128GCM_SHA256_Ed25519";
const SEED_SIZE = 32;

const { ml_kem768_x25519: xWing } = await import(pathToFileURL(path.join(modules, "@noble/post-quantum/hybrid.js")).href);
const { makeGenericHpke } = await part("crypto/implementation/hpke.js");
const { Aes128Gcm, CipherSuite, HkdfSha256 } = await hpkeCore();

const view = (data) => new Uint8Array(data);
const whole = (array) => array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength);
const pair = (seed) => ({ privateKey: { raw: seed }, publicKey: { raw: xWing.keygen(seed).publicKey } });
const of = (size) => async (data) => {
  if (data.byteLength !== size) throw new Error(`expected ${size} bytes, got ${data.byteLength}`);
  return { raw: view(data) };
};

// draft-ietf-hpke-pq section 4, number 0x647a. Keys are what WebCrypto's would be to another KEM.
const kem = {
  id: 0x647a, secretSize: 32, encSize: 1120, publicKeySize: 1216, privateKeySize: SEED_SIZE,
  init: () => undefined,
  serializePublicKey: async ({ raw }) => whole(raw),
  serializePrivateKey: async ({ raw }) => whole(raw),
  deserializePublicKey: of(1216),
  deserializePrivateKey: of(SEED_SIZE),
  generateKeyPair: async () => pair(view(randomBytes(SEED_SIZE))),
  async deriveKeyPair(ikm) {
    const label = Buffer.from("DeriveKeyPair");
    const parts = [view(ikm), Buffer.from("HPKE-v1KEM\x64\x7a"), Uint8Array.of(0, label.length), label, Uint8Array.of(0, SEED_SIZE)];
    return pair(view(createHash("shake256", { outputLength: SEED_SIZE }).update(Buffer.concat(parts)).digest()));
  },
  async encap({ recipientPublicKey }) {
    const { cipherText, sharedSecret } = xWing.encapsulate(recipientPublicKey.raw);
    return { enc: whole(cipherText), sharedSecret: whole(sharedSecret) };
  },
  async decap({ recipientKey, enc }) {
    const { raw } = recipientKey.privateKey ?? recipientKey;
    return whole(xWing.decapsulate(view(enc), raw));
  },
};

const first = await suite(1);
const sealing = {
  encrypt: (key, nonce, aad, text) => first.hpke.encryptAead(key, nonce, aad, text),
  decrypt: (key, nonce, aad, text) => first.hpke.decryptAead(key, nonce, aad, text),
};
const hpke = await makeGenericHpke({ kem: NAME }, sealing, new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes128Gcm() }));
mls.ciphersuites[NAME] = NUMBER; // what it reads and writes, and lists among its clients' capabilities
offer(NUMBER, { ...first, name: NAME, hpke });

await import("./ts_mls_peer.mjs");
