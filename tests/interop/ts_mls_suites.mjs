// Where ts-mls is, and its cipher suites 1 to 3.

import { createCipheriv, createDecipheriv, webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const [, , modules] = process.argv; // the node_modules folder
const home = path.join(modules, "ts-mls", "dist", "src");
export const part = (name) => import(pathToFileURL(path.join(home, name)).href);
export const hpkeCore = () => import(pathToFileURL(createRequire(path.join(home, "index.js")).resolve("@hpke/core")).href);

export const mls = await part("index.js");
const { getCiphersuiteNameFromId } = await part("crypto/ciphersuite.js");
const { makeGenericHpke } = await part("crypto/implementation/hpke.js");
const { makeDhKem } = await part("crypto/implementation/default/makeDhKem.js");
const { makeKdf } = await part("crypto/implementation/default/makeKdfImpl.js");

const suites = new Map();
export async function suite(number) {
  if (!suites.has(number)) suites.set(number, await makeSuite(number));
  return suites.get(number);
}

/** Has a suite of somebody else's making stand under this number. */
export const offer = (number, made) => suites.set(number, made);

async function makeSuite(number) {
  const description = mls.getCiphersuiteFromName(getCiphersuiteNameFromId(number));
  if (number === 3) {
    const others = await mls.getCiphersuiteImpl({ ...description, hpke: { ...description.hpke, aead: "AES128GCM" } });
    return { ...others, hpke: await chachaHpke(description.hpke) };
  }
  const made = await mls.getCiphersuiteImpl(description);
  return number === 2 ? { ...made, signature: { ...made.signature, keygen: p256Keys } } : made;
}

/** What ts-mls itself takes its suites from. */
export const provider = { getCiphersuiteImpl: ({ name }) => suite(mls.ciphersuites[name]) };

// Not ts-mls: it takes ChaCha20-Poly1305 from @hpke/chacha20poly1305, which the project does not have; Node has it.
async function chachaHpke(description) {
  const name = "chacha20-poly1305";
  const seal = (key, nonce, aad, text) => {
    const cipher = createCipheriv(name, key, nonce, { authTagLength: 16 });
    cipher.setAAD(aad, { plaintextLength: text.length });
    return new Uint8Array(Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]));
  };
  const open = (key, nonce, aad, sealed) => {
    const cipher = createDecipheriv(name, key, nonce, { authTagLength: 16 });
    cipher.setAAD(aad, { plaintextLength: sealed.length - 16 });
    cipher.setAuthTag(sealed.subarray(sealed.length - 16));
    return new Uint8Array(Buffer.concat([cipher.update(sealed.subarray(0, sealed.length - 16)), cipher.final()]));
  };
  const view = (buffer) => new Uint8Array(buffer);
  const whole = (array) => array.buffer.slice(array.byteOffset, array.byteOffset + array.byteLength);
  const aead = {
    id: 0x0003, keySize: 32, nonceSize: 12, tagSize: 16,
    createEncryptionContext: (key) => ({
      seal: async (nonce, text, aad) => whole(seal(view(key), view(nonce), view(aad), view(text))),
      open: async (nonce, text, aad) => whole(open(view(key), view(nonce), view(aad), view(text))),
    }),
  };
  const { CipherSuite } = await hpkeCore();
  const hpkeSuite = new CipherSuite({ kem: await makeDhKem(description.kem), kdf: makeKdf(description.kdf), aead });
  const raw = {
    encrypt: async (key, nonce, aad, text) => seal(key, nonce, aad, text),
    decrypt: async (key, nonce, aad, text) => open(key, nonce, aad, text),
  };
  return makeGenericHpke(description, raw, hpkeSuite);
}

// Not ts-mls: its own P-256 keygen answers with compressed points, against RFC 9420 section 5.1.1.
const p256Keys = async () => {
  const pair = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const publicKey = new Uint8Array(await webcrypto.subtle.exportKey("raw", pair.publicKey));
  const { d } = await webcrypto.subtle.exportKey("jwk", pair.privateKey);
  return { signKey: new Uint8Array(Buffer.from(d, "base64url")), publicKey };
};
