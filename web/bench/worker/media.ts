// Packets and frames a second: ours, and WebCrypto alone with the same algorithm, sizes and keys.

import { FrameReceiver, FrameSender, sframeEpoch } from "../../src/media/sframe.js";
import { SFRAME_SUITES } from "../../src/media/sframe_suites.js";
import { encodeRtp } from "../../src/media/rtp_packet.js";
import { importMasterKey, SessionKeys, SRTP_PROFILES } from "../../src/media/srtp_kdf.js";
import { SrtpReceiver } from "../../src/media/srtp_receiver.js";
import { SrtpSender } from "../../src/media/srtp_sender.js";

const { subtle } = crypto;
type Bytes = Uint8Array<ArrayBuffer>;
/** Milliseconds for `count` of each. */
export type Times = Record<"protect" | "unprotect", number>;

const SSRC = 0x1234;
const HEADER = 12;

/** One at a time, by its number. */
interface Way<T> {
  seal(at: number): Promise<T>;
  open(sealed: T, at: number): Promise<unknown>;
}

/** What is kept at a time: a call keeps no frames, and megabytes of them would measure how fast fresh memory comes. */
const KEPT = 50;
/** Of one way before the other's turn: enough that each pays for its own garbage, few enough that a busy moment meets both. */
const TURN = 500;

/** `count` protected and unprotected, one after the other, ours and WebCrypto alone in turn. */
async function beside<O, A>(count: number, ours: Way<O>, alone: Way<A>): Promise<{ ours: Times; alone: Times }> {
  const times = { ours: { protect: 0, unprotect: 0 }, alone: { protect: 0, unprotect: 0 } };
  for (let first = 0; first < count; first += TURN) {
    for (let at = first; at < first + TURN; at += KEPT) await some(at, ours, times.ours);
    for (let at = first; at < first + TURN; at += KEPT) await some(at, alone, times.alone);
  }
  return times;
}

async function some<T>(first: number, { seal, open }: Way<T>, times: Times): Promise<void> {
  const sealed: T[] = [];
  const begin = performance.now();
  for (let at = first; at < first + KEPT; at += 1) sealed.push(await seal(at));
  const middle = performance.now();
  for (let at = first; at < first + KEPT; at += 1) await open(sealed[at - first]!, at);
  times.protect += middle - begin;
  times.unprotect += performance.now() - middle;
}

const packets = (count: number, size: number): Bytes[] =>
  Array.from({ length: count }, (_, sequence) =>
    encodeRtp({ payloadType: 96, marker: false, sequence, timestamp: sequence, ssrc: SSRC, payload: new Uint8Array(size - HEADER).fill(7) }),
  );

/** Whole SRTP packets, replay window and all. */
async function ourSrtp(number: number, plain: Bytes[]): Promise<Way<Bytes>> {
  const profile = SRTP_PROFILES.get(number)!;
  const masterKey = await importMasterKey(new Uint8Array(profile.keySize).fill(1));
  const keys = await SessionKeys.derive(profile, masterKey, new Uint8Array(profile.saltSize).fill(2));
  const [sender, receiver] = [new SrtpSender(keys), new SrtpReceiver()];
  receiver.addKeys(keys);
  sender.open(SSRC);
  receiver.announce(SSRC, 0);
  return { seal: (at) => sender.protect(plain[at]!), open: (sealed) => receiver.unprotect(sealed) };
}

/** Of a packet's payload: what WebCrypto takes, called as directly as can be. */
async function webCrypto(number: number, plain: Bytes[]): Promise<Way<ArrayBuffer>> {
  const profile = SRTP_PROFILES.get(number)!;
  const raw = new Uint8Array(profile.keySize).fill(1);
  if (profile.cipher === "AES-GCM") {
    const key = await subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    const parameters = (at: number): AesGcmParams => ({
      name: "AES-GCM", iv: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, at >> 16, at >> 8, at), additionalData: plain[at]!.subarray(0, HEADER), tagLength: 128,
    });
    return {
      seal: (at) => subtle.encrypt(parameters(at), key, plain[at]!.subarray(HEADER)),
      open: (sealed, at) => subtle.decrypt(parameters(at), key, sealed),
    };
  }
  const key = await subtle.importKey("raw", raw, "AES-CTR", false, ["encrypt", "decrypt"]);
  const signing = await subtle.importKey("raw", new Uint8Array(20).fill(3), { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const parameters = (at: number): AesCtrParams => ({
    name: "AES-CTR", counter: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, at >> 16, at >> 8, at, 0, 0), length: 16,
  });
  return {
    seal: async (at) => {
      const sealed = await subtle.encrypt(parameters(at), key, plain[at]!.subarray(HEADER));
      await subtle.sign("HMAC", signing, plain[at]!);
      return sealed;
    },
    open: async (sealed, at) => {
      await subtle.sign("HMAC", signing, plain[at]!);
      await subtle.decrypt(parameters(at), key, sealed);
    },
  };
}

async function ourSframe(number: number, frame: Bytes): Promise<Way<Bytes>> {
  const suite = SFRAME_SUITES.get(number)!;
  const epoch = await sframeEpoch(suite, 1n, 2, 1, new Uint8Array(suite.nk).fill(1));
  const [sender, receiver] = [await FrameSender.create(epoch, 0, 0n), new FrameReceiver()];
  receiver.addEpoch(epoch);
  const metadata = Uint8Array.of(2);
  await receiver.open(await sender.protect(frame, metadata), metadata); // its key is derived by the first frame
  return { seal: () => sender.protect(frame, metadata), open: (sealed) => receiver.open(sealed, metadata) };
}

async function aesGcm(frame: Bytes): Promise<Way<ArrayBuffer>> {
  const key = await subtle.importKey("raw", new Uint8Array(16).fill(1), "AES-GCM", false, ["encrypt", "decrypt"]);
  const additionalData = new Uint8Array(4);
  const parameters = (at: number): AesGcmParams => ({ name: "AES-GCM", iv: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, at >> 16, at >> 8, at), additionalData });
  return { seal: (at) => subtle.encrypt(parameters(at), key, frame), open: (sealed, at) => subtle.decrypt(parameters(at), key, sealed) };
}

async function srtp(number: number, count: number, size: number): Promise<{ ours: Times; alone: Times }> {
  const plain = packets(count, size);
  return beside(count, await ourSrtp(number, plain), await webCrypto(number, plain));
}

async function sframe(number: number, count: number, size: number): Promise<{ ours: Times; alone: Times }> {
  const frame = new Uint8Array(size).fill(7);
  return beside(count, await ourSframe(number, frame), await aesGcm(frame));
}

Object.assign(globalThis, { measure: { srtp, sframe } });
