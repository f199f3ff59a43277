// One page's end of a relay: its own picture goes there in SRTP packets, or somebody else's comes from there. For the stage, which plays
// the relay, it notes some packets as they are on both sides of their protection.

import type { Conference, PacketSample, SrtpIncoming, SrtpOutgoing, SrtpSession } from "roomkey";
import { OwnCopy } from "./own_copy.js";
import { type PacketAsk, type PacketView, VIEW_SIZE } from "./story.js";

const CHANNEL = { ordered: false, maxRetransmits: 0, negotiated: true, id: 0 }; // the relay makes the same
const REMEMBERED = 60; // packets: some seconds of a small picture
const HEADER = 12; // bytes of RTP that nothing conceals

export class Packets {
  readonly #ownPicture: () => MediaStreamTrack | null;
  #conference: Conference | null = null;
  #use: Use | null = null;

  /** `ownPicture`: the track of now that this page shows of itself. */
  constructor(ownPicture: () => MediaStreamTrack | null) {
    this.#ownPicture = ownPicture;
  }

  /** The conference of now; with it ends what was done in it. */
  follow(conference: Conference | null): void {
    if (this.#conference === conference) return;
    this.#conference = conference;
    void this.#end();
  }

  async answer(ask: PacketAsk): Promise<PacketView | string | null> {
    if (ask.ask === "leave") return this.#end();
    if (ask.ask === "look") return (await this.#use?.look(ask.header)) ?? null;
    await this.#end();
    if (this.#conference === null) throw new Error("there is no call");
    const use = new Use(await this.#conference.srtp(), ask.from);
    this.#use = use;
    const answer = await use.connect(ask.offer);
    const track = this.#ownPicture();
    if (ask.send && track !== null) await use.send(new OwnCopy(track));
    return answer;
  }

  /** What the call shows of this page is another than before: what was turned off there goes nowhere else. */
  shows(): void {
    if (this.#use?.follow(this.#ownPicture()) === false) void this.#end();
  }

  async #end(): Promise<null> {
    const use = this.#use;
    this.#use = null;
    await use?.end();
    return null;
  }
}

class Use {
  readonly #session: SrtpSession;
  readonly #from: string;
  readonly #pc = new RTCPeerConnection();
  readonly #noted: PacketSample[] = [];
  readonly #picture = new OffscreenCanvas(VIEW_SIZE.width, VIEW_SIZE.height);
  readonly #context = this.#picture.getContext("2d"); // at once: without one it is no picture
  #copy: OwnCopy | null = null;
  #video: HTMLVideoElement | null = null;

  /** `from`: whose picture is looked at. */
  constructor(session: SrtpSession, from: string) {
    this.#session = session;
    this.#from = from;
    session.addEventListener("stream", ({ detail }) => {
      if (detail.kind !== "video" || detail.member.identity !== this.#from) return;
      void this.#note(detail);
      void this.#show(detail);
    });
  }

  /** Answers the relay's offer; the relay is nobody whom we trust, so nothing vouches for it. */
  async connect(offer: string): Promise<string> {
    this.#session.connect(this.#pc.createDataChannel("packets", CHANNEL));
    await this.#pc.setRemoteDescription({ type: "offer", sdp: offer });
    await this.#pc.setLocalDescription();
    return gathered(this.#pc);
  }

  async send(copy: OwnCopy): Promise<void> {
    this.#copy = copy;
    this.#video = Object.assign(document.createElement("video"), { muted: true, srcObject: new MediaStream([copy.track]) });
    this.#video.play().catch(() => undefined); // it has ended already
    void this.#note(await this.#session.send(copy.track));
  }

  /** Of who sends; who only receives has nothing to follow. */
  follow(shown: MediaStreamTrack | null): boolean {
    return this.#copy === null || this.#copy.follow(shown);
  }

  /** What there is now; of packets the one that begins with `header`, else the latest. */
  async look(header: Uint8Array | null): Promise<PacketView> {
    if (this.#video !== null) this.#draw(this.#video);
    const begins = ({ wire }: PacketSample): boolean => header === null || header.every((byte, at) => wire[at] === byte);
    const found = this.#noted.findLast(begins) ?? null;
    const { sent, received } = await this.#session.counts();
    const picture = await createImageBitmap(this.#picture);
    return { picture, sample: found, count: this.#video === null ? received : sent };
  }

  async end(): Promise<void> {
    await this.#session.stop();
    this.#copy?.stop();
    this.#pc.close();
  }

  /** Notes packets, one after the other, until the stream ends. */
  async #note(stream: SrtpIncoming | SrtpOutgoing): Promise<void> {
    for (;;) {
      try {
        const { packet, wire } = await stream.sample();
        this.#noted.push({ packet, wire });
      } catch {
        return; // "closed": there are no more
      }
      if (this.#noted.length > REMEMBERED) this.#noted.shift();
    }
  }

  async #show(stream: SrtpIncoming): Promise<void> {
    const reader = (stream.frames() as ReadableStream<VideoFrame>).getReader();
    for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read()) {
      this.#draw(value);
      value.close();
    }
  }

  #draw(picture: CanvasImageSource): void {
    this.#context?.drawImage(picture, 0, 0, VIEW_SIZE.width, VIEW_SIZE.height);
  }
}

/** The own description, with the ways to us in it. */
export async function gathered(pc: RTCPeerConnection): Promise<string> {
  if (pc.iceGatheringState !== "complete") {
    await new Promise<void>((resolve) => {
      pc.addEventListener("icegatheringstatechange", () => {
        if (pc.iceGatheringState === "complete") resolve();
      });
    });
  }
  return pc.localDescription?.sdp ?? "";
}

/** The part of a packet that says which one it is, and that anybody can read. */
export const headerOf = (wire: Uint8Array): Uint8Array => wire.slice(0, HEADER);
