// A worker that is one member of a call over SRTP: pictures in by WebCodecs, packets out by its transport, and the other way round.

import { DataChannelTransport } from "../../../web/src/media/packet_transport.ts";
import { VP8 } from "../../../web/src/media/rtp_vp8.ts";
import { VideoIn, VideoOut } from "../../../web/src/media/srtp_codecs.ts";
import { SrtpConference } from "../../../web/src/media/srtp_conference.ts";
import { importMasterKey, SessionKeys, SRTP_PROFILES } from "../../../web/src/media/srtp_kdf.ts";
import { SrtpRoom } from "../../../web/src/media/srtp_room.ts";
import { draw, HEIGHT, quarters, RATE, WIDTH } from "./drawing.mjs";

let room, out, timer, own;
const decoders = new Map();
const clientOf = (leaf) => new Uint8Array(32).fill(leaf + 1);
const report = (message) => self.postMessage(message);

/** The way through the page, which plays the relay. */
class PortTransport {
  onpacket = () => undefined;

  constructor(port) {
    this.port = port;
    port.onmessage = ({ data }) => this.onpacket(data);
  }

  send(packet) {
    this.port.postMessage(packet);
    return true;
  }
}

function heard({ member, ssrc }, frame) {
  const name = `${member.leafIndex} ${ssrc}`;
  if (!decoders.has(name)) decoders.set(name, new VideoIn({ codec: "vp8" }, (picture) => void seen(member.leafIndex, picture), () => undefined));
  decoders.get(name).decode(frame);
}

async function seen(from, picture) {
  const colours = quarters(picture);
  picture.close();
  report({ kind: "seen", from, colours });
}

async function epoch({ group, epoch: number, reason, keys }) {
  const derived = new Map();
  for (const { leaf, profile, key, salt, mki } of keys) derived.set(leaf, await SessionKeys.derive(SRTP_PROFILES.get(profile), await importMasterKey(key), salt, mki));
  const members = keys.map(({ leaf }) => ({ leafIndex: leaf, clientId: clientOf(leaf) }));
  await room.epoch({ group, epoch: BigInt(number), reason, ownLeaf: own, members, keys: derived });
}

const actions = {
  start({ leaf, profile, mode }) {
    own = leaf;
    room = new SrtpRoom(new SrtpConference(profile, mode), {
      frame: heard,
      ended: () => undefined,
      condition: ({ member }, { state }) => report({ kind: "condition", of: member.leafIndex, state }),
      announce: () => report({ kind: "streams", data: room.announcement() }),
      reach: () => undefined,
      otherProfile: () => undefined,
      keyFrame: () => (out?.askKeyFrame(), report({ kind: "asked" })),
      lacking: () => report({ kind: "lacking" }),
    });
  },
  epoch,
  announced: ({ from, data }) => room.announced(clientOf(from), data),
  channel: ({ channel, from }) => room.connect(new DataChannelTransport(channel), clientOf(from)),
  port: ({ port }) => room.connect(new PortTransport(port)),
  /** Only listens, with a stream to ask by. */
  begin: ({ ssrc }) => room.begin(ssrc),
  /** Sends pictures from now on. */
  open({ ssrc, colours }) {
    room.open(ssrc, VP8, 300_000);
    const give = (frame) => void room.send(ssrc, frame).catch((error) => report({ kind: "unsent", reason: error.reason ?? String(error) }));
    out = new VideoOut({ codec: "vp8", width: WIDTH, height: HEIGHT, bitrate: 300_000, framerate: RATE }, give, (error) => report({ kind: "failed", text: error.message }));
    const context = new OffscreenCanvas(WIDTH, HEIGHT).getContext("2d");
    let at = 0;
    timer = setInterval(() => {
      out.encode(draw(context, colours, (at * 5) % 250, (1e6 / RATE) * at));
      at += 1;
    }, 1000 / RATE);
  },
  stop: () => clearInterval(timer),
  refused: () => report({ kind: "refused", refused: Object.fromEntries(room.refused) }),
  end: () => (clearInterval(timer), room.end()),
};

self.onmessage = ({ data: { do: name, ...argument } }) =>
  Promise.resolve(actions[name](argument)).catch((error) => report({ kind: "failed", text: `${name}: ${error.message}` }));
report({ kind: "alive" });
