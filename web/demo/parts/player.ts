// This page's own picture for a program that is no browser: its SRTP packets go to a port of this machine, through the demo's server,
// which has no key; the page shows the keys, for the person to hand on.

import type { Conference, SrtpSession } from "roomkey";
import { byId, say } from "./dom.js";
import { Refusal } from "./errors.js";
import { OwnCopy } from "./own_copy.js";

/** The one profile that ffmpeg knows as well; it knows no MKI either. */
const PROFILE = "SRTP_AES128_CM_HMAC_SHA1_80";
const SUITE = "AES_CM_128_HMAC_SHA1_80"; // the same in RFC 4568
const PAYLOAD_TYPE = 0x7f; // the bits of a packet's second byte
const KEY_FRAMES = 2; // seconds: a player cannot ask for one
const MOST = 60_000; // bytes in a request
const SIZE = 2; // bytes that say a packet's length

interface Playing {
  readonly session: SrtpSession;
  readonly copy: OwnCopy;
  readonly out: Packets;
}

export class Player {
  readonly #port: number | null;
  readonly #ownPicture: () => MediaStreamTrack | null;
  #conference: Conference | null = null;
  #playing: Playing | null = null;

  /** `port`: where the demo's server sends packets; null: nowhere. */
  constructor(port: number | null, ownPicture: () => MediaStreamTrack | null) {
    this.#port = port;
    this.#ownPicture = ownPicture;
  }

  /** The conference of now, with the keys of now. */
  async follow(conference: Conference | null): Promise<void> {
    if (this.#conference !== conference) await this.stop();
    this.#conference = conference;
    byId("player").hidden = this.#port === null || conference === null;
    if (this.#playing !== null) await this.#describe(this.#playing);
  }

  /** Begins to send, or ends. */
  async toggle(): Promise<void> {
    if (this.#playing !== null) return this.stop();
    const [conference, picture] = [this.#conference, this.#ownPicture()];
    if (conference === null || picture === null) throw new Refusal("no-picture", "There is no picture to send: join with a camera or a drawing first.");
    const session = await conference.srtp({ profile: PROFILE, mki: false });
    const { port1, port2 } = new MessageChannel();
    session.connect(port1);
    const playing = { session, copy: new OwnCopy(picture), out: new Packets(port2) };
    this.#playing = playing;
    try {
      await session.send(playing.copy.track, { keyFrameInterval: KEY_FRAMES });
      await this.#describe(playing);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** What the call shows of this page is another than before: what was turned off there goes nowhere else. */
  async shows(): Promise<void> {
    if (this.#playing?.copy.follow(this.#ownPicture()) === false) await this.stop();
  }

  async stop(): Promise<void> {
    const playing = this.#playing;
    this.#playing = null;
    this.#show(null);
    playing?.out.end();
    playing?.copy.stop();
    await playing?.session.stop();
  }

  /** RFC 4566, with the keys as RFC 4568 has them. */
  async #describe(playing: Playing): Promise<void> {
    const { keys, epoch } = (await this.#conference?.srtpKeys({ profile: PROFILE })) ?? { keys: [], epoch: 0n };
    const own = keys.find((key) => key.own);
    const packet = playing.out.first;
    if (this.#playing !== playing || own === undefined) return;
    if (packet === null) {
      playing.out.addEventListener("first", () => void this.#describe(playing), { once: true });
      return;
    }
    const type = packet[1]! & PAYLOAD_TYPE;
    const inline = btoa(String.fromCharCode(...own.masterKey, ...own.masterSalt));
    this.#show([
      "v=0", "o=- 0 0 IN IP4 127.0.0.1", `s=Roomkey, epoch ${epoch}`, "c=IN IP4 127.0.0.1", "t=0 0",
      `m=video ${this.#port} RTP/SAVP ${type}`, `a=rtpmap:${type} VP8/90000`, `a=crypto:1 ${SUITE} inline:${inline}`, "",
    ].join("\n"));
  }

  #show(description: string | null): void {
    byId("player-how").hidden = description === null;
    say(byId("player-sdp"), description ?? "");
    say(byId("player-run"), this.#playing === null ? "Send my picture" : "Stop");
  }
}

/** Packets on their way to the demo's server, as many at a time as have come: `{ uint16 length; opaque packet[length]; }` each. */
class Packets extends EventTarget {
  first: Uint8Array | null = null;
  readonly #port: MessagePort;
  #waiting: Uint8Array[] = [];
  #busy = false;

  constructor(port: MessagePort) {
    super();
    this.#port = port;
    port.addEventListener("message", ({ data }: MessageEvent<ArrayBuffer | Uint8Array>) => {
      const packet = new Uint8Array(data);
      this.#waiting.push(packet);
      if (this.first === null) {
        this.first = packet;
        this.dispatchEvent(new Event("first"));
      }
      void this.#send();
    });
    port.start();
  }

  end(): void {
    this.#port.close();
    this.#waiting = [];
  }

  async #send(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.#waiting.length > 0) {
        await fetch("/player", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: this.#take() });
      }
    } catch {
      this.#waiting = []; // lost, as packets are; the next ones try again
    } finally {
      this.#busy = false;
    }
  }

  #take(): Uint8Array<ArrayBuffer> {
    const body = new Uint8Array(MOST);
    let end = 0;
    for (let packet = this.#waiting[0]; packet !== undefined && end + SIZE + packet.length <= MOST; packet = this.#waiting[0]) {
      new DataView(body.buffer).setUint16(end, packet.length);
      body.set(packet, end + SIZE);
      end += SIZE + packet.length;
      this.#waiting.shift();
    }
    return body.slice(0, end);
  }
}
