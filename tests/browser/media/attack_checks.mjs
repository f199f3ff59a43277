// Members who mean ill, against the rules of media: without a clock and without a network.

import { decode, encode, MAX_CANDIDATES, MAX_SECTIONS } from "../../../web/src/call/call_signal.ts";
import { WebRtcCarriage } from "../../../web/src/call/carrier.ts";
import { SrtpCarriage } from "../../../web/src/call/srtp_carrier.ts";
import { Negotiation } from "../../../web/src/call/negotiation.ts";
import { encodePli } from "../../../web/src/media/rtcp_pli.ts";
import { fitsVp8, fitsVp9 } from "../../../web/src/media/picture_size.ts";
import { Reception } from "../../../web/src/media/rtp_reception.ts";
import { KEY_FRAME_PAUSE, SrtpFeedback } from "../../../web/src/media/srtp_feedback.ts";
import { importMasterKey } from "../../../web/src/media/srtp_kdf.ts";
import { CODECS } from "../../../web/src/media/srtp_formats.ts";
import { SrtpSessions } from "../../../web/src/media/srtp_session.ts";
import { Shown } from "../../../web/src/media/srtp_shown.ts";
import { encodeStreams, MAX_STREAMS_EVER, streamNumber } from "../../../web/src/media/srtp_streams.ts";
import { equal, randomSource } from "./support.mjs";

const SSRC = 0x1234;
const WISHED = 1_000_000;
const STEP = 250;
const client = (name) => new TextEncoder().encode(name.padEnd(32));
const key = (name) => client(name).join();
const heard = (name, ssrc) => ({ ssrc, member: { clientId: client(name) }, reception: new Reception(90_000) });

/**
 * Mallory has a stream of the number of Alice's, and sends much worse than she: what Carol reports of one is not taken for the other.
 * Half a minute in a mesh, where each has ways of its own to each.
 */
export function sameNumber() {
  const told = [];
  const quiet = { send: () => undefined, keyFrame: () => undefined, reach: (_, reach) => told.push(`${reach.state} ${reach.bitrate}`) };
  const alice = new SrtpFeedback(quiet);
  alice.begin(1);
  alice.open(SSRC, WISHED, 0);
  for (const name of ["mallory", "carol"]) alice.listens(key(name), true, 0);
  const toAlice = (to) => to === undefined || to === "all" || to.client === key("alice");
  let reports = 0;
  const carol = new SrtpFeedback({
    ...quiet,
    send: (packet, to) => {
      if (!toAlice(to)) return;
      reports += 1;
      alice.hear(key("carol"), packet, now);
    },
  });
  carol.begin(2);
  for (const name of ["mallory", "alice"]) carol.listens(key(name), true, 0);
  const [theirs, hers] = [heard("mallory", SSRC), heard("alice", SSRC)];
  let [now, sequence] = [0, 0];
  for (; now < 30_000; now += STEP) {
    alice.sent(SSRC, sequence, 1_000, now);
    hers.reception.push({ sequence, timestamp: 0 }, now);
    theirs.reception.push({ sequence: (40_000 + 3 * sequence) % 65_536, timestamp: 0 }, now);
    sequence += 1;
    carol.look([theirs, hers], now);
    alice.look([], now);
  }
  equal(reports >= 30_000 / 500, true, "carol reports");
  equal(told.join(), "", "what becomes of alice's stream");
  return 1;
}

/** Nobody means ill: clients who count alike and draw alike have other numbers, and no client has one twice. */
export function numbers() {
  const random = randomSource(11);
  const clients = Array.from({ length: 50 }, () => random.bytes(32));
  for (const count of [0, 1, 2, MAX_STREAMS_EVER - 1]) {
    const drawn = random.next();
    equal(new Set(clients.map((client) => streamNumber(client, count, drawn))).size, clients.length, `of clients, each its stream ${count}`);
  }
  const [client] = clients;
  const own = new Set();
  for (let count = 0; count < MAX_STREAMS_EVER; count += 1) own.add(streamNumber(client, count, 2 ** 32 - 1 - (count % 3)) % MAX_STREAMS_EVER);
  equal(own.size, MAX_STREAMS_EVER, "of one client");
  equal(streamNumber(client, 0, 2 ** 32 - 1) >= 2 ** 32 - MAX_STREAMS_EVER && streamNumber(client, 0, 2 ** 32 - 1) < 2 ** 32, true, "32 bits");
  return 1;
}

/** Mallory asks for a key frame a hundred times a second, which costs everybody's picture; Carol, who needs one, still gets one. */
export function keyFrames() {
  const asked = [];
  let now = 0;
  const alice = new SrtpFeedback({ send: () => undefined, keyFrame: (ssrc) => asked.push([ssrc, now]), reach: () => undefined });
  for (const ssrc of [SSRC, SSRC + 1]) alice.open(ssrc, WISHED, 0);
  for (; now < 10_000; now += 10) alice.hear(key("mallory"), encodePli(9, SSRC), now);
  equal(asked.length, 10_000 / KEY_FRAME_PAUSE, "in ten seconds");
  alice.hear(key("carol"), encodePli(8, SSRC + 1), now);
  equal(asked.at(-1).join(), `${SSRC + 1},${now}`, "of another stream, at once");
  now += KEY_FRAME_PAUSE;
  alice.hear(key("carol"), encodePli(8, SSRC), now);
  equal(asked.at(-1).join(), `${SSRC},${now}`, "of the same, a little later");
  return 1;
}

/**
 * A member offers `count` media sections beside the two that a call has, at first and later: we send one picture, take one, and show one.
 * In a page, with connections of its own.
 */
export async function sections({ count }) {
  const [mallory, pc] = [new RTCPeerConnection(), new RTCPeerConnection()];
  const picture = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
  picture.getContext("2d");
  const protection = Object.assign(new EventTarget(), { states: () => [], stop: () => Promise.resolve() });
  const stream = new MediaStream();
  const tracks = () => ({ audio: null, video: picture.captureStream(1).getVideoTracks()[0] });
  const peer = { pc, member: { clientId: client("mallory") }, polite: true, stream, tracks, changed: () => undefined, look: () => undefined };
  const carrier = new WebRtcCarriage({ protect: () => Promise.resolve(protection) }).carrier(peer);
  await carrier.begin();
  const dressed = [() => carrier.dress(), () => undefined];
  for (const dress of dressed) {
    if (dress === dressed[0]) mallory.addTransceiver("audio");
    for (let added = 0; added <= count; added += 1) mallory.addTransceiver("video");
    await mallory.setLocalDescription();
    await pc.setRemoteDescription(mallory.localDescription);
    await dress();
    await pc.setLocalDescription();
    await mallory.setRemoteDescription(pc.localDescription);
    equal(pc.getSenders().filter(({ track }) => track !== null).length, 1, "tracks that are sent");
    equal(pc.getTransceivers().filter(({ currentDirection }) => currentDirection !== "inactive").length, 2, "sections in use");
    equal(stream.getTracks().length, 2, "tracks that are shown");
  }
  for (const connection of [mallory, pc]) connection.close();
  return 1;
}

/**
 * Mallory says again and again that she has just begun, with other streams; each time she is to be told of ours, by a signal of which we
 * may send few.
 */
export async function announcements() {
  const said = [];
  const announce = (_, data, to) => {
    said.push(to === undefined ? "all" : "mallory");
    return new Promise((resolve) => setTimeout(resolve, 1));
  };
  const sessions = new SrtpSessions(() => undefined);
  sessions.use({ announce, context: () => Promise.resolve(7n), resync: () => undefined });
  sessions.hear({ ask: "start", session: 1, conference: 2, profile: 7, mki: true });
  const members = ["alice", "mallory"].map((name, leafIndex) => ({ leafIndex, clientId: client(name) }));
  const masters = [];
  for (const byte of [1, 2]) masters.push({ key: await importMasterKey(new Uint8Array(16).fill(byte)), salt: new Uint8Array(12) });
  const epoch = { session: 1, conference: 2, group: new Uint8Array(1), epoch: 1, reason: "start", ownLeaf: 0, members, profile: 7, mki: new Uint8Array(2), senders: [0, 1] };
  sessions.epoch(epoch, masters);
  for (let ssrc = 0; ssrc < 100; ssrc += 1) sessions.streams(2, client("mallory"), encodeStreams([{ ssrc, profile: 7, rollover: 0 }]));
  await new Promise((resolve) => setTimeout(resolve, 300));
  sessions.end(1);
  equal([...new Set(said)].join(), "all,mallory", "who was told");
  const times = said.filter((to) => to === "mallory").length;
  equal(times < 5, true, `a hundred announcements are answered by ${times}, which are few`);
  return 1;
}

/** A member names addresses without an end, before and after it says what they belong to: few are kept, or sent to. */
export async function candidates() {
  let sentTo = 0;
  const pc = Object.assign(new EventTarget(), {
    signalingState: "stable",
    localDescription: null,
    remoteDescription: null,
    addIceCandidate: () => Promise.resolve((sentTo += 1)),
    setRemoteDescription: (description) => Promise.resolve((pc.remoteDescription = description)),
    setLocalDescription: () => Promise.resolve(),
  });
  const negotiation = new Negotiation(pc, true, { description: () => undefined, candidates: () => undefined, failed: () => undefined }, () => Promise.resolve());
  const named = Array.from({ length: MAX_CANDIDATES }, (_, at) => ({ candidate: `candidate:${at} 1 udp 1 192.168.0.${at} 9 typ host`, mid: "0", fragment: null }));
  for (const described of [false, true]) {
    if (described) negotiation.described("offer", "v=0");
    for (let round = 0; round < 100; round += 1) negotiation.found(named);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  equal(sentTo >= MAX_CANDIDATES && sentTo <= 4 * MAX_CANDIDATES, true, `${sentTo} of ${200 * MAX_CANDIDATES} addresses`);
  return 1;
}

/** Descriptions of very many media sections or addresses are none; those of some are. */
export function manySections() {
  const place = { type: "description", session: "0".repeat(32), peer: "1".repeat(32), attempt: 0, kind: "offer" };
  for (const end of ["\r\n", "\n"]) {
    const sdp = (count) => `v=0${end}${`m=video 9 UDP/TLS/RTP/SAVPF 96${end}`.repeat(count)}`;
    equal(decode(encode({ ...place, sdp: sdp(MAX_SECTIONS) }))?.type, "description", "as many as there may be");
    equal(decode(encode({ ...place, sdp: sdp(MAX_SECTIONS + 1) })), undefined, "one more");
    const addresses = (count) => sdp(1) + `a=candidate:1 1 udp 1 192.168.0.1 9 typ host${end}`.repeat(count);
    equal(decode(encode({ ...place, sdp: addresses(2 * MAX_CANDIDATES) }))?.type, "description", "as many addresses as there may be");
    equal(decode(encode({ ...place, sdp: addresses(2 * MAX_CANDIDATES + 1) })), undefined, "one address more");
  }
  return 1;
}

/** Pictures of `width` by `height`, encoded in this page: a key frame and two that need it. */
async function encoded(codec, width, height) {
  const frames = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      frames.push({ data, keyFrame: chunk.type === "key", timestamp: chunk.timestamp });
    },
    error: (error) => {
      throw error;
    },
  });
  encoder.configure({ codec, width, height, latencyMode: "realtime" });
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d");
  for (const timestamp of [0, 33_000, 66_000]) {
    const picture = new VideoFrame(canvas, { timestamp });
    encoder.encode(picture);
    picture.close();
  }
  await encoder.flush();
  encoder.close();
  return frames;
}

/** `frame`'s size written over, at the bit where `name`'s header has it. */
function resized(name, frame, width, height) {
  const data = frame.slice();
  if (name === "vp8") {
    new DataView(data.buffer).setUint16(6, width, true);
    new DataView(data.buffer).setUint16(8, height, true);
    return data;
  }
  const bits = [width - 1, height - 1].map((side) => side.toString(2).padStart(16, "0")).join("");
  // 2 + 2 + 4 bits, the sync code, 3 bits of colours and 1 of their range: see `picture_size`
  for (const [place, bit] of [...bits].entries()) {
    const at = 36 + place;
    data[at >> 3] = (data[at >> 3] & ~(0x80 >> (at & 7))) | (bit === "1" ? 0x80 >> (at & 7) : 0);
  }
  return data;
}

/**
 * Fifty bytes that say to be a picture of hundreds of megabytes reach no decoder; real frames do, small and large, by this browser's
 * encoders. In a page.
 */
export async function hugePictures() {
  for (const [name, codec, fits] of [["vp8", "vp8", fitsVp8], ["vp9", "vp09.00.40.08", fitsVp9]]) {
    const small = await encoded(codec, 64, 48);
    for (const frame of [...small, ...(await encoded(codec, 1920, 1080))]) equal(fits(frame.data), true, `${name}: a real frame`);
    equal(fits(resized(name, small[0].data, 4_096, 2_304)), true, `${name}: as large as can be`);
    const huge = { ...small[0], data: resized(name, small[0].data, 16_383, 16_383) };
    equal(fits(huge.data), false, `${name}: too large`);
    const decoded = [];
    let asked = 0;
    const spied = { ...CODECS.get(name), decoder: () => ({ decode: (frame) => decoded.push(frame), close: () => undefined }) };
    const shown = new Shown(1, spied, () => (asked += 1));
    shown.show(new WritableStream());
    for (const frame of [small[0], huge, small[1], small[0]]) shown.take(frame);
    equal(decoded.length, 2, `${name}: frames that the decoder has`);
    equal(asked > 0, true, `${name}: a key frame is asked for`);
  }
  return 1;
}

/** Frames of VP9 in one: the index at the end says where each begins (annex B). */
export function superframes() {
  const key = (side) => resized("vp9", Uint8Array.of(0x82, 0x49, 0x83, 0x42, 0, 0, 0, 0, 0, 0), side, side);
  const together = (...frames) => {
    const marker = 0xc0 | (frames.length - 1);
    return Uint8Array.of(...frames.flatMap((frame) => [...frame]), marker, ...frames.map((frame) => frame.length), marker);
  };
  equal(fitsVp9(together(key(64), key(128))), true, "small ones");
  equal(fitsVp9(together(key(64), key(8_192))), false, "a large one behind a small one");
  // An inter frame that has its own size: marker, profile, shown, resilient, no references' size
  const inter = Uint8Array.of(0x87, 0xff, 0, 0, 0, 0, 0, 0);
  equal(fitsVp9(inter), true, "an inter frame of one pixel");
  equal(fitsVp9(Uint8Array.of(0x87, 0xff, 0, 0x01, 0xff, 0xff, 0xff, 0xff)), false, "an inter frame that grows");
  equal(fitsVp9(Uint8Array.of(0xb7, 0)), false, "of another profile");
  return 1;
}

/** A member announces and sends many streams, each of which would take a decoder: one picture and one sound of hers are shown, the newest. */
export async function manyStreams() {
  const session = Object.assign(new EventTarget(), { streams: [], connect: () => undefined, disconnect: () => undefined, stop: () => Promise.resolve() });
  const stream = new Set();
  const shown = { addTrack: (track) => stream.add(track), removeTrack: (track) => stream.delete(track) };
  const pc = { createDataChannel: () => ({}) };
  const carriage = await SrtpCarriage.begin({ srtp: () => Promise.resolve(session) }, () => undefined, () => undefined);
  const member = { clientId: client("mallory") };
  const carrier = carriage.carrier({ pc, member, polite: true, stream: shown, tracks: () => ({}), changed: () => undefined, look: () => undefined });
  await carrier.begin();
  const stopped = [];
  for (let number = 0; number < 32; number += 1) {
    const kind = number % 2 === 0 ? "video" : "audio";
    const track = { kind, number, stop: () => stopped.push(number) };
    const incoming = Object.assign(new EventTarget(), { member, kind, state: "protected", track: () => track });
    session.dispatchEvent(Object.assign(new Event("stream"), { detail: incoming }));
  }
  equal([...stream].map(({ number }) => number).join(), "30,31", "shown");
  equal(stopped.length, 30, "stopped, so that nothing is decoded for them");
  equal(carrier.coming().length, 2, "streams that the tile tells of");
  return 1;
}

/** A picture of noise, sent on a connection whose other end is `mallory`'s: a member who wants a hundred megabits a second of it. In a page. */
export async function forcedBitrate() {
  const [mallory, pc] = [new RTCPeerConnection(), new RTCPeerConnection()];
  let given;
  const { setRemoteDescription } = pc;
  pc.setRemoteDescription = (description) => setRemoteDescription.call(pc, { ...description, sdp: (given = description.sdp) });
  const take = (other) => ({ candidate }) => candidate !== null && other.addIceCandidate(candidate);
  [mallory.onicecandidate, pc.onicecandidate] = [take(pc), take(mallory)];
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  const context = canvas.getContext("2d");
  const drawing = setInterval(() => context.fillRect(Math.random() * 320, Math.random() * 240, 9, 9), 40);
  pc.addTransceiver(canvas.captureStream(25).getVideoTracks()[0]);
  let answered;
  const offered = new Promise((resolve) => (answered = resolve));
  const negotiation = new Negotiation(pc, false, { description: (_, sdp) => answered(sdp), candidates: () => undefined, failed: () => undefined }, () => Promise.resolve());
  negotiation.open();
  await mallory.setRemoteDescription({ type: "offer", sdp: await offered });
  await mallory.setLocalDescription();
  const { sdp } = mallory.localDescription;
  const [, type] = /m=video \d+ \S+ (\d+)/.exec(sdp);
  const wanted = `a=fmtp:${type} x-google-min-bitrate=80000;x-gX-Google-a=b;oogle-start-bitrate=80000;x-google-max-bitrate=100000`;
  const forced = sdp.replace(new RegExp(`a=rtpmap:${type} .*\r\n`), (line) => `${line}${wanted}\r\n`);
  const bandwidths = ["AS:2000", "AS:200000", "TIAS:90000000", "TIAS:900000", "AS:4001", "AS: 200000", "CT:90000", "X-AS:90000", "AS:4000"];
  const lines = bandwidths.map((asked) => `b=${asked}\r\n`).join("");
  negotiation.described("answer", forced.replace(/(m=video[^]*?c=IN .*\r\n)/, (head) => head + lines));
  let target;
  while (target === undefined) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    for (const item of (await pc.getStats()).values()) if (item.type === "outbound-rtp" && item.framesSent > 5) target = item.targetBitrate;
  }
  equal(/x-google/i.test(given), false, "what is wanted is in the description");
  equal(given.match(/^b=.*/gm).map((line) => line.trim()).join(), "b=AS:2000,b=TIAS:900000,b=AS:4000", "bandwidths that are in it");
  equal(target < 5_000_000, true, `${target} bits a second for a small picture, at most 5,000,000`);
  clearInterval(drawing);
  for (const connection of [mallory, pc]) connection.close();
  return 1;
}
