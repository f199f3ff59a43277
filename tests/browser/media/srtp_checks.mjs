// SRTP in web/src/media: the vectors of RFC 3711, 6188, 7714 and libsrtp, and what must be refused. Each function answers how much it ran.

import { parseSrtcp, protectRtcp, unprotectRtcp } from "../../../web/src/media/srtcp.ts";
import { parseRtp, protectRtp, unprotectRtp } from "../../../web/src/media/srtp.ts";
import { gcmCipher } from "../../../web/src/media/srtp_cipher.ts";
import { importMasterKey, KeyDerivation, SessionKeys, SRTP_PROFILES } from "../../../web/src/media/srtp_kdf.ts";
import { SrtpReceiver } from "../../../web/src/media/srtp_receiver.ts";
import { SrtpSender } from "../../../web/src/media/srtp_sender.ts";
import { bitFlips, equal, hex, randomSource, refused } from "./support.mjs";

const SSRC = 0xcafebabe;
const REFUSALS = ["malformed", "unknown-stream", "unknown-key", "not-authentic", "not-encrypted", "too-old"];
const MODES = ["mki", "no-mki"];

export async function keyDerivation({ cases }) {
  for (const { masterKey, masterSalt, label, expected } of cases) {
    const derivation = new KeyDerivation(await importMasterKey(hex(masterKey)), hex(masterSalt));
    equal(await derivation.derive(label, expected.length / 2), hex(expected), `label ${label}`);
  }
  return cases.length;
}

/** RFC 7714 gives session keys, and packets at an index. */
export async function sessionKeys({ cases }) {
  for (const { section, kind, session_key, session_salt, roc, srtcp_index, e_flag, packet, protected: sealed } of cases) {
    const [rtp, rtcp] = await Promise.all(["rtp", "rtcp"].map((each) => gcmCipher(each, hex(session_key), hex(session_salt))));
    const keys = { rtp, rtcp, mki: new Uint8Array(2) };
    const plain = hex(packet);
    if (kind === "SRTP") {
      const header = parseRtp(plain);
      const index = roc * 65536 + header.sequence;
      equal(await protectRtp(keys, plain, header, index, "no-mki"), hex(sealed), section);
      equal(await unprotectRtp(keys, hex(sealed), header, index, "no-mki"), plain, section);
    } else {
      const mode = e_flag === 1 ? "encrypted" : "unsafe-clear";
      equal(await protectRtcp(keys, plain, srtcp_index, "no-mki", mode), hex(sealed), section);
      const trailer = parseSrtcp(hex(sealed), keys, "no-mki");
      equal(`${trailer.index} ${trailer.mode}`, `${srtcp_index} ${mode}`, section);
      equal(await unprotectRtcp(keys, hex(sealed), trailer, "no-mki"), plain, section);
    }
  }
  return cases.length;
}

/** libsrtp's packets, from the master key on. */
export async function masterKeys({ profile, master_key, master_salt, rtp, srtp, rtcp, srtcp, srtcp_index }) {
  const keys = await SessionKeys.derive(SRTP_PROFILES.get(profile), await importMasterKey(hex(master_key)), hex(master_salt));
  const sender = new SrtpSender(keys, "no-mki");
  const receiver = new SrtpReceiver("no-mki");
  receiver.addKeys(keys);
  sender.open(SSRC, 0, srtcp_index);
  receiver.announce(SSRC, 0);
  equal(await sender.protect(hex(rtp)), hex(srtp), "srtp");
  equal(await receiver.unprotect(hex(srtp)), hex(rtp), "rtp");
  equal(await sender.protectRtcp(hex(rtcp)), hex(srtcp), "srtcp");
  equal(await receiver.unprotectRtcp(hex(srtcp)), hex(rtcp), "rtcp");
  return 4;
}

const made = async (number, fill, mki = [0, fill], limits = undefined) => {
  const profile = SRTP_PROFILES.get(number);
  const [key, salt] = [await importMasterKey(new Uint8Array(profile.keySize).fill(fill)), new Uint8Array(profile.saltSize).fill(fill + 1)];
  return SessionKeys.derive(profile, key, salt, Uint8Array.from(mki), limits);
};

async function pair(number, { mode = "mki", ssrcs = [SSRC], rollover = 0, rtcpMode = "encrypted", limits } = {}) {
  const keys = await made(number, 7, [1, 2], limits);
  const sender = new SrtpSender(keys, mode, rtcpMode);
  const receiver = new SrtpReceiver(mode, rtcpMode);
  receiver.addKeys(keys);
  for (const ssrc of ssrcs) {
    sender.open(ssrc, rollover);
    receiver.announce(ssrc, rollover);
  }
  return { keys, sender, receiver };
}

function rtpPacket(ssrc, sequence, payload, { csrcs = 0, extension = undefined } = {}) {
  const size = 12 + 4 * csrcs + (extension === undefined ? 0 : 4 + 4 * extension);
  const packet = new Uint8Array(size + payload.length).fill(0x5a);
  const view = new DataView(packet.buffer);
  packet[0] = 0x80 | csrcs | (extension === undefined ? 0 : 0x10);
  view.setUint16(2, sequence % 65536);
  view.setUint32(8, ssrc);
  if (extension !== undefined) view.setUint16(12 + 4 * csrcs + 2, extension);
  packet.set(payload, size);
  return packet;
}

function rtcpPacket(ssrc, rest) {
  const packet = new Uint8Array(8 + rest.length);
  packet.set([0x80, 200]);
  new DataView(packet.buffer).setUint32(4, ssrc);
  packet.set(rest, 8);
  return packet;
}

/** Every bit of a packet, and every cut, RTP and RTCP; the untouched ones then pass once, and not twice. */
export async function altered({ profile, mode, rtcpMode }) {
  const { sender, receiver } = await pair(profile, { mode, rtcpMode });
  const random = randomSource(profile);
  const unprotect = { rtp: (packet) => receiver.unprotect(packet), rtcp: (packet) => receiver.unprotectRtcp(packet) };
  const plain = {
    rtp: rtpPacket(SSRC, 1000, random.bytes(40), { csrcs: 1, extension: 1 }),
    rtcp: rtcpPacket(SSRC, random.bytes(20)),
  };
  await receiver.unprotect(await sender.protect(rtpPacket(SSRC, 999, random.bytes(9))));
  const sealed = { rtp: await sender.protect(plain.rtp), rtcp: await sender.protectRtcp(plain.rtcp) };
  let cases = 0;
  for (const kind of ["rtp", "rtcp"]) {
    const isRefused = async (bytes, what) => {
      let opened;
      try {
        opened = await unprotect[kind](bytes);
      } catch (error) {
        if (!REFUSALS.includes(error.reason)) throw error;
      }
      equal(opened, undefined, `${kind} ${what}`);
      cases += 1;
    };
    for (const [bit, bytes] of bitFlips(sealed[kind])) await isRefused(bytes, `bit ${bit}`);
    for (let size = 0; size < sealed[kind].length; size += 1) await isRefused(sealed[kind].subarray(0, size), `cut to ${size}`);
    for (const more of [1, 2, 4, 10]) {
      const longer = new Uint8Array(sealed[kind].length + more);
      longer.set(sealed[kind]);
      await isRefused(longer, `${more} longer`);
    }
    equal(await unprotect[kind](sealed[kind]), plain[kind], `${kind} untouched`);
    await refused(() => unprotect[kind](sealed[kind]), "replayed", `${kind} again`);
  }
  return cases;
}

/** Two streams over a rollover and a change of keys: packets lost, doubled and out of order, twenty in flight. */
export async function network({ profile, mode, seed }) {
  const random = randomSource(seed);
  const ssrcs = [SSRC, 1];
  const { sender, receiver } = await pair(profile, { mode, ssrcs, rollover: 3 });
  const later = await made(profile, 9);
  receiver.addKeys(later);
  const sent = [];
  const sequences = new Map(ssrcs.map((ssrc) => [ssrc, 65_536 - 100 - random.below(100)]));
  for (let count = 0; count < 600; count += 1) {
    if (count === 350) sender.rekey(later);
    const ssrc = ssrcs[random.below(2)];
    if (random.below(10) === 0) {
      const plain = rtcpPacket(ssrc, random.bytes(4 * random.below(10)));
      sent.push({ plain, kind: "unprotectRtcp", sealed: await sender.protectRtcp(plain) });
      continue;
    }
    const more = { csrcs: random.below(3), extension: random.below(2) === 0 ? undefined : random.below(3) };
    const plain = rtpPacket(ssrc, sequences.get(ssrc), random.bytes(random.below(200)), more);
    sequences.set(ssrc, sequences.get(ssrc) + 1 + random.below(3));
    sent.push({ plain, kind: "unprotect", sealed: await sender.protect(plain) });
  }
  for (const ssrc of ssrcs) equal(sender.rollover(ssrc), 4, "the sender's rollover counter");
  const arriving = sent.flatMap((packet, index) => {
    const at = index + random.below(100);
    const again = random.below(5) === 0 ? [{ at: at + random.below(100), packet }] : [];
    return random.below(10) === 0 ? [] : [{ at, packet }, ...again];
  });
  arriving.sort((left, right) => left.at - right.at);
  const opened = new Set();
  for (let start = 0; start < arriving.length; start += 20) {
    const batch = arriving.slice(start, start + 20);
    const outcomes = await Promise.allSettled(batch.map(({ packet }) => receiver[packet.kind](packet.sealed)));
    outcomes.forEach(({ status, value, reason }, index) => {
      const { packet } = batch[index];
      if (status === "fulfilled") {
        equal(value, packet.plain, "packet");
        equal(opened.has(packet), false, "opened before");
        opened.add(packet);
      } else equal(reason.reason, "replayed", "refused");
    });
  }
  equal(opened.size, new Set(arriving.map(({ packet }) => packet)).size, "each arrived packet once");
  return opened.size;
}

/** The rollover counter on both sides, over many rollovers and with what announcements add. */
export async function rollovers() {
  const { keys, sender, receiver } = await pair(7);
  const payload = new Uint8Array(10);
  let index = 0;
  const send = async (step) => sender.protect(rtpPacket(SSRC, (index += step), payload));
  const first = await send(5);
  await receiver.unprotect(first);
  for (let count = 0; count < 30; count += 1) await receiver.unprotect(await send(20_000));
  equal(sender.rollover(SSRC), Math.floor(index / 65_536), "rollovers");
  await refused(() => receiver.unprotect(first), "too-old", "the first, at another rollover counter");
  receiver.announce(SSRC, 0);
  await refused(() => receiver.unprotect(first), "too-old", "the first, after its announcement again");
  // Others join: one hears the rollover counter of now, one that of before the last rollover, one a wrong one, one nothing.
  for (const [behind, reason] of [[0, undefined], [1, undefined], [2, "not-authentic"], [undefined, "unknown-stream"]]) {
    const newcomer = new SrtpReceiver();
    newcomer.addKeys(keys);
    const packet = await send(1);
    if (behind !== undefined) newcomer.announce(SSRC, sender.rollover(SSRC) - behind);
    if (reason === undefined) await newcomer.unprotect(packet);
    else await refused(() => newcomer.unprotect(packet), reason, `${behind} behind`);
    if (reason === undefined) await refused(() => newcomer.unprotect(packet), "replayed", "and again");
  }
  // A receiver that missed more than half of the sequence numbers follows after an announcement.
  for (const missed of [33_000, 40_000, 50_000, 60_000, 70_000, 130_000, 1_000_000]) {
    const start = index;
    await receiver.unprotect(await send(1));
    while (index < start + missed) await send(Math.min(30_000, start + missed - index));
    receiver.announce(SSRC, sender.rollover(SSRC));
    await receiver.unprotect(await send(1));
  }
  return 1;
}

/** No place twice, no limit passed. */
export async function limits() {
  const { sender, receiver } = await pair(7, { limits: { rtp: 4, rtcp: 1 } });
  const payload = new Uint8Array(10);
  const protect = (sequence) => sender.protect(rtpPacket(SSRC, sequence, payload));
  await protect(1);
  for (const used of [1, 0, 65_535, 1 + 32_768]) await refused(() => protect(used), "counter-used", `sequence ${used} after 1`);
  await refused(() => sender.protect(rtpPacket(SSRC + 1, 1, payload)), "unknown-stream", "a stream not opened");
  const outcomes = await Promise.allSettled([protect(2), protect(2), protect(3), protect(4), protect(5)]);
  const expected = "fulfilled counter-used fulfilled fulfilled key-exhausted";
  equal(outcomes.map(({ status, reason }) => reason?.reason ?? status).join(" "), expected, "at once");
  await sender.protectRtcp(rtcpPacket(SSRC, payload));
  await refused(() => sender.protectRtcp(rtcpPacket(SSRC, payload)), "key-exhausted", "rtcp");
  const fresh = await made(7, 9);
  sender.rekey(fresh);
  await refused(() => protect(4), "counter-used", "a place used under the old keys");
  receiver.addKeys(fresh);
  await receiver.unprotect(await protect(5));
  const last = await pair(7, { rollover: 2 ** 32 - 1 });
  await last.receiver.unprotect(await last.sender.protect(rtpPacket(SSRC, 65_535, payload)));
  await refused(() => last.sender.protect(rtpPacket(SSRC, 0, payload)), "key-exhausted", "after the last index");
  const ended = new SrtpSender(fresh);
  ended.open(SSRC, 0, 2 ** 31 - 1);
  await ended.protectRtcp(rtcpPacket(SSRC, payload));
  await refused(() => ended.protectRtcp(rtcpPacket(SSRC, payload)), "key-exhausted", "after the last rtcp index");
  return 1;
}

/** Which keys open what. */
export async function keys() {
  for (const mode of MODES) {
    const { keys: first, sender, receiver } = await pair(1, { mode });
    let sequence = 0;
    const protect = () => sender.protect(rtpPacket(SSRC, (sequence += 1), new Uint8Array(30)));
    const [a, b, c] = [await protect(), await protect(), await protect()];
    const [second, third] = [await made(1, 9), await made(1, 11)];
    await refused(() => new SrtpReceiver(mode).unprotectRtcp(rtcpPacket(SSRC, new Uint8Array(40))), "unknown-key", "no keys at all");
    sender.rekey(second);
    const early = await protect();
    await refused(() => receiver.unprotect(early), mode === "mki" ? "unknown-key" : "not-authentic", "keys to come");
    receiver.addKeys(second);
    equal((await receiver.unprotect(early)).length, 42, "the same packet once the keys are there");
    await receiver.unprotect(a); // the keys before are held still
    receiver.addKeys(third);
    await receiver.unprotect(b); // so are the third newest
    const racing = [receiver.unprotect(await protect()), receiver.unprotect(c)];
    receiver.dropKeys(first);
    receiver.dropKeys(second);
    const outcomes = await Promise.allSettled(racing);
    const reasons = outcomes.map(({ reason }) => reason?.reason).join(" ");
    equal(reasons, "unknown-key unknown-key", "dropped while they worked");
    await refused(async () => receiver.unprotect(await protect()), mode === "mki" ? "unknown-key" : "not-authentic", "dropped keys");
    const far = await pair(1, { mode });
    const packets = [await far.sender.protect(rtpPacket(SSRC, 1, new Uint8Array(30))), await far.sender.protect(rtpPacket(SSRC, 2, new Uint8Array(30)))];
    for (let number = 20; number < 27; number += 1) far.receiver.addKeys(await made(1, number));
    await far.receiver.unprotect(packets[0]); // the eighth newest
    far.receiver.addKeys(await made(1, 27));
    if (mode === "mki") await far.receiver.unprotect(packets[1]);
    else await refused(() => far.receiver.unprotect(packets[1]), "not-authentic", "the ninth newest");
  }
  return 1;
}

/** The MKI stands before AES-CM's tag and after AES-GCM's, of RTCP after the index (RFC 3711 figures 1 and 2, RFC 7714 figures 2 to 4). */
export async function mkiPlaces() {
  for (const [profile, { cipher }] of SRTP_PROFILES) {
    const [named, bare] = [await pair(profile, { mode: "mki" }), await pair(profile, { mode: "no-mki" })];
    const rtp = rtpPacket(SSRC, 1, new Uint8Array(30));
    const rtcp = rtcpPacket(SSRC, new Uint8Array(8));
    for (const [method, packet] of [["protect", rtp], ["protectRtcp", rtcp]]) {
      const without = await bare.sender[method](packet);
      const place = without.length - (cipher === "AES-CM" ? 10 : 0);
      const expected = Uint8Array.of(...without.subarray(0, place), 1, 2, ...without.subarray(place));
      equal(await named.sender[method](packet), expected, `${method}, profile ${profile}`);
    }
  }
  return SRTP_PROFILES.size;
}

/** Streams and senders apart: one SSRC of two senders, and a relay that swaps SSRCs. */
export async function streams() {
  for (const profile of SRTP_PROFILES.keys()) {
    const { sender, receiver } = await pair(profile, { ssrcs: [SSRC, 1] });
    const packet = await sender.protect(rtpPacket(SSRC, 1, new Uint8Array(30)));
    const swapped = packet.slice();
    new DataView(swapped.buffer).setUint32(8, 1);
    await refused(() => receiver.unprotect(swapped), "not-authentic", "a swapped ssrc");
    const other = new SrtpSender(await made(profile, 8, [1, 2]));
    other.open(SSRC);
    const theirs = await other.protect(rtpPacket(SSRC, 1, new Uint8Array(30)));
    if (theirs.every((byte, index) => byte === packet[index])) throw new Error("expected other bytes under other keys");
    await refused(() => receiver.unprotect(theirs), "not-authentic", "another sender's packet of this ssrc");
    await receiver.unprotect(packet);
    const clear = new SrtpSender(await made(profile, 7, [1, 2]), "mki", "unsafe-clear");
    clear.open(SSRC);
    const readable = await clear.protectRtcp(rtcpPacket(SSRC, new Uint8Array(8)));
    await refused(() => receiver.unprotectRtcp(readable), "not-encrypted", "rtcp with E = 0");
  }
  return SRTP_PROFILES.size;
}

export const profiles = async () =>
  Object.fromEntries([...SRTP_PROFILES.values()].map(({ name, number, keySize, saltSize }) => [name, [number, keySize, saltSize]]));
