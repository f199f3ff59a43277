// Reports of streams and what a sender makes of them, without a clock and without a network.

import { encodeReport, MAX_BLOCKS, readReport } from "../../../web/src/media/rtcp_rr.ts";
import { encodePli, readPli } from "../../../web/src/media/rtcp_pli.ts";
import { Reception } from "../../../web/src/media/rtp_reception.ts";
import { AHEAD, Budget } from "../../../web/src/media/srtp_budget.ts";
import { CUT, INCREASE, LEAST, LOSS_CUT, MAX_WAITING, SILENT, StreamReach, UNHEARD } from "../../../web/src/media/srtp_reach.ts";
import { equal, hex, toHex } from "./support.mjs";

const WISHED = 1_000_000;
const SIZE = 1_000;
const STEP = 500;

/** Reports as others write and read them: `packets` are aiortc's. */
export function reports({ packets }) {
  for (const { own, blocks, packet } of packets) {
    equal(toHex(encodeReport(own, blocks)), packet, "written");
    equal(JSON.stringify(readReport(hex(packet))), JSON.stringify(blocks), "read");
    for (let size = 8; size < packet.length / 2; size += 1) equal(readReport(hex(packet).subarray(0, size)), undefined, `cut to ${size}`);
    equal(readReport(Uint8Array.of(...hex(packet), 0)), undefined, "a byte more");
    equal(readPli(hex(packet)), undefined, "no request");
  }
  equal(readReport(encodePli(1, 2)), undefined, "a request");
  const many = Array.from({ length: MAX_BLOCKS }, (_, ssrc) => ({ ssrc, fractionLost: 0, lost: 0, highest: 0, jitter: 0 }));
  equal(readReport(encodeReport(1, many)).length, MAX_BLOCKS, "as many as there can be");
  return packets.length;
}

const rtp = (sequence, timestamp = 0) => ({ sequence: sequence % 65_536, timestamp });

/** What is reported of a stream: losses by interval and ever, late packets, a turn of the sequence numbers, jitter. */
export function reception() {
  const stream = new Reception(90_000);
  const says = (expected, what) => {
    const found = stream.report(7);
    equal(found === undefined ? "nothing" : `${found.fractionLost} ${found.lost} ${found.highest} ${found.jitter}`, expected, what);
  };
  says("nothing", "before the first packet");
  for (const sequence of [65_534, 65_535, 65_536]) stream.push(rtp(sequence), 0);
  says("0 0 65536 0", "all of three, over the turn");
  for (const sequence of [65_537, 65_540]) stream.push(rtp(sequence), 0);
  says("0.5 2 65540 0", "two of four lost");
  stream.push(rtp(65_538), 0);
  says("0 1 65540 0", "one came late");
  stream.push(rtp(65_000), 0);
  says("0 1 65540 0", "one of before the first");
  for (let sequence = 65_541; sequence < 66_541; sequence += 1) stream.push(rtp(sequence, 90 * (sequence - 65_541)), sequence - 65_541 + 3 * (sequence % 2));
  const { jitter } = stream.report(7);
  if (Math.abs(jitter - 270) > 20) throw new Error(`jitter: expected about 270 ticks, three milliseconds, got ${jitter}`);
  return 1;
}

/**
 * A sender of 1,000-byte packets at the rate that `StreamReach` gives, and a way that takes `capacity` bits a second with room for
 * `room` packets; whoever hears reports every half second. Answers the rate at the end of each second, and the most that waited in it.
 */
function play(reach, { capacity, room, seconds, from = 0 }) {
  const [rates, waited, queue] = [[], [], []];
  let [sequence, credit, drained, highest, received, most] = [0, 0, 0, -1, 0, 0];
  let before = { highest: -1, received: 0 };
  for (let now = from; now < from + seconds * 1_000; now += 1) {
    credit += reach.look(now).bitrate / 1_000;
    for (; credit >= 8 * SIZE; credit -= 8 * SIZE) {
      reach.sent(sequence % 65_536, SIZE, now);
      if (queue.length < room) queue.push(sequence);
      sequence += 1;
    }
    most = Math.max(most, queue.length);
    drained += capacity / 1_000;
    for (; drained >= 8 * SIZE && queue.length > 0; drained -= 8 * SIZE) [highest, received] = [queue.shift(), received + 1];
    if (queue.length === 0) drained = Math.min(drained, 8 * SIZE);
    if (now % STEP === 0 && highest >= 0) {
      const expected = highest - before.highest;
      reach.reported("bob", { highest, fractionLost: expected <= 0 ? 0 : (expected - (received - before.received)) / expected }, now);
      before = { highest, received };
    }
    if ((now + 1 - from) % 1_000 === 0) {
      rates.push(reach.look(now).bitrate);
      waited.push(most);
      most = 0;
    }
  }
  return { rates, waited };
}

/** On a way that takes a fifth of what is wished, whatever its room: the rate comes near it, and what waits grows short. */
export function thin() {
  let count = 0;
  for (const room of [8, 32, 1_000]) {
    for (const capacity of [100_000, 200_000, 400_000]) {
      const reach = new StreamReach(WISHED);
      reach.listening(["bob"], 0);
      const { rates, waited } = play(reach, { capacity, room, seconds: 60 });
      const most = Math.max(...waited.slice(30));
      const later = rates.slice(30);
      const mean = later.reduce((sum, rate) => sum + rate, 0) / later.length;
      if (mean < 0.5 * capacity || mean > 1.2 * capacity) throw new Error(`room ${room}: expected about ${capacity} bits a second, got ${mean}`);
      if (most > Math.min(room, (2 * capacity) / 8 / SIZE)) throw new Error(`room ${room}: expected less than two seconds to wait, got ${most} packets`);
      count += 1;
    }
  }
  return count;
}

/** A way that takes all: the rate is what was wished, and comes back to it after a bad time. */
export function wide() {
  const reach = new StreamReach(WISHED);
  reach.listening(["bob"], 0);
  equal(Math.min(...play(reach, { capacity: 2 * WISHED, room: 100, seconds: 5 }).rates), WISHED, "as wished");
  reach.reported("bob", { highest: 0, fractionLost: 0.5 }, 5_000);
  reach.sent(1, SIZE, 5_000);
  reach.reported("bob", { highest: 1, fractionLost: LOSS_CUT + 0.01 }, 5_500);
  const low = reach.look(5_500).bitrate;
  if (low > CUT * WISHED) throw new Error(`expected a cut, got ${low}`);
  for (let now = 6_000; now <= 60_000; now += STEP) {
    reach.sent(now / STEP, SIZE, now);
    reach.reported("bob", { highest: now / STEP, fractionLost: 0 }, now);
    equal(reach.look(now).bitrate, Math.min(WISHED, Math.round(low + (INCREASE * (now - 5_500)) / 1_000)), `at ${now}`);
  }
  return 1;
}

/** The least of those who report counts; who is silent or gone does not. One packet too late is cut for once. */
export function several() {
  const reach = new StreamReach(WISHED);
  reach.listening(["bob", "carol"], 0);
  for (let sequence = 0; sequence < 10; sequence += 1) reach.sent(sequence, SIZE, 0);
  reach.reported("bob", { highest: 9, fractionLost: 0 }, 100);
  reach.reported("carol", { highest: 0, fractionLost: 0 }, MAX_WAITING);
  equal(reach.look(MAX_WAITING).bitrate, WISHED, "in time");
  reach.reported("carol", { highest: 1, fractionLost: 0 }, MAX_WAITING + 1);
  equal(reach.look(600).bitrate, CUT * WISHED, "late: a part of it");
  const cut = reach.look(600).bitrate;
  reach.reported("carol", { highest: 2, fractionLost: 0.2 }, 503);
  equal(reach.look(700).bitrate, cut, "what was on its way at the cut counts once");
  reach.reported("carol", { highest: 3, fractionLost: 0.2 }, 523);
  equal(reach.look(700).bitrate, Math.round((CUT * 0.8 * 8 * SIZE) / 0.02), "but for what arrives, which is less than that");
  const then = reach.look(700).bitrate;
  reach.reported("mallory", { highest: 2, fractionLost: 1 }, 700);
  equal(reach.look(700).bitrate, then, "of nobody who takes part");
  reach.reported("carol", { highest: 77, fractionLost: 0.9 }, 700);
  equal(reach.look(700).bitrate, then, "of a packet that was not sent");
  reach.reported("bob", { highest: 9, fractionLost: 0 }, 700 + SILENT);
  equal(reach.look(700 + SILENT).bitrate, WISHED, "carol is silent");
  reach.reported("carol", { highest: 4, fractionLost: 0 }, 3_000);
  equal(reach.look(3_000).bitrate < WISHED, true, "and there again");
  reach.listening(["bob"], 3_000);
  equal(reach.look(3_000).bitrate, WISHED, "carol is gone");
  const small = new StreamReach(LEAST / 2);
  small.listening(["bob"], 0);
  for (let sequence = 0; sequence < 5; sequence += 1) {
    small.sent(sequence, SIZE, STEP * sequence);
    small.reported("bob", { highest: sequence, fractionLost: 0.9 }, STEP * sequence);
  }
  equal(small.look(5 * STEP).bitrate, LEAST / 2, "who wishes for less than the least has it");
  return 1;
}

/** What was sent is paid for by time: an encoder that gives ten times what it was asked for sends as much, in fewer pictures. */
export function budget() {
  const made = new Budget(100_000);
  let [bits, longest, waited] = [0, 0, 0];
  for (let now = 0; now < 60_000; now += 50) {
    waited += 1;
    if (!made.free(now)) continue;
    made.spend(6_250, now); // 50 ms at a megabit a second
    [bits, longest, waited] = [bits + 50_000, Math.max(longest, waited), 0];
  }
  equal(bits / 100_000 >= 59 && bits / 100_000 <= 62, true, `of 60 seconds' bits, sent ${bits / 100_000}`);
  equal(longest <= 11, true, `one in half a second, got one in ${longest} pictures`);
  const one = new Budget(1_000);
  one.spend(62, 0);
  equal(one.free(0), true, "not more than may be ahead");
  one.spend(1, 0);
  equal(one.free(0), false, "more");
  one.setBitrate(2_000, 0);
  equal(one.free(0), true, "by another rate, less");
  one.spend(10_000, AHEAD);
  equal(one.free(AHEAD + 39_499), false, "to be paid");
  equal(one.free(AHEAD + 39_500), true, "and paid");
  return 1;
}

/** The circuit breakers: the table of srtp_reach.ts. */
export function unheard() {
  const looks = (reach, now, expected, what) => {
    const { state, reason } = reach.look(now);
    equal(`${state} ${reason}`, expected, what);
  };
  let sequence = 0;
  const sends = (reach, from, to) => {
    for (let now = from; now < to; now += STEP) reach.sent((sequence += 1) % 65_536, SIZE, now);
  };
  const begun = (...clients) => {
    const reach = new StreamReach(WISHED);
    reach.listening(clients, 0);
    sends(reach, 0, UNHEARD + 1);
    return reach;
  };
  const alone = begun();
  looks(alone, UNHEARD, "sending undefined", "nobody listens");
  const silent = begun("bob", "carol");
  looks(silent, UNHEARD - 1, "sending undefined", "not yet");
  looks(silent, UNHEARD, "unheard no-reports", "nobody says anything");
  looks(silent, 10 * UNHEARD, "unheard no-reports", "and it stays");
  silent.newWay(10 * UNHEARD);
  looks(silent, 10 * UNHEARD, "sending undefined", "a new way");
  const empty = begun("bob");
  for (let now = 0; now < UNHEARD; now += STEP) empty.reported("bob", undefined, now);
  looks(empty, UNHEARD, "unheard no-packets", "who reports has got nothing");
  const late = begun("bob");
  looks(late, UNHEARD, "unheard no-reports", "who is not there yet");
  late.reported("bob", undefined, 2 * UNHEARD);
  looks(late, 2 * UNHEARD, "sending undefined", "comes late");
  empty.reported("bob", undefined, UNHEARD + STEP);
  looks(empty, UNHEARD + STEP, "unheard no-packets", "and says so again");
  empty.listening(["bob", "carol"], UNHEARD + STEP);
  looks(empty, UNHEARD + STEP, "sending undefined", "somebody begins to listen");
  const one = begun("bob", "carol");
  one.reported("bob", { highest: sequence, fractionLost: 0 }, UNHEARD - 1);
  looks(one, UNHEARD, "sending undefined", "one gets it");
  one.listening(["carol"], UNHEARD);
  looks(one, UNHEARD, "unheard no-reports", "and is gone");
  const stuck = begun("bob");
  for (let now = 0; now <= UNHEARD; now += STEP) stuck.reported("bob", { highest: sequence - 20, fractionLost: 0 }, now);
  looks(stuck, UNHEARD, "unheard no-packets", "the highest does not rise");
  stuck.reported("bob", { highest: sequence - 19, fractionLost: 0 }, UNHEARD + STEP);
  looks(stuck, UNHEARD + STEP, "sending undefined", "it rises");
  const back = begun("bob");
  back.reported("bob", { highest: sequence, fractionLost: 0 }, 0);
  looks(back, UNHEARD, "unheard no-reports", "the network is gone");
  back.reported("bob", undefined, 2 * UNHEARD);
  looks(back, 2 * UNHEARD, "sending undefined", "and there again");
  const quiet = begun("bob");
  looks(quiet, UNHEARD + 1 + SILENT, "sending undefined", "of a source that gives nothing, nothing is missing");
  sends(quiet, 3 * UNHEARD, 3 * UNHEARD + 1);
  looks(quiet, 3 * UNHEARD + 1, "sending undefined", "when it begins again all have time");
  return 1;
}
