// When keys change, and for how long they are held (web/src/media/conference_keys, incoming, outgoing): no clock but the one given.

import { BAD_AFTER, HOLD } from "../../../web/src/media/incoming.ts";
import { ConferenceKeys, MOVE_AFTER, OLD_EPOCH, OLD_KEY } from "../../../web/src/media/conference_keys.ts";
import { decodeHeader } from "../../../web/src/media/sframe_header.ts";
import { arrive, bytes, End, epochOf, outcomes } from "./rules_support.mjs";
import { equal, randomSource } from "./support.mjs";

const ALL = ["alice", "bob", "carol"];
const list = (values) => values.join(" ");
const low = (sealed) => Number(decodeHeader(sealed).kid & 0xffn);

/** Everybody in `names` in epoch `number`. */
async function meet(names, options, now = 0) {
  const ends = Object.fromEntries(names.map((name) => [name, new End(name)]));
  for (const end of Object.values(ends)) await end.enter({ number: 1, members: names, reason: "start", ...options }, now);
  return ends;
}

export async function sending() {
  let cases = 0;
  for (const [reason, delay] of [["remove", 0], ["successor", 0], ["start", 0], ["add", MOVE_AFTER], ["update", MOVE_AFTER]]) {
    const { alice } = await meet(["alice", "bob"]);
    const stream = alice.outgoing();
    await alice.enter({ number: 2, members: ["alice", "bob"], reason }, 10_000);
    for (const [at, expected] of [[10_000 + delay - 1, 1], [10_000 + delay, 2], [10_000 + 5_000, 2]]) {
      if (at < 10_000) continue;
      equal(low(await stream.protect("VP9", bytes("frame"), at)), expected, `${reason} at ${at}`);
      cases += 1;
    }
  }
  equal(MOVE_AFTER < 1_000, true, "wire.md: within a second");
  // a removal overtakes a commit that still waits
  const { alice } = await meet(ALL);
  const stream = alice.outgoing();
  await alice.enter({ number: 2, members: ALL, reason: "update" }, 100);
  await alice.enter({ number: 3, members: ["alice", "bob", null], reason: "remove" }, 200);
  equal(low(await stream.protect("VP9", bytes("frame"), 200)), 3, "remove after update");
  equal(await new End("dave").outgoing().protect("VP9", bytes("frame"), 0), undefined, "no keys, no frame");
  return cases;
}

export async function counters() {
  // Two streams and two starts of one member: no KID and counter twice, over epochs that change.
  const { alice } = await meet(["alice", "bob"]);
  const seen = new Set();
  let now = 0;
  for (let number = 2; number < 8; number += 1) {
    for (const stream of [alice.outgoing(), alice.outgoing()]) {
      for (let frame = 0; frame < 5; frame += 1) {
        const { kid, ctr } = decodeHeader(await stream.protect("audio", bytes("x"), (now += 10)));
        seen.add(`${now > 0 && number}/${kid}/${ctr}`);
      }
    }
    await alice.enter({ number, members: ["alice", "bob"], reason: "remove" }, now);
  }
  equal(seen.size, 60, "KIDs and counters");
  return seen.size;
}

export async function oldKeys() {
  const { alice, bob } = await meet(ALL);
  const [late, fresh] = [alice.outgoing(), alice.outgoing()];
  const sealed = [];
  for (let frame = 0; frame < 6; frame += 1) sealed.push(await late.protect("VP9", bytes(`old ${frame}`), 0));
  const stream = bob.incoming(0);
  for (const end of [alice, bob]) await end.enter({ number: 2, members: ALL }, 1_000);
  equal(list(await arrive(stream, [sealed[0]], 1_500)), "old 0", "before the first frame under the new key");
  const other = bob.incoming(0);
  const moved = await fresh.protect("VP9", bytes("new"), 1_000 + MOVE_AFTER);
  equal(list(await arrive(other, [moved], 2_000)), "new", "the new key");
  equal(list(await arrive(stream, [sealed[1]], 2_000 + OLD_KEY - 1)), "old 1", "a second later");
  equal(list(await arrive(stream, [sealed[2]], 2_000 + OLD_KEY)), "unknown-key", "OLD_KEY after");
  // of who never moved: OLD_EPOCH at most
  const { carol, bob: second } = await meet(ALL);
  const slow = carol.outgoing();
  const [first, last] = [await slow.protect("VP9", bytes("slow"), 0), await slow.protect("VP9", bytes("too slow"), 0)];
  const coming = second.incoming(0);
  await second.enter({ number: 2, members: ALL }, 1_000);
  equal(second.keys.due(), 1_000 + OLD_EPOCH, "due");
  equal(list(await arrive(coming, [first], 1_000 + OLD_EPOCH - 1)), "slow", "held for OLD_EPOCH");
  equal(list(await arrive(coming, [last], 1_000 + OLD_EPOCH)), "unknown-key", "and no longer");
  equal(second.keys.due(), undefined, "nothing grows old any more");
  return 8;
}

export async function removed() {
  const { alice, bob, carol } = await meet(ALL);
  const stream = carol.outgoing();
  const sealed = [await stream.protect("VP9", bytes("one"), 0), await stream.protect("VP9", bytes("two"), 0)];
  const coming = bob.incoming(0);
  equal(list(await arrive(coming, [sealed[0]], 0)), "one", "a member");
  for (const end of [alice, bob]) await end.enter({ number: 2, members: ["alice", "bob", null], reason: "remove" }, 100);
  equal(list(await arrive(coming, [sealed[1]], 100)), "unknown-key", "removed: at once");
  // whoever comes to the leaf in the same commit is somebody else
  const { alice: second, bob: host, carol: gone } = await meet(ALL);
  const before = await gone.outgoing().protect("VP9", bytes("carol"), 0);
  const dave = new End("dave");
  for (const end of [second, host, dave]) await end.enter({ number: 2, members: ["alice", "bob", "dave"], reason: "remove" }, 100);
  const shown = host.incoming(100);
  equal(list(await arrive(shown, [before], 100)), "unknown-key", "who was at the leaf");
  equal(list(await arrive(shown, [await dave.outgoing().protect("VP9", bytes("dave"), 100)], 100)), "dave", "who is at the leaf");
  equal(shown.condition.member.name, "dave", "whose it is");
  // our own end: nothing is sent or read
  const [mine, yours] = [host.outgoing(), await second.outgoing().protect("VP9", bytes("late"), 200)];
  host.keys.end();
  equal(await mine.protect("VP9", bytes("late"), 200), undefined, "sent after the end");
  equal(list(await arrive(host.incoming(200), [yours], 200)), "unknown-key", "read after the end");
  await host.enter({ number: 9, members: ALL, reason: "start" }, 300);
  equal(await mine.protect("VP9", bytes("late"), 300), undefined, "an ended conference does not begin again");
  return 8;
}

/** A removal while WebCrypto works on frames of both directions: neither comes out. */
export async function races() {
  const { alice, bob, carol } = await meet(ALL);
  const [sealed, leaving] = [await carol.outgoing().protect("VP9", bytes("racing"), 0), bob.outgoing()];
  const opening = arrive(bob.incoming(0), [sealed], 0);
  const sending = leaving.protect("VP9", bytes("racing"), 0);
  bob.keys.end();
  equal(list(await opening), "unknown-key", "opened meanwhile");
  equal(await sending, undefined, "sealed meanwhile");
  const dropped = await carol.outgoing().protect("VP9", bytes("racing"), 0);
  const epoch = await epochOf({ number: 2, members: ["alice", "bob", null], own: "alice", reason: "remove" });
  const racing = arrive(alice.incoming(0), [dropped], 0);
  alice.keys.add(epoch, 0);
  equal(list(await racing), "unknown-key", "removed meanwhile");
  return 3;
}

export async function holding() {
  const { alice, bob } = await meet(["alice", "bob"]);
  await alice.enter({ number: 2, members: ["alice", "bob"], reason: "remove" }, 0);
  const stream = alice.outgoing();
  const frames = [];
  for (let at = 0; at < 8; at += 1) frames.push(await stream.protect("VP9", bytes(`${at}`), 0));
  const coming = bob.incoming(0);
  equal(list(await arrive(coming, frames.slice(0, 2), 100)), "", "held");
  equal(list(await arrive(coming, frames.slice(2, 3), 600)), "", "held behind");
  equal(coming.due(), 100 + HOLD, "due");
  equal(list(outcomes(await coming.settle(100 + HOLD - 1))), "", "not yet");
  equal(coming.condition.state, "waiting", "no word of it before");
  equal(list(outcomes(await coming.settle(100 + HOLD))), "unknown-key unknown-key", "given up");
  equal(`${coming.condition.state} ${coming.condition.since}`, "no-key 100", "told, since when");
  await bob.enter({ number: 2, members: ["alice", "bob"], reason: "remove" }, 1_200);
  equal(list(outcomes(await coming.settle(1_200))), "2", "the key came in time");
  equal(list(await arrive(coming, frames.slice(3), 1_300)), "3 4 5 6 7", "in order");
  equal(`${coming.condition.state} ${coming.condition.since} ${coming.condition.member.name}`, "protected 1200 alice", "good again");
  // what cannot be on its way is not waited for: frames of an epoch long gone, or far off
  for (const number of [17 + 3, 250]) {
    const far = new End("alice");
    await far.enter({ number, members: ["alice", "bob"], reason: "start" }, 0);
    equal(list(await arrive(bob.incoming(0), [await far.outgoing().protect("VP9", bytes("far"), 0)], 0)), "unknown-key", `epoch ${number}`);
  }
  return 12;
}

export async function conditions() {
  const { alice, bob } = await meet(["alice", "bob"]);
  const stream = alice.outgoing();
  const frame = () => stream.protect("VP9", bytes("f"), 0);
  const broken = async () => {
    const sealed = await frame();
    sealed[sealed.length - 1] ^= 1;
    return sealed;
  };
  const coming = bob.incoming(0);
  const told = () => `${coming.condition.state} ${coming.condition.reason} ${coming.condition.since}`;
  equal(told(), "waiting undefined 0", "before the first frame");
  await arrive(coming, [await frame()], 50);
  equal(told(), "protected undefined 50", "good");
  await arrive(coming, [await broken()], 60);
  equal(told(), "protected undefined 50", "one bad frame is no trouble");
  await arrive(coming, [await broken()], 50 + BAD_AFTER);
  equal(told(), "protected undefined 50", "a second after the good one, not yet a second of trouble");
  await arrive(coming, [await broken()], 60 + BAD_AFTER);
  equal(told(), "refused not-authentic 60", "a second of trouble");
  await arrive(coming, [await frame()], 5_000);
  equal(told(), "protected undefined 5000", "good again");
  return 6;
}

export async function wrapping() {
  // 256 epochs on, the low bits come again: who is still in the old epoch is refused, never mixed up.
  const { alice, bob } = await meet(["alice", "bob"]);
  const stuck = alice.outgoing();
  const old = await stuck.protect("VP9", bytes("old"), 0);
  for (let number = 2; number <= 257; number += 1) await bob.enter({ number, members: ["alice", "bob"] }, number);
  equal(list(await arrive(bob.incoming(258), [old], 258)), "not-authentic", "the same low bits, another epoch");
  const fresh = new End("alice");
  await fresh.enter({ number: 257, members: ["alice", "bob"], reason: "start" }, 258);
  equal(list(await arrive(bob.incoming(258), [await fresh.outgoing().protect("VP9", bytes("new"), 258)], 258)), "new", "the newer one");
  return 2;
}

export async function successors() {
  // Another group follows, with the same low epoch numbers: frames on their way still open, contexts and counters begin anew.
  const { alice, bob, carol } = await meet(ALL, { number: 1 });
  const [stream, late, gone] = [alice.outgoing(), alice.outgoing(), carol.outgoing()];
  const before = [await late.protect("VP9", bytes("before"), 0), await late.protect("VP9", bytes("long before"), 0)];
  const stranger = await gone.protect("VP9", bytes("carol"), 0);
  const coming = bob.incoming(0);
  equal(list(await arrive(coming, [await stream.protect("VP9", bytes("first"), 0)], 0)), "first", "the first group");
  for (const end of [alice, bob]) await end.enter({ number: 1, members: ["bob", "alice"], reason: "successor", group: 2 }, 1_000);
  const after = await stream.protect("VP9", bytes("after"), 1_000);
  equal(list(await arrive(bob.incoming(1_000), [before[0]], 1_000)), "before", "on its way from the group before");
  equal(list(await arrive(coming, [after], 1_000)), "after", "at once in the new one");
  equal(list(await arrive(bob.incoming(1_000), [stranger], 1_000)), "not-authentic", "who did not come along");
  equal(list(await arrive(bob.incoming(1_000 + OLD_KEY), [before[1]], 1_000 + OLD_KEY)), "not-authentic", "too late");
  equal(list(await arrive(bob.incoming(9_000), [after], 9_000)), "replayed", "again");
  return 6;
}

/** C5: ten epochs a second, each member told of each at a time of its own: every frame is under one epoch's keys, and none is lost. */
export async function tenEpochs({ seed }) {
  const random = randomSource(seed);
  const { alice, bob } = await meet(["alice", "bob"]);
  const events = [];
  for (const end of [alice, bob]) {
    let at = 0; // everybody goes through all epochs, in order
    for (let number = 2; number < 62; number += 1) {
      at = Math.max(at, 100 * number + random.below(400));
      events.push({ at, order: number, end, number });
    }
  }
  for (let frame = 0; frame < 300; frame += 1) events.push({ at: 20 * frame + 100, order: -1, frame });
  events.sort((left, right) => left.at - right.at || left.order - right.order);
  const [stream, coming] = [alice.outgoing(), bob.incoming(0)];
  const used = new Set();
  const got = [];
  const onTheWay = [];
  for (const { at, end, number, frame } of events) {
    while (onTheWay.length > 0 && onTheWay[0].at <= at) {
      const next = onTheWay.shift();
      got.push(...(await arrive(coming, [next.data], next.at)));
    }
    if (end !== undefined) {
      const reason = number % 3 === 0 ? "remove" : "update";
      await end.enter({ number, members: ["alice", "bob"], reason }, at);
      got.push(...outcomes(await coming.settle(at)));
    } else {
      const data = await stream.protect("VP9", bytes(`${frame}`), at);
      used.add(low(data));
      onTheWay.push({ at: at + 30, data });
    }
  }
  for (const { at, data } of onTheWay) got.push(...(await arrive(coming, [data], at)));
  const lost = got.filter((text) => text === "unknown-key").length;
  const good = got.filter((text) => text !== "unknown-key");
  equal(list(good), list(good.slice().sort((left, right) => left - right)), "in order, nothing else");
  equal(got.length, 300, "every frame accounted for");
  equal(used.size > 10, true, "epochs sent under");
  return { lost, used: used.size };
}

export async function states() {
  const keys = new ConferenceKeys();
  equal(keys.sending(0), undefined, "before keys");
  equal(keys.due(), undefined, "nothing due");
  return 1;
}
