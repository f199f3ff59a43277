// Packets and frames a second: ours, and WebCrypto alone with the same algorithm, sizes and keys, one after the other.

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

async function timed(count: number, work: (at: number) => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  for (let at = 0; at < count; at += 1) await work(at);
  return performance.now() - begin;
}

const packets = (count: number, size: number): Bytes[] =>
  Array.from({ length: count }, (_, sequence) =>
    encodeRtp({ payloadType: 96, marker: false, sequence, timestamp: sequence, ssrc: SSRC, payload: new Uint8Array(size - HEADER).fill(7) }),
  );

/** Whole SRTP packets, replay window and all. */
async function srtp(number: number, count: number, size: number): Promise<Times> {
  const profile = SRTP_PROFILES.get(number)!;
  const masterKey = await importMasterKey(new Uint8Array(profile.keySize).fill(1));
  const keys = await SessionKeys.derive(profile, masterKey, new Uint8Array(profile.saltSize).fill(2));
  const [sender, receiver] = [new SrtpSender(keys), new SrtpReceiver()];
  receiver.addKeys(keys);
  sender.open(SSRC);
  receiver.announce(SSRC, 0);
  const plain = packets(count, size);
  const sealed: Bytes[] = [];
  const protect = await timed(count, async (at) => sealed.push(await sender.protect(plain[at]!)));
  const unprotect = await timed(count, (at) => receiver.unprotect(sealed[at]!));
  return { protect, unprotect };
}

/** Of a packet's payload: what WebCrypto takes, called as directly as can be. */
async function webCrypto(number: number, count: number, size: number): Promise<Times> {
  const profile = SRTP_PROFILES.get(number)!;
  const raw = new Uint8Array(profile.keySize).fill(1);
  const plain = packets(count, size);
  const sealed: ArrayBuffer[] = [];
  if (profile.cipher === "AES-GCM") {
    const key = await subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
    const parameters = (at: number): AesGcmParams => ({
      name: "AES-GCM", iv: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, at >> 16, at >> 8, at), additionalData: plain[at]!.subarray(0, HEADER), tagLength: 128,
    });
    const protect = await timed(count, async (at) => sealed.push(await subtle.encrypt(parameters(at), key, plain[at]!.subarray(HEADER))));
    return { protect, unprotect: await timed(count, (at) => subtle.decrypt(parameters(at), key, sealed[at]!)) };
  }
  const key = await subtle.importKey("raw", raw, "AES-CTR", false, ["encrypt", "decrypt"]);
  const signing = await subtle.importKey("raw", new Uint8Array(20).fill(3), { name: "HMAC", hash: "SHA-1" }, false, ["sign"]);
  const parameters = (at: number): AesCtrParams => ({
    name: "AES-CTR", counter: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, at >> 16, at >> 8, at, 0, 0), length: 16,
  });
  const protect = await timed(count, async (at) => {
    sealed.push(await subtle.encrypt(parameters(at), key, plain[at]!.subarray(HEADER)));
    await subtle.sign("HMAC", signing, plain[at]!);
  });
  const unprotect = await timed(count, async (at) => {
    await subtle.sign("HMAC", signing, plain[at]!);
    await subtle.decrypt(parameters(at), key, sealed[at]!);
  });
  return { protect, unprotect };
}

async function sframe(number: number, count: number, size: number): Promise<Times> {
  const suite = SFRAME_SUITES.get(number)!;
  const epoch = await sframeEpoch(suite, 1n, 2, 1, new Uint8Array(suite.nk).fill(1));
  const [sender, receiver] = [await FrameSender.create(epoch, 0, 0n), new FrameReceiver()];
  receiver.addEpoch(epoch);
  const metadata = Uint8Array.of(2);
  const frame = new Uint8Array(size).fill(7);
  const sealed: Bytes[] = [];
  await receiver.open(await sender.protect(frame, metadata), metadata); // its key is derived by the first frame
  const protect = await timed(count, async () => sealed.push(await sender.protect(frame, metadata)));
  return { protect, unprotect: await timed(count, (at) => receiver.open(sealed[at]!, metadata)) };
}

async function aesGcm(count: number, size: number): Promise<Times> {
  const key = await subtle.importKey("raw", new Uint8Array(16).fill(1), "AES-GCM", false, ["encrypt", "decrypt"]);
  const frame = new Uint8Array(size).fill(7);
  const additionalData = new Uint8Array(4);
  const parameters = (at: number): AesGcmParams => ({ name: "AES-GCM", iv: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, at >> 16, at >> 8, at), additionalData });
  const sealed: ArrayBuffer[] = [];
  const protect = await timed(count, async (at) => sealed.push(await subtle.encrypt(parameters(at), key, frame)));
  return { protect, unprotect: await timed(count, (at) => subtle.decrypt(parameters(at), key, sealed[at]!)) };
}

Object.assign(globalThis, { measure: { srtp, webCrypto, sframe, aesGcm } });
