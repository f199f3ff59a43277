// The stage as a relay: what comes from one page goes to the other, as it is. It is given no key, and keeps some packets to look at.

import type { Actor } from "./actor.js";
import { gathered, headerOf } from "./packets.js";

const CHANNEL = { ordered: false, maxRetransmits: 0, negotiated: true, id: 0 }; // the pages make the same
const REMEMBERED = 200; // packets: some seconds of a small picture

export class PacketRelay {
  readonly #pcs: RTCPeerConnection[] = [];
  readonly #passed: Uint8Array[] = [];
  count = 0;

  /** Connects the two pages; packets of `from` are counted and kept. The receiver is there first, so that it misses none. */
  async open(from: Actor, to: Actor): Promise<void> {
    const channels = new Map<Actor, RTCDataChannel>();
    for (const [actor, other] of [[to, from], [from, to]] as const) {
      const pc = new RTCPeerConnection();
      this.#pcs.push(pc);
      const channel = pc.createDataChannel("packets", CHANNEL);
      channel.binaryType = "arraybuffer";
      channels.set(actor, channel);
      channel.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer>) => {
        if (actor === from) this.#note(new Uint8Array(data));
        const out = channels.get(other);
        if (out?.readyState === "open") out.send(data);
      });
      await pc.setLocalDescription();
      const answer = await actor.packets({ ask: "join", from: from.identity, send: actor === from, offer: await gathered(pc) });
      await pc.setRemoteDescription({ type: "answer", sdp: answer as string });
    }
  }

  close(): void {
    for (const pc of this.#pcs) pc.close();
  }

  /** What it has passed on that begins like this. */
  find(header: Uint8Array): Uint8Array | null {
    return this.#passed.findLast((wire) => header.every((byte, at) => wire[at] === byte)) ?? null;
  }

  /** The newest bytes that it passed on, without what tells packets apart: what there would be a picture in, if there were one to see. */
  content(size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    let at = 0;
    for (const wire of this.#passed.toReversed()) {
      if (at >= size) break;
      const content = wire.subarray(headerOf(wire).length).subarray(0, size - at);
      bytes.set(content, at);
      at += content.length;
    }
    return bytes;
  }

  #note(wire: Uint8Array): void {
    this.count += 1;
    this.#passed.push(wire);
    if (this.#passed.length > REMEMBERED) this.#passed.shift();
  }
}
