// Plays a list of steps on one of our senders or receivers, for peers that are not JavaScript; bytes are hex.
//
//     { do: "protect" | "protectRtcp" | "unprotect" | "unprotectRtcp", packet }
//     { do: "open" | "announce", ssrc, rollover }          a sender's stream; a receiver's
//     { do: "rekey" | "addKeys" | "dropKeys", keys }       the number of the keys
//
// Steps in flight together would take their places in order all the same; they go one by one so that each answer has its cause.

import { importMasterKey, SessionKeys, SRTP_PROFILES } from "../../../web/src/media/srtp_kdf.ts";
import { SrtpReceiver } from "../../../web/src/media/srtp_receiver.ts";
import { SrtpSender } from "../../../web/src/media/srtp_sender.ts";
import { hex, toHex } from "./support.mjs";

/** Answers for each step that gives bytes `{ packet }` or `{ refused }`, else null. */
export async function play({ profile, keys, mode, side, steps }) {
  const derive = async ({ key, salt, mki }) => SessionKeys.derive(SRTP_PROFILES.get(profile), await importMasterKey(hex(key)), hex(salt), hex(mki));
  const held = await Promise.all(keys.map(derive));
  const player = side === "send" ? new SrtpSender(held[0], mode) : new SrtpReceiver(mode);
  const answers = [];
  for (const step of steps) answers.push(await done(player, held, step));
  return answers;
}

async function done(player, held, { do: name, packet, ssrc, rollover, keys }) {
  try {
    if (packet !== undefined) return { packet: toHex(await player[name](hex(packet))) };
    if (ssrc !== undefined) player[name](ssrc, rollover);
    else player[name](held[keys]);
    return null;
  } catch (error) {
    if (error.reason === undefined) throw error;
    return { refused: error.reason };
  }
}
