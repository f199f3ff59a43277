// SRTP of a conference: keys that come and go, streams that are announced, and a relay that does what it likes.

import { OLD_EPOCH, OLD_KEY, MOVE_AFTER } from "../../../web/src/media/conference_keys.ts";
import { BAD_AFTER, StreamCondition } from "../../../web/src/media/srtp_condition.ts";
import { HOLD, MAX_HELD, SrtpConference } from "../../../web/src/media/srtp_conference.ts";
import { importMasterKey, SessionKeys, SRTP_PROFILES } from "../../../web/src/media/srtp_kdf.ts";
import { decodeStreams, encodeStreams, MAX_STREAMS } from "../../../web/src/media/srtp_streams.ts";
import { encodeRtp } from "../../../web/src/media/rtp_packet.ts";
import { equal, hex, randomSource, refused, toHex } from "./support.mjs";

const GROUP = Uint8Array.of(1);
const SSRC = 0x1234;
const member = (leafIndex) => ({ leafIndex, clientId: new Uint8Array(32).fill(leafIndex + 1) });

/** The keys of an epoch: a function of group, epoch and leaf, as an exporter's; each member derives its own. */
async function epochOf({ profile = 7, group = GROUP, epoch, reason = "update", leaves, own, limits }) {
  const { keySize, saltSize } = SRTP_PROFILES.get(profile);
  const keys = new Map();
  for (const leaf of leaves) {
    const key = await importMasterKey(new Uint8Array(keySize).fill(17 * epoch + leaf + 100 * group[0]));
    const mki = Uint8Array.of((epoch >> 8) & 0xff, epoch & 0xff);
    keys.set(leaf, await SessionKeys.derive(SRTP_PROFILES.get(profile), key, new Uint8Array(saltSize).fill(epoch), mki, limits));
  }
  return { group, epoch: BigInt(epoch), reason, ownLeaf: own, members: leaves.map(member), keys };
}

async function people(leaves, options = {}) {
  const made = new Map(leaves.map((leaf) => [leaf, new SrtpConference(options.profile ?? 7, options.mode)]));
  await enter(made, { epoch: 1, reason: "start", leaves, ...options }, 0);
  return made;
}

async function enter(who, epoch, now) {
  for (const [own, conference] of who) conference.add(await epochOf({ ...epoch, own }), now);
}

const rtp = (ssrc, sequence, payload = Uint8Array.of(sequence >> 8, sequence)) =>
  encodeRtp({ payloadType: 96, marker: false, sequence: sequence % 65_536, timestamp: sequence, ssrc, payload });

function announce(from, sender, ...receivers) {
  for (const receiver of receivers) receiver.announced(member(from).clientId, sender.announcement());
}

/** Opened by `receiver`, from `leaf`, as it was sent. */
async function hears(receiver, sealed, plain, leaf, now, what) {
  const opened = await receiver.receive(sealed, undefined, now);
  equal(opened?.packet, plain, what);
  equal(opened.member.leafIndex, leaf, `${what}: whose`);
}

export async function encoding({ cases }) {
  for (const { streams, encoded } of cases) {
    equal(encodeStreams(streams), hex(encoded), "encoded");
    equal(JSON.stringify(decodeStreams(hex(encoded))), JSON.stringify(streams), "decoded");
    for (let size = 0; size < encoded.length / 2; size += 1) {
      await refused(async () => decodeStreams(hex(encoded).subarray(0, size)), "malformed", `cut to ${size}`);
    }
    await refused(async () => decodeStreams(Uint8Array.of(...hex(encoded), 0)), "malformed", "a byte more");
  }
  const many = Array.from({ length: MAX_STREAMS + 1 }, (_, ssrc) => ({ ssrc, profile: 7, rollover: 0 }));
  await refused(async () => decodeStreams(encodeStreams(many)), "malformed", "too many");
  for (const long of ["4000", "400a00000001000700000000", "8000000a00000001000700000000", "c0"]) {
    await refused(async () => decodeStreams(hex(long)), "malformed", long);
  }
  return cases.length;
}

/** A stream runs on through epochs and a rollover; a packet that comes before its keys waits for them. */
export async function epochs({ profile, mode }) {
  const all = await people([0, 1], { profile, mode });
  const [alice, bob] = [all.get(0), all.get(1)];
  alice.open(SSRC, 0);
  announce(0, alice, bob);
  let sequence = 65_500;
  const send = async (now) => {
    const plain = rtp(SSRC, (sequence += 1));
    return [await alice.protect(plain, now), plain];
  };
  const first = await send(1);
  await hears(bob, ...first, 0, 1, "first");
  for (let epoch = 2; epoch <= 6; epoch += 1) {
    const at = 1_000 * epoch;
    alice.add(await epochOf({ profile, epoch, leaves: [0, 1], own: 0 }), at);
    await hears(bob, ...(await send(at + MOVE_AFTER - 1)), 0, at, `epoch ${epoch - 1} still`);
    const [early, plain] = await send(at + MOVE_AFTER);
    if (mode === "mki") equal(await bob.receive(early, undefined, at + MOVE_AFTER), undefined, "held");
    bob.add(await epochOf({ profile, epoch, leaves: [0, 1], own: 1 }), at + MOVE_AFTER + 1);
    if (mode === "mki") equal((await bob.release(at + MOVE_AFTER + 1))[0]?.packet, plain, "released");
    else await hears(bob, early, plain, 0, at + MOVE_AFTER + 1, "under the new keys");
    for (let count = 0; count < 10; count += 1) await hears(bob, ...(await send(at + 600)), 0, at + 600, `epoch ${epoch}`);
  }
  equal(sequence > 65_536 + 10, true, "a rollover was passed");
  equal(bob.waiting, 0, "waiting");
  // Its keys are gone; without MKI it is told by the window.
  if (mode === "no-mki") await refused(() => bob.receive(first[0], undefined, 6_700), "replayed", "the first one again");
  else equal(await bob.receive(first[0], undefined, 6_700), undefined, "the first one again");
  equal((await bob.release(6_700)).length, 0, "which does not come out");
  return 1;
}

/** Old keys: a second after the first packet under newer ones, ten at most. */
export async function oldKeys() {
  for (const heard of [true, false]) {
    const all = await people([0, 1]);
    const [alice, bob] = [all.get(0), all.get(1)];
    alice.open(SSRC, 0);
    announce(0, alice, bob);
    const late = [];
    for (let sequence = 1; sequence <= 4; sequence += 1) late.push(await alice.protect(rtp(SSRC, sequence), 0));
    await enter(all, { epoch: 2, leaves: [0, 1] }, 0);
    const fresh = await alice.protect(rtp(SSRC, 10), MOVE_AFTER);
    if (heard) await hears(bob, fresh, rtp(SSRC, 10), 0, 600, "new keys");
    const end = heard ? 600 + OLD_KEY : OLD_EPOCH;
    await hears(bob, late[0], rtp(SSRC, 1), 0, end - 1, "the last moment of the old keys");
    equal(await bob.receive(late[1], undefined, end), undefined, "unknown by now");
    equal((await bob.release(end + HOLD)).length, 0, "and nothing comes of it");
  }
  return 1;
}

/** Who is removed: not heard any more, hears nothing any more, both at once. */
export async function removal() {
  const all = await people([0, 1, 2]);
  const [alice, bob, carol] = [0, 1, 2].map((leaf) => all.get(leaf));
  alice.open(SSRC, 0);
  carol.open(7, 0);
  announce(0, alice, bob, carol);
  announce(2, carol, alice, bob);
  const before = await carol.protect(rtp(7, 1), 0);
  const next = await epochOf({ epoch: 2, reason: "remove", leaves: [0, 1], own: 1 });
  const inFlight = await carol.protect(rtp(7, 2), 0);
  const racing = bob.receive(inFlight, undefined, 0);
  bob.add(next, 0);
  equal(await racing, undefined, "in flight when she was removed");
  alice.add(await epochOf({ epoch: 2, reason: "remove", leaves: [0, 1], own: 0 }), 0);
  equal(await bob.receive(before, undefined, 1), undefined, "hers from before");
  equal((await bob.release(1)).length, 0, "does not come out");
  const after = await alice.protect(rtp(SSRC, 1), 0);
  await hears(bob, after, rtp(SSRC, 1), 0, 1, "the others");
  equal(await carol.receive(after, undefined, 1), undefined, "she cannot read");
  equal((await carol.release(1)).length, 0, "nor later");
  carol.end();
  await refused(() => carol.protect(rtp(7, 3), 2), "unknown-key", "after the end");
  return 1;
}

/** One SSRC of two members, and what was not announced. */
export async function streams() {
  const all = await people([0, 1, 2]);
  const [alice, bob, carol] = [0, 1, 2].map((leaf) => all.get(leaf));
  alice.open(SSRC, 0);
  carol.open(SSRC, 0);
  const [hers, theirs] = [rtp(SSRC, 5, Uint8Array.of(1)), rtp(SSRC, 4, Uint8Array.of(2))];
  const [one, other] = [await alice.protect(hers, 0), await carol.protect(theirs, 0)];
  equal(await bob.receive(one, undefined, 0), undefined, "not announced yet");
  announce(0, alice, bob);
  equal((await bob.release(HOLD - 1))[0]?.packet, hers, "announced in time");
  await refused(() => bob.receive(other, undefined, 1_000), "not-authentic", "another's packet of this ssrc");
  announce(2, carol, bob);
  await hears(bob, other, theirs, 2, 1_000, "the other's stream of the same ssrc");
  await refused(() => bob.receive(one, undefined, 1_000), "replayed", "one again");
  await refused(() => bob.receive(other, undefined, 1_000), "replayed", "the other again");
  const next = await alice.protect(rtp(SSRC, 6), 1_000);
  await refused(() => bob.receive(next, member(2).clientId, 1_000), "not-authentic", "by another's way");
  equal((await bob.receive(next, member(0).clientId, 1_000)).member.leafIndex, 0, "by its own");
  equal(await bob.receive(await alice.protect(rtp(SSRC, 7), 1_000), member(1).clientId, 1_000), undefined, "by a way of no sender");
  // A profile that is not ours, one that was forgotten for others, somebody unknown: no stream.
  bob.announced(member(2).clientId, encodeStreams([{ ssrc: 99, profile: 1, rollover: 0 }]));
  for (let from = 100; from < 200; from += MAX_STREAMS) {
    bob.announced(member(2).clientId, encodeStreams(Array.from({ length: MAX_STREAMS }, (_, at) => ({ ssrc: from + at, profile: 7, rollover: 0 }))));
  }
  bob.announced(member(9).clientId, encodeStreams([{ ssrc: 98, profile: 7, rollover: 0 }]));
  for (const ssrc of [98, 99, 100]) equal(await bob.receive(rtp(ssrc, 1, new Uint8Array(20)), undefined, 2_000), undefined, `${ssrc}`);
  for (let count = 0; count < 2 * MAX_HELD; count += 1) await bob.receive(rtp(97, count, new Uint8Array(20)), undefined, 2_000);
  equal(bob.waiting, MAX_HELD, "held at most");
  bob.tick(2_000 + HOLD);
  equal(bob.waiting, 0, "held no longer");
  return 1;
}

/** Who comes back again and again has other streams each time: the latest are good, the last few before them still, none comes twice. */
export async function reloads() {
  const all = await people([0, 1]);
  const bob = all.get(1);
  const packets = [];
  for (let start = 0; start < 3 * MAX_STREAMS; start += 1) {
    const alice = new SrtpConference(7);
    alice.add(await epochOf({ epoch: 1, reason: "start", leaves: [0, 1], own: 0 }), 0);
    alice.open(start, 0);
    const said = bob.announced(member(0).clientId, alice.announcement());
    equal(`${said.fresh} ${[...said.ssrcs]}`, `true ${start}`, "new to him");
    alice.open(1_000 + start, 0);
    equal(bob.announced(member(0).clientId, alice.announcement()).fresh, false, "one more of somebody known");
    packets.push(await alice.protect(rtp(start, 5), 0));
    await hears(bob, packets[start], rtp(start, 5), 0, 0, `start ${start}`);
    if (start > 0) await refused(() => bob.receive(packets[start - 1], undefined, 0), "replayed", `of start ${start - 1}`);
  }
  equal(await bob.receive(packets[0], undefined, 0), undefined, "of a stream that is forgotten");
  equal((await bob.release(0)).length, 0, "and stays so");
  equal(bob.announced(member(0).clientId, encodeStreams([])).fresh, false, "who stops has not begun");
  equal(bob.announced(member(9).clientId, encodeStreams([])), undefined, "of no member");
  return 1;
}

/** Packets whose keys never come are counted; those of no stream are not. */
export async function lapses() {
  const all = await people([0, 1]);
  const [alice, bob] = [all.get(0), all.get(1)];
  alice.open(SSRC, 0);
  announce(0, alice, bob);
  alice.add(await epochOf({ epoch: 2, reason: "remove", leaves: [0, 1], own: 0 }), 0);
  equal(await bob.receive(await alice.protect(rtp(SSRC, 1), 0), undefined, 0), undefined, "of an epoch that has not come");
  equal(await bob.receive(rtp(99, 1, new Uint8Array(20)), undefined, 0), undefined, "of no stream");
  bob.tick(HOLD - 1);
  equal(bob.lapsed, 0, "in time");
  bob.tick(HOLD);
  equal(`${bob.lapsed} ${bob.waiting}`, "1 0", "in vain");
  return 1;
}

/** Without MKI what may be under keys to come waits for them, and is asked for when they do not come. */
export async function unnamed() {
  const all = await people([0, 1], { mode: "no-mki" });
  const [alice, bob] = [all.get(0), all.get(1)];
  alice.open(SSRC, 0);
  announce(0, alice, bob);
  alice.add(await epochOf({ epoch: 2, reason: "remove", leaves: [0, 1], own: 0 }), 0);
  equal(await bob.receive(await alice.protect(rtp(SSRC, 1), 0), undefined, 0), undefined, "of an epoch that has not come");
  bob.add(await epochOf({ epoch: 2, reason: "remove", leaves: [0, 1], own: 1 }), 10);
  equal((await bob.release(10)).map(({ packet }) => toHex(packet)).join(), toHex(rtp(SSRC, 1)), "and comes");
  alice.add(await epochOf({ epoch: 3, reason: "remove", leaves: [0, 1], own: 0 }), 20);
  equal(await bob.receive(await alice.protect(rtp(SSRC, 2), 20), undefined, 20), undefined, "of one that does not come");
  bob.tick(20 + HOLD);
  equal(`${bob.lapsed} ${bob.waiting}`, "1 0", "in vain");
  return 1;
}

/** How a stream is said to do: the table of srtp_condition.ts. */
export function condition() {
  const made = new StreamCondition(0);
  const looks = (now, expected, what) => {
    const found = made.look(now);
    equal(found === undefined ? "same" : `${found.state} ${found.reason} ${found.since}`, expected, what);
  };
  looks(BAD_AFTER - 1, "same", "protected");
  looks(BAD_AFTER, "silent undefined 0", "nothing came");
  made.bad("not-authentic", 1_500);
  looks(1_500, "refused not-authentic 0", "forged ones came");
  made.bad("unknown-key", 1_600);
  looks(1_600, "no-key unknown-key 0", "of keys that are not here");
  looks(1_600 + BAD_AFTER, "silent undefined 0", "nothing came again");
  made.good(3_000);
  made.bad("replayed", 3_001);
  looks(3_002, "protected undefined 3000", "good ones, whatever else");
  looks(3_500, "same", "still");
  return 1;
}

/** A successor's epochs begin low again, with MKIs that the old group had; the stream runs on. */
export async function successor() {
  const all = await people([0, 1]);
  const [alice, bob] = [all.get(0), all.get(1)];
  alice.open(SSRC, 0);
  announce(0, alice, bob);
  const late = await alice.protect(rtp(SSRC, 1), 0);
  await enter(all, { epoch: 1, group: Uint8Array.of(2), reason: "successor", leaves: [0, 1] }, 0);
  await hears(bob, await alice.protect(rtp(SSRC, 2), 0), rtp(SSRC, 2), 0, 1, "the successor's");
  await hears(bob, late, rtp(SSRC, 1), 0, 1, "the old group's, late");
  // One whose MKI is that of older keys waits for its own, though it looks forged.
  const next = { epoch: 1, group: Uint8Array.of(3), reason: "successor", leaves: [0, 1] };
  alice.add(await epochOf({ ...next, own: 0 }), 2);
  await refused(async () => bob.receive(await alice.protect(rtp(SSRC, 3), 2), undefined, 2), "not-authentic", "of a group that has not come");
  bob.add(await epochOf({ ...next, own: 1 }), 3);
  equal((await bob.release(3)).map(({ packet }) => toHex(packet)).join(), toHex(rtp(SSRC, 3)), "and then it has");
  alice.add(await epochOf({ epoch: 2, leaves: [0, 1], own: 0 }), 4); // of the old group
  await hears(bob, await alice.protect(rtp(SSRC, 4), 5_000), rtp(SSRC, 4), 0, 5_000, "the old group does not come back");
  return 1;
}

/** A key that is used up stops the sender; the next one's stream runs on. */
export async function exhausted() {
  const limits = { rtp: 3, rtcp: 1 };
  const all = await people([0, 1], { limits });
  const [alice, bob] = [all.get(0), all.get(1)];
  alice.open(SSRC, 0);
  announce(0, alice, bob);
  for (let sequence = 1; sequence <= 3; sequence += 1) {
    await hears(bob, await alice.protect(rtp(SSRC, sequence), 0), rtp(SSRC, sequence), 0, 0, `packet ${sequence}`);
  }
  for (let tries = 0; tries < 3; tries += 1) await refused(() => alice.protect(rtp(SSRC, 4), 0), "key-exhausted", "the fourth");
  await enter(all, { epoch: 2, leaves: [0, 1], limits }, 100);
  await refused(() => alice.protect(rtp(SSRC, 4), 100), "key-exhausted", "not sent with before its time");
  await hears(bob, await alice.protect(rtp(SSRC, 4), 100 + MOVE_AFTER), rtp(SSRC, 4), 0, 700, "under new keys");
  return 1;
}

/** Who sends junk by a way of its own keeps nobody else's packets from waiting. */
export async function junk() {
  const all = await people([0, 1, 2]);
  const [alice, bob] = [all.get(0), all.get(1)];
  alice.open(SSRC, 0);
  const early = await alice.protect(rtp(SSRC, 1), 0);
  for (let count = 0; count < 2 * MAX_HELD; count += 1) await bob.receive(rtp(count, count, new Uint8Array(20)), member(2).clientId, 0);
  equal(bob.waiting, MAX_HELD, "of the one who floods");
  equal(await bob.receive(early, member(0).clientId, 0), undefined, "not announced yet");
  equal(bob.waiting, MAX_HELD + 1, "of both");
  announce(0, alice, bob);
  equal((await bob.release(1)).map(({ packet }) => toHex(packet)).join(), toHex(rtp(SSRC, 1)), "what waited");
  return 1;
}

/**
 * A relay drops, delays, doubles, replays, swaps and corrupts, a tenth each, while epochs change: with MKIs ten times a second, and
 * without, where the newest eight are tried, five times a second. What is opened was
 * sent, by whom it says, once; what the relay left alone arrives; and in the end all is well.
 */
export async function relay({ seed, mode, profile }) {
  const random = randomSource(seed);
  const all = await people([0, 1, 2], { profile, mode });
  const bob = all.get(1);
  const sent = new Map();
  const sequences = new Map([[0, 65_400], [2, 65_450]]);
  for (const leaf of sequences.keys()) {
    all.get(leaf).open(SSRC, 0);
    announce(leaf, all.get(leaf), bob);
  }
  const [opened, untouched, past, queue] = [[], new Set(), [], []];
  let epoch = 1;
  for (let now = 0; now < 3_000; now += 5) {
    if (now % (mode === "mki" ? 100 : 200) === 50) {
      epoch += 1;
      await enter(all, { epoch, profile, leaves: [0, 1, 2] }, now);
      opened.push(...(await bob.release(now)));
    }
    for (const leaf of sequences.keys()) {
      sequences.set(leaf, sequences.get(leaf) + 1);
      const plain = rtp(SSRC, sequences.get(leaf), random.bytes(20));
      const sealed = await all.get(leaf).protect(plain, now);
      sent.set(toHex(plain), leaf);
      past.push(sealed);
      const fate = random.below(20);
      const arrive = (packet, delay) => queue.push({ at: now + delay, packet });
      if (fate < 2) continue;
      if (fate < 4) arrive(sealed, random.below(80));
      else if (fate < 6) arrive(sealed, 1), arrive(sealed, 1 + random.below(50));
      else if (fate < 8) arrive(sealed, 1), arrive(past[random.below(past.length)], 2);
      else if (fate < 10) arrive(swapped(sealed, past[random.below(past.length)]), 1);
      else if (fate < 12) arrive(corrupted(sealed, random), 1);
      else arrive(sealed, 1);
      if (fate < 2 || (fate >= 8 && fate < 12)) continue;
      untouched.add(toHex(plain));
    }
    queue.sort((left, right) => left.at - right.at);
    while (queue.length > 0 && queue[0].at <= now) {
      try {
        const got = await bob.receive(queue.shift().packet, undefined, now);
        if (got !== undefined) opened.push(got);
      } catch (error) {
        if (error.reason === undefined) throw error;
      }
    }
  }
  const seen = new Set();
  for (const { packet, member: from } of opened) {
    equal(sent.get(toHex(packet)), from.leafIndex, "sent, and by whom");
    equal(seen.has(toHex(packet)), false, "once");
    seen.add(toHex(packet));
  }
  const missed = [...untouched].filter((plain) => !seen.has(plain)).length;
  // Those that were on their way at the end.
  equal(missed <= queue.length, true, `${missed} of ${untouched.size} that the relay passed on are missing`);
  for (const leaf of sequences.keys()) {
    const plain = rtp(SSRC, sequences.get(leaf) + 1);
    await hears(bob, await all.get(leaf).protect(plain, 4_000), plain, leaf, 4_000, "in the end");
  }
  return seen.size;
}

/** One packet's header before the other's payload. */
const swapped = (one, other) => Uint8Array.of(...one.subarray(0, 12), ...other.subarray(12));

function corrupted(packet, random) {
  const altered = packet.slice();
  altered[random.below(altered.length)] ^= 1 << random.below(8);
  return altered;
}
