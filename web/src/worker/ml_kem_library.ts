/** ML-KEM for browsers whose WebCrypto has none: a script of its own (ml-kem.js), fetched only where an experimental identity needs it. */
export { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
