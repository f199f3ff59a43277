// Catches one frame at both ends: on the page that sends it and on the page that gets it.

import type { Actor } from "./actor.js";
import type { Caught } from "./frame_panel.js";
import type { SeenFrame } from "./story.js";

const TRIES = 8;
const TRY_MS = 1000; // for a frame to come over; then the receiver asks for another

/** The same frame as both pages saw it: the sender's page waits for one, and the receiver's asks until one has come. */
export async function catchFrame(from: Actor, to: Actor): Promise<Caught> {
  let sending = from.frame({ peer: to.identity, direction: "send" });
  const came: SeenFrame[] = [];
  for (let tries = 1; ; tries += 1) {
    came.push(await to.frame({ peer: from.identity, direction: "receive" }));
    const sent = await Promise.race([sending, new Promise<undefined>((resolve) => setTimeout(resolve, TRY_MS))]);
    if (sent === undefined) continue;
    const same = came.find((one) => one.counter === sent.counter);
    if (same !== undefined || tries >= TRIES) return { sent, came: same ?? came.at(-1)! };
    sending = from.frame({ peer: to.identity, direction: "send" }); // each caught another one
  }
}
