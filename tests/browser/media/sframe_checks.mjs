// SFrame in web/src/media: RFC 9605's vectors, and what must be refused. Each function answers how many cases it ran.

import { encodeHeader, decodeHeader, KidHeaders } from "../../../web/src/media/sframe_header.ts";
import { decodeKid, encodeKid } from "../../../web/src/media/sframe_kid.ts";
import { ReplayWindow } from "../../../web/src/media/replay.ts";
import { FrameKey, FrameReceiver, FrameSender, sframeEpoch } from "../../../web/src/media/sframe.ts";
import { deriveKeySalt, frameCipher, importBaseKey, SFRAME_SUITES } from "../../../web/src/media/sframe_suites.ts";
import { bitFlips, equal, hex, randomSource, refused } from "./support.mjs";

const encoder = new TextEncoder();

/** JSON has 64-bit numbers; JavaScript reads them exactly only as text, so they come as text. */
export async function headers({ cases }) {
  for (const { kid, ctr, encoded } of cases) {
    equal(encodeHeader(BigInt(kid), BigInt(ctr)), hex(encoded), `header ${kid}/${ctr}`);
    if (BigInt(ctr) < 2n ** 53n) equal(new KidHeaders(BigInt(kid)).withMetadata(Number(ctr), hex("aabb")), hex(`${encoded}aabb`), "with metadata");
    const read = decodeHeader(hex(`${encoded}aa`));
    equal(`${read.kid} ${read.ctr} ${read.size}`, `${kid} ${ctr} ${encoded.length / 2}`, encoded);
    for (let size = 0; size < encoded.length / 2; size += 1) {
      await refused(async () => decodeHeader(hex(encoded).subarray(0, size)), "malformed", `${encoded} cut to ${size}`);
    }
  }
  return cases.length;
}

export async function longHeaders({ cases }) {
  for (const encoded of cases) await refused(async () => decodeHeader(hex(encoded)), "malformed", encoded);
  return cases.length;
}

export async function aeads({ cases }) {
  for (const { cipher_suite, key, nonce, aad, pt, ct } of cases) {
    const cipher = await frameCipher(SFRAME_SUITES.get(cipher_suite), hex(key));
    equal(await cipher.seal(hex(nonce), hex(aad), hex(pt), hex("c1")), hex(`c1${ct}`), `seal, suite ${cipher_suite}`);
    equal(await cipher.open(hex(nonce), hex(aad), hex(ct)), hex(pt), `open, suite ${cipher_suite}`);
    for (const [bit, altered] of bitFlips(hex(ct))) equal(await cipher.open(hex(nonce), hex(aad), altered), null, `bit ${bit}`);
  }
  return cases.length;
}

export async function frames({ cases }) {
  for (const entry of cases) {
    const suite = SFRAME_SUITES.get(entry.cipher_suite);
    const baseKey = await importBaseKey(hex(entry.base_key));
    const [kid, ctr] = [BigInt(entry.kid), Number(entry.ctr)];
    const { key, salt } = await deriveKeySalt(suite, baseKey, kid);
    equal(key, hex(entry.sframe_key), "sframe_key");
    equal(salt, hex(entry.sframe_salt), "sframe_salt");
    const frameKey = await FrameKey.derive(suite, baseKey, kid);
    const sealed = await frameKey.encrypt(ctr, hex(entry.metadata), hex(entry.pt));
    equal(sealed, hex(entry.ct), `ct, suite ${entry.cipher_suite}`);
    equal(await frameKey.encrypt(ctr, hex(entry.metadata), hex(entry.pt), hex("c0c1")), hex(`c0c1${entry.ct}`), "after a cover");
    const { size } = decodeHeader(sealed);
    equal(await frameKey.decrypt(ctr, size, hex(entry.metadata), sealed), hex(entry.pt), "pt");
  }
  return cases.length;
}

export async function kids({ E, S, cases }) {
  const layout = { indexBits: S, epochBits: E };
  for (const { context, sender_index, epoch, kid } of cases) {
    equal(encodeKid(BigInt(context), sender_index, BigInt(epoch), layout), BigInt(kid), `kid ${kid}`);
    const read = decodeKid(BigInt(kid), layout);
    equal(`${read.context} ${read.senderIndex} ${read.epochLow}`, `${context} ${sender_index} ${epoch % 2 ** E}`, `parts of ${kid}`);
  }
  return cases.length;
}

/** KIDs and first frames as Python's half derives them. */
export async function python({ cases }) {
  for (const { suite, epoch, leafCount, indexBits, baseKey, leaf, context, kid, key, salt } of cases) {
    const made = await sframeEpoch(SFRAME_SUITES.get(suite), BigInt(epoch), leafCount, indexBits, hex(baseKey));
    const sender = await FrameSender.create(made, leaf, BigInt(context));
    equal(sender.kid, BigInt(kid), "kid");
    const derived = await deriveKeySalt(made.suite, made.baseKey, sender.kid);
    equal(derived.key, hex(key), "key");
    equal(derived.salt, hex(salt), "salt");
  }
  return cases.length;
}

/** The replay window beside a plain set of all that came. */
export async function replayWindow({ seed }) {
  const random = randomSource(seed);
  for (const size of [64, 96, 1024]) {
    const [window, seen] = [new ReplayWindow(size), new Set()];
    let highest = -1;
    for (let round = 0; round < 20_000; round += 1) {
      const jump = random.below(200) === 0 ? random.below(3 * size) : 0;
      const index = Math.max(0, highest + jump + 3 - random.below(Math.floor(1.2 * size)));
      const expected = index <= highest - size ? "too-old" : seen.has(index) ? "replayed" : "nothing refused";
      await refused(async () => window.check(index), expected, `${index} at ${highest}`);
      await refused(async () => window.mark(index), expected, `${index} at ${highest}, marked`);
      if (expected !== "nothing refused") continue;
      seen.add(index);
      highest = Math.max(highest, index);
      equal(window.highest, highest, "highest");
    }
  }
  return 1;
}

async function pair(suite, { epoch = 300n, leaf = 5, context = 0n, base = 7, limit } = {}) {
  const held = await sframeEpoch(SFRAME_SUITES.get(suite), epoch, 11, 4, new Uint8Array(SFRAME_SUITES.get(suite).nk).fill(base));
  const receiver = new FrameReceiver();
  receiver.addEpoch(held);
  return { held, receiver, sender: await FrameSender.create(held, leaf, context, limit) };
}

/** Every bit of a frame, of its metadata, and every cut. */
export async function altered({ suite }) {
  const { receiver, sender } = await pair(suite);
  const [metadata, frame] = [encoder.encode("vp8 key"), encoder.encode("a frame of some bytes")];
  await sender.protect(frame, metadata); // counter 0
  const sealed = await sender.protect(frame, metadata);
  let cases = 0;
  const isRefused = async (bytes, about, what) => {
    let opened;
    try {
      opened = await receiver.open(bytes, about);
    } catch (error) {
      if (!["malformed", "unknown-key", "not-authentic", "key-exhausted"].includes(error.reason)) throw error;
    }
    equal(opened, undefined, what);
    cases += 1;
  };
  for (const [bit, bytes] of bitFlips(sealed)) await isRefused(bytes, metadata, `bit ${bit}`);
  for (const [bit, about] of bitFlips(metadata)) await isRefused(sealed, about, `metadata bit ${bit}`);
  for (let size = 0; size < sealed.length; size += 1) await isRefused(sealed.subarray(0, size), metadata, `cut to ${size}`);
  const opened = await receiver.open(sealed, metadata);
  equal(opened.frame, frame, "frame after all these");
  equal(`${opened.epoch} ${opened.senderIndex} ${opened.context} ${opened.counter}`, "300 5 0 1", "whose");
  return cases;
}

/** Frames lost, doubled and out of order, many in flight at once. */
export async function network({ suite, seed }) {
  const random = randomSource(seed);
  const { receiver, sender } = await pair(suite, { context: 3n });
  const plain = Array.from({ length: 300 }, () => random.bytes(random.below(200)));
  const sealed = await Promise.all(plain.map((frame) => sender.protect(frame)));
  const counters = sealed.map((frame) => decodeHeader(frame).ctr);
  equal(new Set(counters).size, plain.length, "counters");
  const arriving = sealed.flatMap((frame, index) => {
    const at = index + random.below(100);
    return random.below(10) === 0 ? [] : random.below(5) === 0 ? [{ at, frame }, { at: at + random.below(100), frame }] : [{ at, frame }];
  });
  arriving.sort((left, right) => left.at - right.at);
  const outcomes = await Promise.allSettled(arriving.map(({ frame }) => receiver.open(frame)));
  const opened = outcomes.filter(({ status }) => status === "fulfilled").map(({ value }) => value);
  for (const { reason } of outcomes.filter(({ status }) => status === "rejected")) equal(reason.reason, "replayed", "refused");
  for (const { counter, frame } of opened) equal(frame, plain[counter], `frame ${counter}`);
  equal(opened.length, new Set(arriving.map(({ frame }) => frame)).size, "each arrived frame once");
  return opened.length;
}

/** Epochs and senders come and go. */
export async function epochs() {
  const { held, receiver, sender } = await pair(4);
  const frame = encoder.encode("frame");
  const first = await sender.protect(frame);
  await receiver.open(first);
  receiver.addEpoch(held);
  await refused(() => receiver.open(first), "replayed", "the same epoch again");
  const later = await pair(4, { epoch: 301n });
  await refused(async () => receiver.open(await later.sender.protect(frame)), "unknown-key", "an epoch to come");
  receiver.addEpoch(later.held);
  await receiver.open(await later.sender.protect(frame));
  await receiver.open(await sender.protect(frame)); // both are held
  const other = await FrameSender.create(held, 6, 0n);
  receiver.dropSender(300n, 5);
  await refused(async () => receiver.open(await sender.protect(frame)), "unknown-key", "a dropped sender");
  await receiver.open(await other.protect(frame));
  const third = await FrameSender.create(held, 7, 0n);
  const racing = receiver.open(await third.protect(frame));
  receiver.dropSender(300n, 7);
  await refused(() => racing, "unknown-key", "a sender dropped while it was opened");
  const inFlight = receiver.open(await other.protect(frame));
  receiver.dropEpoch(300n);
  await refused(() => inFlight, "unknown-key", "dropped while it was opened");
  await refused(async () => receiver.open(await other.protect(frame)), "unknown-key", "a dropped epoch");
  const wrapped = await pair(4, { epoch: 301n + 256n, base: 9 });
  receiver.addEpoch(wrapped.held);
  await refused(async () => receiver.open(await later.sender.protect(frame)), "not-authentic", "an epoch of the same low bits");
  await receiver.open(await wrapped.sender.protect(frame));
  receiver.addEpoch(later.held);
  await receiver.open(await wrapped.sender.protect(frame)); // an older one does not come back
  const outside = await FrameSender.create(held, 11, 0n);
  const { receiver: fresh } = await pair(4);
  await refused(async () => fresh.open(await outside.protect(frame)), "unknown-key", "an index outside of the tree");
  return 1;
}

/** No counter twice, and no end passed. */
export async function limits() {
  const { receiver, sender } = await pair(1, { limit: 2 });
  const frame = encoder.encode("frame");
  const outcomes = await Promise.allSettled([sender.protect(frame), sender.protect(frame), sender.protect(frame)]);
  equal(outcomes.map(({ status, reason }) => reason?.reason ?? status).join(), "fulfilled,fulfilled,key-exhausted", "limit");
  const { held } = await pair(1);
  const far = await FrameKey.derive(held.suite, held.baseKey, sender.kid);
  await refused(async () => receiver.open(await far.encrypt(2 ** 48, new Uint8Array(0), frame)), "key-exhausted", "a counter of 2^48");
  await receiver.open(await far.encrypt(2 ** 48 - 1, new Uint8Array(0), frame));
  await refused(async () => receiver.open(outcomes[0].value), "too-old", "behind the window");
  for (let context = 1n; context < 64n; context += 1n) {
    await receiver.open(await (await FrameSender.create(held, 5, context)).protect(frame));
  }
  const one_more = await (await FrameSender.create(held, 5, 64n)).protect(frame);
  await refused(async () => receiver.open(one_more), "key-exhausted", "a member's 65th stream");
  return 1;
}
