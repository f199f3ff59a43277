// What stays readable of frames (web/src/media/clear_bytes.ts), and that it comes off again after what depacketisers do to it.

import { codecOf, front, metadata, uncover, woven } from "../../../web/src/media/clear_bytes.ts";
import { HOLD } from "../../../web/src/media/incoming.ts";
import { arrive, bytes, End, outcomes } from "./rules_support.mjs";
import { equal, hex, randomSource, refused, toHex } from "./support.mjs";

const join = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));

/** H.264 as encoders write it: parameter sets and slices behind start codes of three or four bytes, bodies without start codes. */
function h264(random, { key = true, long = true } = {}) {
  const start = () => (random.below(2) === 0 || long ? [0, 0, 0, 1] : [0, 0, 1]);
  const unit = (header, size) => join(start(), [header], Uint8Array.from({ length: size }, () => 4 + random.below(250)), [0x80]);
  const sets = key ? [unit(0x67, 9), unit(0x68, 3)] : [];
  const slices = Array.from({ length: 1 + random.below(3) }, () => unit(key ? 0x65 : 0x41, random.below(300)));
  return join(...sets, ...slices);
}

const leb128 = (value) => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb128(value >> 7)]);
const obu = (type, body) => join([(type << 3) | 2], leb128(body.length), body);

function av1(random, key) {
  return join(obu(2, []), key ? obu(1, random.bytes(11)) : [], obu(6, random.bytes(1 + random.below(400))));
}

function frameOf(codec, random) {
  const key = random.below(4) === 0;
  if (codec === "H264") return h264(random, { key, long: random.below(2) === 0 });
  if (codec === "AV1") return av1(random, key);
  const frame = random.bytes(12 + random.below(400));
  if (codec === "VP8") frame[0] = (frame[0] & 0xfe) | (key ? 0 : 1);
  return frame;
}

/** What packetising and putting together again may change (libwebrtc): start codes become four bytes, OBUs get their sizes. */
function carried(codec, wire) {
  if (codec === "H264") return join(...nals(wire).flatMap((nal) => [[0, 0, 0, 1], nal]));
  if (codec !== "AV1") return wire;
  return join(...obusOf(wire).map(({ type, body }) => obu(type, body)));
}

/** NAL units between start codes, as a packetiser that knows nothing of us finds them. */
function nals(wire) {
  const text = toHex(wire);
  const found = [];
  let start = -1;
  for (let at = 0; at + 2 < wire.length; at += 1) {
    if (text.slice(2 * at, 2 * at + 6) !== "000001") continue;
    if (start >= 0) found.push(wire.slice(start, wire[at - 1] === 0 ? at - 1 : at));
    start = at + 3;
  }
  found.push(wire.slice(start));
  return found;
}

function obusOf(wire) {
  const found = [];
  for (let at = 0; at < wire.length; ) {
    const header = wire[at++];
    let size = wire.length - at;
    if (header & 2) {
      size = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = wire[at++];
        size |= (byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
    }
    found.push({ type: header >> 3, body: wire.slice(at, (at += size)) });
  }
  return found;
}

/** The frame as it travels, with any bytes for the sealed one. */
const cover = (codec, frame, sealed) => woven(codec, frame, join(front(codec, frame), sealed));

export async function roundTrips({ codec, seed }) {
  const random = randomSource(seed);
  for (let turn = 0; turn < 200; turn += 1) {
    const frame = frameOf(codec, random);
    // Zeros and small bytes are what H.264 escapes; ciphertext has few of them, so half of these have many.
    const sealed = turn % 2 === 0 ? random.bytes(1 + random.below(500)) : Uint8Array.from({ length: 1 + random.below(500) }, () => random.below(4));
    const wire = cover(codec, frame, sealed);
    equal(uncover(codec, wire), sealed, `${codec} ${turn}`);
    equal(uncover(codec, carried(codec, wire)), sealed, `${codec} ${turn}, carried`);
  }
  return 200;
}

export async function clearBytes() {
  const random = randomSource(7);
  const sealed = random.bytes(100);
  const start = (codec, frame) => cover(codec, frame, sealed).slice(0, -100);
  const vp8 = random.bytes(60);
  vp8[0] &= 0xfe;
  equal(start("VP8", vp8), vp8.slice(0, 10), "VP8 key frame");
  vp8[0] |= 1;
  equal(start("VP8", vp8), vp8.slice(0, 3), "VP8 delta frame");
  equal(start("VP9", vp8), new Uint8Array(0), "VP9");
  equal(start("audio", vp8), new Uint8Array(0), "audio");
  const header = obu(1, random.bytes(11));
  equal(start("AV1", join(obu(2, []), header, obu(6, vp8))), join(header, [0x30]), "AV1 key frame");
  equal(start("AV1", join(obu(2, []), obu(6, vp8))), hex("30"), "AV1 delta frame");
  // H.264: parameter sets whole, the type of the slice and its first bytes; of what it shows, nothing
  const frame = h264(random, { key: true, long: false });
  const [sps, pps, slice] = nals(frame);
  const shown = nals(cover("H264", frame, sealed));
  equal(shown.length, 3, "H.264: one slice, whatever their number was");
  equal(shown[0], sps, "SPS");
  equal(shown[1], pps, "PPS");
  equal(shown[2].slice(0, 5), join(slice, [0x80, 0x80, 0x80, 0x80]).slice(0, 5), "the slice's first bytes");
  return 10;
}

/** Damaged or hostile frames are refused as malformed, or give bytes that SFrame refuses: nothing else happens. */
export async function damaged() {
  const random = randomSource(11);
  let cases = 0;
  for (const codec of ["VP8", "H264", "AV1"]) {
    for (let turn = 0; turn < 2_000; turn += 1) {
      const wire = turn % 2 === 0 ? random.bytes(random.below(40)) : cover(codec, frameOf(codec, random), random.bytes(30)).slice(0, random.below(60));
      try {
        equal(uncover(codec, wire).length <= wire.length, true, "no longer than it came");
      } catch (error) {
        equal(error.reason, "malformed", `${codec}: ${error}`);
      }
      cases += 1;
    }
  }
  await refused(async () => cover("H264", bytes("no start code"), bytes("sealed")), "malformed", "no slice to cover");
  await refused(async () => cover("AV1", hex("3aff"), bytes("sealed")), "malformed", "no OBU to cover");
  return cases;
}

/** No body of zeros and small bytes makes a start code, also across the border to what is clear. */
export async function startCodes() {
  let cases = 0;
  const frame = join([0, 0, 0, 1], [0x41, 9, 9, 0, 0], [3, 9, 9, 0x80]);
  for (let number = 0; number < 4 ** 6; number += 1) {
    const sealed = Uint8Array.from({ length: 6 }, (_, at) => (number >> (2 * at)) & 3);
    const wire = cover("H264", frame, sealed);
    equal(nals(wire).length, 1, toHex(wire));
    equal(/00000[0-2]/.test(toHex(wire.slice(4)).match(/../g).join("")) && hasEmulation(wire.slice(4)), false, toHex(wire));
    equal(uncover("H264", wire), sealed, toHex(sealed));
    cases += 1;
  }
  return cases;
}

const hasEmulation = (body) => body.some((byte, at) => byte <= 2 && at >= 2 && body[at - 1] === 0 && body[at - 2] === 0);

/** A frame that a relay passes off as another codec's reaches no decoder. */
export async function otherCodecs() {
  const [alice, bob] = [new End("alice"), new End("bob")];
  for (const end of [alice, bob]) await end.enter({ number: 1, members: ["alice", "bob"], reason: "start" }, 0);
  let cases = 0;
  for (const [sent, told] of [["VP9", "audio"], ["audio", "VP9"], ["VP8", "VP9"], ["VP9", "VP8"], ["AV1", "H264"]]) {
    const frame = sent === "AV1" ? av1(randomSource(3), false) : bytes("a frame that is long enough");
    const wire = await alice.outgoing().protect(sent, frame, 0);
    const coming = bob.incoming(0);
    const came = [...(await arrive(coming, [wire], 0, told)), ...outcomes(await coming.settle(HOLD))]; // its KID may look like one to come
    equal(["not-authentic", "unknown-key", "malformed"].includes(came.join()), true, `${sent} as ${told}: ${came}`);
    cases += 1;
  }
  equal((await arrive(bob.incoming(0), [bytes("x")], 0, null)).join(), "unknown-codec", "a codec that nobody can have covered");
  return cases;
}

export async function names() {
  for (const [kind, mimeType, codec] of [
    ["audio", "audio/opus", "audio"], ["audio", "audio/red", "audio"], ["video", "video/VP8", "VP8"], ["video", "video/vp9", "VP9"],
    ["video", "video/H264", "H264"], ["video", "video/AV1", "AV1"], ["video", "video/H265", undefined], ["video", "", undefined],
    ["video", "video/audio", undefined],
  ]) equal(codecOf(kind, mimeType), codec, mimeType);
  equal(new Set(["audio", "VP8", "VP9", "H264", "AV1"].map((codec) => toHex(metadata(codec)))).size, 5, "each has its number");
  return 9;
}
