/** The page of the admission of public keys: ours in its worker, and the same questions to @noble/curves here. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { inWorker } from "./in_worker.js";
import { type KeyChecks, KEYS, measureKeyChecks, type Times } from "./scenario.js";

/** Prime order by scalar multiplication; it remembers nothing, and asks nothing of X25519 keys. */
function noble(): KeyChecks {
  let edwards: Uint8Array[] = [];
  let nist: Uint8Array[] = [];
  const primeOrder = async () => {
    for (const key of edwards) {
      const point = ed25519.Point.fromBytes(key);
      if (point.is0() || !point.isTorsionFree()) throw new Error("expected a key of prime order");
    }
  };
  return {
    prepare: async () => {
      edwards = Array.from({ length: KEYS }, () => ed25519.keygen().publicKey);
      nist = Array.from({ length: KEYS }, () => p256.getPublicKey(p256.utils.randomSecretKey(), false));
    },
    "ed25519_together": primeOrder,
    "ed25519_single": primeOrder,
    "p256_keys": async () => {
      for (const key of nist) p256.Point.fromBytes(key).assertValidity();
    },
  };
}

const ours = inWorker("/bench/worker.js");
const peer = noble();

/** Milliseconds by step of one round of "roomkey" or "@noble/curves". */
const measure = (name: string): Promise<Times> => (name === "roomkey" ? ours("admission") : measureKeyChecks(peer));

Object.assign(globalThis, { measure });
