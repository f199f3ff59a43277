// A drawn moving picture, encoded by WebCodecs, in SRTP packets; in a page only.

import { RtpIncoming } from "../../../web/src/media/rtp_incoming.ts";
import { decodeRtp } from "../../../web/src/media/rtp_packet.ts";
import { RtpOutgoing } from "../../../web/src/media/rtp_outgoing.ts";
import { VP8 } from "../../../web/src/media/rtp_vp8.ts";
import { VP9 } from "../../../web/src/media/rtp_vp9.ts";
import { importMasterKey, SessionKeys, SRTP_PROFILES } from "../../../web/src/media/srtp_kdf.ts";
import { SrtpSender } from "../../../web/src/media/srtp_sender.ts";
import { draw, HEIGHT, RATE, WIDTH } from "./drawing.mjs";
import { hex, toHex } from "./support.mjs";

const CODECS = { VP8: { format: VP8, codec: "vp8" }, VP9: { format: VP9, codec: "vp09.00.40.08" } };

/** The frames' packets, in hex. Quarters of the colours given; the last one grows lighter from frame to frame. */
export async function pictures({ codec: name, ssrc, count, keyEvery, colours, profile, key, salt, mki, mode, rollover, random }) {
  const { format, codec } = CODECS[name];
  const keys = await SessionKeys.derive(SRTP_PROFILES.get(profile), await importMasterKey(hex(key)), hex(salt), hex(mki));
  const sender = new SrtpSender(keys, mode);
  sender.open(ssrc, rollover);
  const stream = new RtpOutgoing(ssrc, format, random);
  const frames = [];
  const encoder = new VideoEncoder({
    error: (error) => { throw error; },
    output: (chunk) => {
      const data = new Uint8Array(chunk.byteLength);
      chunk.copyTo(data);
      frames.push({ data, keyFrame: chunk.type === "key", timestamp: chunk.timestamp });
    },
  });
  encoder.configure({ codec, width: WIDTH, height: HEIGHT, bitrate: 400_000, framerate: RATE, latencyMode: "realtime" });
  const context = new OffscreenCanvas(WIDTH, HEIGHT).getContext("2d");
  for (let at = 0; at < count; at += 1) {
    const picture = draw(context, colours, Math.round((200 * at) / count), (1e6 / RATE) * at);
    encoder.encode(picture, { keyFrame: at % keyEvery === 0 });
    picture.close();
  }
  await encoder.flush();
  const sealed = [];
  for (const frame of frames) {
    // A sender's places only go up: one packet after the other.
    const packets = [];
    for (const packet of stream.packets(frame)) packets.push(toHex(await sender.protect(packet)));
    sealed.push(packets);
  }
  return sealed;
}

/** The frames of somebody else's clear packets, which come in order. */
export async function together({ codec, packets }) {
  const incoming = new RtpIncoming({ ...CODECS[codec].format, payloadType: decodeRtp(hex(packets[0])).payloadType });
  return packets.flatMap((packet, at) => {
    incoming.push(decodeRtp(hex(packet)), at);
    return incoming.take(at).map(({ data, keyFrame }) => ({ data: toHex(data), keyFrame }));
  });
}
