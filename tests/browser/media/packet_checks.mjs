// Frames in RTP packets and back: what other implementations make of ours and we of theirs, loss, reordering, bounds.

import { OPUS } from "../../../web/src/media/rtp_opus.ts";
import { decodeRtp, encodeRtp } from "../../../web/src/media/rtp_packet.ts";
import { MAX_PAYLOAD } from "../../../web/src/media/rtp_payload.ts";
import { MAX_HELD, RtpIncoming, WAIT } from "../../../web/src/media/rtp_incoming.ts";
import { RtpOutgoing } from "../../../web/src/media/rtp_outgoing.ts";
import { VP8 } from "../../../web/src/media/rtp_vp8.ts";
import { VP9 } from "../../../web/src/media/rtp_vp9.ts";
import { equal, hex, randomSource, refused, toHex } from "./support.mjs";

const FORMATS = { VP8, VP9, OPUS };
const SSRC = 0xfeedf00d;

/** A frame as the format's reader sees it: key frames say so in their first byte, and WebCodecs besides. */
function frame(codec, random, keyFrame, size) {
  const data = random.bytes(Math.max(1, size));
  if (codec === "VP9") data[0] = keyFrame ? 0x82 : 0x86;
  else data[0] = keyFrame ? data[0] & 0xfe : data[0] | 1;
  return data;
}

/** The payloads of frames, one after the other, for others to read. */
export async function split({ codec, frames }) {
  const packetiser = FORMATS[codec].packetiser();
  return frames.map(({ data, keyFrame }) => packetiser.split(hex(data), keyFrame).map(toHex));
}

/** Payloads of others. */
export async function read({ codec, payloads }) {
  return payloads.map(({ payload, marker }) => {
    const { first, last, keyFrame, data } = FORMATS[codec].read(hex(payload), marker);
    return { first, last, keyFrame, data: toHex(data) };
  });
}

export async function malformed({ codec, payloads }) {
  for (const payload of payloads) await refused(async () => FORMATS[codec].read(hex(payload), true), "malformed", payload);
  return payloads.length;
}

export async function headers() {
  const random = randomSource(5);
  for (let round = 0; round < 200; round += 1) {
    const packet = {
      payloadType: random.below(128), marker: random.below(2) === 1, sequence: random.below(65_536),
      timestamp: random.next(), ssrc: random.next(), payload: random.bytes(random.below(30)),
    };
    const bytes = encodeRtp(packet);
    const plain = (value) => JSON.stringify({ ...value, payload: toHex(value.payload) });
    equal(plain(decodeRtp(bytes)), plain(packet), "packet");
    const padded = Uint8Array.of(...bytes, 0, 0, 3);
    padded[0] |= 0x20;
    equal(plain(decodeRtp(padded)), plain(packet), "padded");
    for (const wrong of [0, packet.payload.length + 4]) {
      padded[padded.length - 1] = wrong;
      await refused(async () => decodeRtp(padded), "malformed", `${wrong} bytes of padding`);
    }
  }
  return 200;
}

function sent(codec, random, count, keyEvery) {
  // Sequence numbers and timestamps both wrap on the way.
  const stream = new RtpOutgoing(SSRC, FORMATS[codec], 2 ** 32 - 100_000 - 2 ** 15 - 3);
  return Array.from({ length: count }, (_, at) => {
    const keyFrame = codec === "OPUS" || at % keyEvery === 0;
    const data = frame(codec, random, keyFrame, codec === "OPUS" ? 1 + random.below(300) : random.below(keyFrame ? 9_000 : 4_000));
    return { at, keyFrame, data, packets: stream.packets({ data, keyFrame, timestamp: at * 20_000 }) };
  });
}

/**
 * Packets lost, late and out of order. Frames come out whole and in order; of video none comes whose predecessor did not, and where
 * nothing is lost and nothing later than WAIT, all come.
 */
export async function network({ codec, loss, jitter, seed }) {
  const random = randomSource(seed);
  const frames = sent(codec, random, 200, 10);
  for (const { packets } of frames) for (const packet of packets) if (packet.length > 12 + MAX_PAYLOAD) throw new Error("too long");
  const arrivals = frames.flatMap(({ at, packets }) =>
    packets.filter(() => random.below(100) >= loss).map((packet) => ({ packet, time: at * 20 + random.below(jitter + 1) })));
  arrivals.sort((left, right) => left.time - right.time);
  const incoming = new RtpIncoming(FORMATS[codec]);
  const out = [];
  for (const { packet, time } of arrivals) {
    for (let due = incoming.due(); due !== undefined && due < time; due = incoming.due()) out.push(...incoming.take(due));
    incoming.push(decodeRtp(packet), time);
    out.push(...incoming.take(time));
  }
  for (let due = incoming.due(); due !== undefined; due = incoming.due()) out.push(...incoming.take(due));
  const byData = new Map(frames.map(({ at, data }) => [toHex(data), at]));
  const numbers = out.map(({ data }) => byData.get(toHex(data)));
  let last = -1;
  for (const [place, at] of numbers.entries()) {
    if (at === undefined || at <= last) throw new Error(`frame ${at} after ${last}`);
    equal(out[place].keyFrame, frames[at].keyFrame, `key frame ${at}`);
    if (codec !== "OPUS" && at !== last + 1) equal(frames[at].keyFrame, true, `after a gap, frame ${at}`);
    if (place > 0) equal(out[place].ticks - out[place - 1].ticks, ((at - last) * FORMATS[codec].clockRate) / 50, `ticks ${at}`);
    last = at;
  }
  // Who hears audio from its second packet on does not wait for the first.
  if (loss === 0 && jitter < WAIT) equal(out.length + (codec === "OPUS" ? numbers[0] : 0), frames.length, "frames");
  return out.length;
}

/** Says when a key frame is needed, and no longer. */
export async function keyFrames() {
  const random = randomSource(9);
  const frames = sent("VP8", random, 12, 6).map(({ packets }) => packets);
  const incoming = new RtpIncoming(VP8);
  const push = (packets, now) => packets.forEach((packet) => incoming.push(decodeRtp(packet), now));
  push(frames[0], 0);
  equal(incoming.take(0).length, 1, "first");
  push(frames[1].slice(1), 20);
  push(frames[2], 20);
  equal(`${incoming.take(20 + WAIT - 1).length} ${incoming.needsKeyFrame}`, "0 false", "waits");
  equal(`${incoming.take(20 + WAIT).length} ${incoming.needsKeyFrame}`, "0 true", "gives up");
  push(frames[1].slice(0, 1), 130); // too late
  push(frames[3], 130);
  equal(`${incoming.take(140).length} ${incoming.needsKeyFrame}`, "0 true", "still");
  push(frames[6], 150);
  push(frames[7], 150);
  equal(`${incoming.take(150).length} ${incoming.needsKeyFrame}`, "2 false", "follows again");
  const late = new RtpIncoming(VP8);
  for (const packets of frames.slice(1, 4)) packets.forEach((packet) => late.push(decodeRtp(packet), 0));
  equal(`${late.take(0).length} ${late.needsKeyFrame}`, "0 false", "somebody who joins");
  equal(`${late.take(WAIT).length} ${late.needsKeyFrame}`, "0 true", "somebody who joins, a moment later");
  return 1;
}

/** A frame whose packets come one by one is waited for, as long as none is missing: at the beginning of a stream and later. */
export async function slow() {
  const random = randomSource(11);
  const stream = new RtpOutgoing(SSRC, VP8, 7);
  const frames = [0, 1, 2].map((at) => stream.packets({ data: frame("VP8", random, at === 0, 5_000), keyFrame: at === 0, timestamp: at * 20_000 }));
  const incoming = new RtpIncoming(VP8);
  let now = 0;
  for (const [at, packets] of frames.slice(0, 2).entries()) {
    equal(packets.length > 2, true, "a frame of some packets");
    for (const packet of packets) {
      equal(`${incoming.due()} ${incoming.take(now).length} ${incoming.needsKeyFrame}`, "undefined 0 false", `frame ${at} comes`);
      incoming.push(decodeRtp(packet), (now += 2 * WAIT));
    }
    equal(incoming.take(now).length, 1, `frame ${at} is there`);
  }
  for (const packet of frames[2].filter((_, place) => place !== 1)) incoming.push(decodeRtp(packet), now);
  equal(`${incoming.due()} ${incoming.take(now + WAIT).length} ${incoming.needsKeyFrame}`, `${now + WAIT} 0 true`, "one is missing");
  return 1;
}

/** A member who sends what it likes costs a bounded piece of memory, and the stream goes on after it. */
export async function bounds({ seed }) {
  const random = randomSource(seed);
  const incoming = new RtpIncoming(VP8);
  const payload = (first, key) => Uint8Array.of(first ? 0x10 : 0, key ? 0 : 1);
  let sequence = 0;
  const packet = (changes) => ({ payloadType: 96, marker: false, sequence, timestamp: 0, ssrc: SSRC, payload: payload(false, false), ...changes });
  for (let round = 0; round < 3_000; round += 1) {
    sequence = random.below(3) === 0 ? random.below(65_536) : (sequence + 1) % 65_536;
    const [first, key] = [random.below(4) === 0, random.below(2) === 0];
    incoming.push(packet({ marker: random.below(4) === 0, timestamp: random.next(), payload: payload(first, key) }), 0);
    incoming.take(0);
    if (incoming.size > MAX_HELD) throw new Error(`${incoming.size} packets held`);
  }
  equal(incoming.size > MAX_HELD / 2, true, "the bound was reached");
  incoming.take(WAIT);
  equal(incoming.due(), undefined, "after all have waited, nothing does"); // but a frame that has just begun
  await refused(async () => incoming.push(packet({ payloadType: 97 }), 0), "malformed", "another payload type");
  return 1;
}
