// A relay between three members who all send: it drops, reorders, duplicates, replays, swaps and corrupts a tenth of the frames each.
// Whatever it does, what a receiver shows of a stream is frames that this sender sent in it, each once; and when it stops, all is well.

import { BAD_AFTER, HOLD } from "../../../web/src/media/incoming.ts";
import { metadata } from "../../../web/src/media/clear_bytes.ts";
import { FrameKey, MAX_FRAMES } from "../../../web/src/media/sframe.ts";
import { encodeKid, EPOCH_BITS } from "../../../web/src/media/sframe_kid.ts";
import { arrive, bytes, End, epochOf, outcomes } from "./rules_support.mjs";
import { equal, randomSource } from "./support.mjs";

const NAMES = ["alice", "bob", "carol"];
const FRAMES = 300;
const EVERY = 33;

/** All members in epoch 1. */
async function room(suite) {
  const ends = NAMES.map((name) => new End(name));
  for (const end of ends) await end.enter({ number: 1, members: NAMES, reason: "start", suite }, 0);
  return ends;
}

/** What the relay makes of one frame on its way to a stream: packets with the stream and time at which they arrive. */
function handled(random, { at, to, data }, sent) {
  const one = () => random.below(10) === 0;
  if (one()) return []; // dropped
  const arrivals = [{ at, to, data }];
  if (one()) arrivals[0].at += random.below(6) * EVERY; // reordered
  if (one()) arrivals.push({ at: at + 1, to, data }); // duplicated
  if (one() && sent.length > 0) arrivals.push({ at, to, data: sent[random.below(sent.length)].data }); // replayed, anything it ever saw
  if (one()) arrivals[0].to = 1 - to; // swapped
  if (one()) {
    const altered = data.slice();
    altered[random.below(altered.length)] ^= 1 << random.below(8);
    arrivals[0].data = altered; // corrupted
  }
  return arrivals;
}

/** Bob receives Alice's and Carol's streams by this relay, with epochs that change. */
export async function hostile({ seed, suite, bound }) {
  const random = randomSource(seed);
  const [alice, bob, carol] = await room(suite);
  const senders = [alice, carol];
  const streams = senders.map((end) => end.outgoing());
  const shown = senders.map((end) => bob.incoming(0, bound ? end.name : undefined));
  const events = [];
  const sent = [];
  let number = 1;
  for (let frame = 0; frame < FRAMES; frame += 1) {
    const now = frame * EVERY;
    if (frame % 50 === 49) {
      number += 1;
      const options = { number, members: NAMES, reason: "update", suite };
      for (const end of [alice, carol]) await end.enter(options, now);
      events.push({ at: now + random.below(3_000), enter: options });
    }
    for (const to of [0, 1]) {
      const data = await streams[to].protect("VP9", bytes(`${senders[to].name} ${frame}`), now);
      events.push(...handled(random, { at: now, to, data }, sent));
      sent.push({ to, data });
    }
  }
  events.sort((left, right) => left.at - right.at);
  const got = [[], []];
  let now = 0;
  for (const { at, to, data, enter } of events) {
    now = at;
    if (enter !== undefined) {
      await bob.enter(enter, at);
      for (const index of [0, 1]) got[index].push(...outcomes(await shown[index].settle(at)));
    } else got[to].push(...(await arrive(shown[to], [data], at)));
  }
  const good = got.map((stream) => stream.filter((text) => / /.test(text)));
  for (const [index, stream] of good.entries()) {
    for (const text of stream) equal(/^(alice|carol) \d+$/.test(text), true, `something that nobody sent: ${text}`);
    equal(new Set(stream).size, stream.length, "each frame once");
    const owners = stream.map((text) => text.split(" ")[0]);
    if (bound) equal(owners.every((name) => name === senders[index].name), true, `one member's alone in ${index}`);
    // Where it may be anybody's, a relay can choose whose; but it changes only after a silence, as commits that are late make one.
    const changes = owners.filter((name, at) => at > 0 && name !== owners[at - 1]).length;
    equal(changes < number, true, `one at a time in ${index}: ${changes} changes`);
    equal(stream.length > FRAMES / 4, true, `most of what came whole is shown, got ${stream.length}`);
  }
  equal(new Set(good.flat()).size, good.flat().length, "no frame in two streams");
  // it stops, and within HOLD all frames come through
  now += HOLD + BAD_AFTER;
  for (const index of [0, 1]) await shown[index].settle(now);
  for (let frame = 0; frame < 20; frame += 1) {
    for (const index of [0, 1]) {
      const owner = shown[index].condition.member.name;
      const from = senders.findIndex(({ name }) => name === owner);
      const data = await streams[from].protect("VP9", bytes(`${owner} after ${index} ${frame}`), now);
      equal((await arrive(shown[index], [data], now)).join(), `${owner} after ${index} ${frame}`, "it recovers");
    }
    now += EVERY;
  }
  return good.flat().length;
}

/** C4: a relay that swaps two streams for good. Where it is known whose it is, nothing is shown; else it is told whose it is. */
export async function swapped() {
  const [alice, bob, carol] = await room(4);
  const [fromAlice, fromCarol] = [alice.outgoing(), carol.outgoing()];
  const seal = async (stream, text, now) => stream.protect("VP9", bytes(text), now);
  const bound = bob.incoming(0, "alice");
  for (let now = 0; now <= 3 * BAD_AFTER; now += 100) {
    equal((await arrive(bound, [await seal(fromCarol, "carol", now)], now)).join(), "unknown-stream", "another member's stream");
  }
  equal(`${bound.condition.state} ${bound.condition.reason} ${bound.condition.member}`, "refused unknown-stream undefined", "told");
  // and where a stream may be anybody's: never two at once, and the second one under its own name
  const open = bob.incoming(0);
  equal((await arrive(open, [await seal(fromAlice, "alice", 0)], 0)).join(), "alice", "the first one");
  equal((await arrive(open, [await seal(fromCarol, "carol", 100)], 100)).join(), "unknown-stream", "another one in between");
  equal((await arrive(open, [await seal(fromCarol, "carol", 0)], BAD_AFTER)).join(), "carol", "when the first is silent");
  equal(open.condition.member.name, "carol", "whose it is");
  // two streams of one member are two streams
  const screen = alice.outgoing();
  const camera = bob.incoming(0, "alice");
  equal((await arrive(camera, [await seal(fromAlice, "camera", 0)], 0)).join(), "camera", "the camera");
  equal((await arrive(camera, [await seal(screen, "screen", 0)], 100)).join(), "unknown-stream", "the screen in its place");
  // one stream in two places: shown in one
  const twice = await seal(fromAlice, "once", 200);
  equal((await arrive(camera, [twice], 200)).join(), "once", "in its place");
  equal((await arrive(bob.incoming(200), [twice], 200)).join(), "replayed", "and in no other");
  return 8;
}

/** C4: a member who seals frames under another one's key, on its own connection, takes nothing of that one's stream away. */
export async function anothersCounters() {
  const [alice, bob] = await room(4);
  const stream = alice.outgoing();
  const [fromAlice, fromCarol] = [bob.incoming(0, "alice"), bob.incoming(0, "carol")];
  equal((await arrive(fromAlice, [await stream.protect("VP9", bytes("one"), 0)], 0)).join(), "one", "before");
  // the first stream of the first leaf, with keys that every member has
  const { sframe } = await epochOf({ number: 1, members: NAMES, own: "carol", reason: "start" });
  const kid = encodeKid(0n, 0, 1n, { indexBits: sframe.indexBits, epochBits: EPOCH_BITS });
  const key = await FrameKey.derive(sframe.suite, sframe.baseKey, kid);
  const far = await key.encrypt(MAX_FRAMES - 1, metadata("VP9"), bytes("forged"));
  equal((await arrive(fromCarol, [far], 10)).join(), "unknown-stream", "under alice's key from carol");
  equal((await arrive(fromCarol, [await stream.protect("VP9", bytes("two"), 20)], 20)).join(), "unknown-stream", "alice's own from carol");
  const more = [await stream.protect("VP9", bytes("three"), 30), await stream.protect("VP9", bytes("four"), 30)];
  equal((await arrive(fromAlice, more, 30)).join(), "three,four", "after");
  // nor a blank leaf's keys, which every member can compute, too
  const blank = new End("bob");
  await blank.enter({ number: 1, members: ["alice", "bob", null, "carol"], reason: "start" }, 0);
  const wide = await epochOf({ number: 1, members: ["alice", "bob", null, "carol"], own: "carol", reason: "start" });
  const nobody = encodeKid(0n, 2, 1n, { indexBits: wide.sframe.indexBits, epochBits: EPOCH_BITS });
  const theirs = await FrameKey.derive(wide.sframe.suite, wide.sframe.baseKey, nobody);
  const ghost = await theirs.encrypt(0, metadata("VP9"), bytes("ghost"));
  const open = blank.incoming(0);
  equal((await arrive(open, [ghost], 0)).join(), "unknown-key", "nobody's");
  return 6;
}

/** Without keys nothing comes out, and nothing that is no frame of ours comes in: D11. */
export async function withoutKeys() {
  const [alice, bob] = await room(4);
  const eve = new End("eve");
  const stream = eve.incoming(0);
  const data = await alice.outgoing().protect("VP9", bytes("secret words"), 0);
  equal((await arrive(stream, [data], 0)).join(), "", "held");
  equal(outcomes(await stream.settle(HOLD)).join(), "unknown-key", "no keys");
  equal(new TextDecoder("latin1").decode(data).includes("secret"), false, "nothing to read");
  equal(await eve.outgoing().protect("VP9", bytes("x"), 0), undefined, "nothing goes out unprotected");
  const random = randomSource(5);
  const coming = bob.incoming(0);
  for (let turn = 0; turn < 500; turn += 1) {
    const junk = random.bytes(random.below(60));
    for (const text of await arrive(coming, [junk], turn * 10)) equal(/^[a-z-]+$/.test(text), true, "refused by name");
  }
  return 504;
}
