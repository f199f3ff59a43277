// One picture that runs through a relay in SRTP packets: beside each other what the sender has, what the relay has and what the receiver has.

import type { Actor } from "./actor.js";
import { byId, fill, firstName, make, say } from "./dom.js";
import type { Way } from "./frame_panel.js";
import { PacketRelay } from "./packet_relay.js";
import { headerOf } from "./packets.js";
import { type PacketView, VIEW_SIZE } from "./story.js";

const LOOK_MS = 500;
const ON_THE_WAY_MS = 200; // for a packet to have come where it goes
const SHOWN = 48; // bytes
const HEADER = 12;
const MKI = 2;

/** What the panel needs of the stage. */
export interface PacketDoings {
  readonly actor: (identity: string) => Actor;
  readonly failed: (error: unknown) => void;
}

interface View {
  readonly element: HTMLElement;
  readonly title: HTMLElement;
  readonly context: CanvasRenderingContext2D;
  readonly words: HTMLElement;
  readonly bytes: HTMLElement;
}

interface Running {
  readonly from: Actor;
  readonly to: Actor;
  readonly relay: PacketRelay;
}

export class PacketPanel {
  readonly #doings: PacketDoings;
  readonly #views = { sender: view("sender"), relay: view("relay"), receiver: view("receiver") };
  #ways: readonly Way[] = [];
  #running: Running | null = null;

  constructor(doings: PacketDoings) {
    this.#doings = doings;
    byId("packet-views").append(...Object.values(this.#views).map(({ element }) => element));
    byId("packets-run").addEventListener("click", () => void (this.#running === null ? this.#begin() : this.#end("")));
  }

  /** Who can be connected now. What runs ends with a page's stay in the call, and not where a picture is missing for a moment. */
  show(ways: readonly Way[]): void {
    if (this.#running !== null) {
      if (this.#running.from.state.call === null || this.#running.to.state.call === null) void this.#end("");
      return;
    }
    this.#ways = ways;
    byId("packets").hidden = ways.length === 0;
    fill(byId("packets-way"), ways, () => ways.map(({ from, to }, index) => make("option", { value: String(index) }, `${firstName(from)} to ${firstName(to)}`)));
  }

  async #begin(): Promise<void> {
    const way = this.#ways[Number(byId<HTMLSelectElement>("packets-way").value)];
    if (way === undefined) return;
    const running = { from: this.#doings.actor(way.from), to: this.#doings.actor(way.to), relay: new PacketRelay() };
    this.#running = running;
    this.#button("Stop", true);
    try {
      await running.relay.open(running.from, running.to);
      byId("packet-views").hidden = false;
      this.#button("Stop", false);
      while (this.#running === running) {
        await this.#look(running);
        await pause(LOOK_MS);
      }
    } catch (error) {
      if (this.#running !== running) return this.#button("Send it", false); // it was ended meanwhile
      await this.#end("It has stopped.");
      this.#doings.failed(error);
    }
  }

  async #end(words: string): Promise<void> {
    const running = this.#running;
    this.#running = null;
    byId("packet-views").hidden = true;
    delete byId("packets").dataset["outcome"];
    say(byId("packets-verdict"), words);
    this.#button("Send it", false);
    running?.relay.close();
    // A page that is closed, or has left, has nothing to end.
    await Promise.all([running?.from, running?.to].map((actor) => actor?.packets({ ask: "leave" }).catch(() => undefined)));
  }

  /** Looks at one packet, wherever it is by then. */
  async #look(running: Running): Promise<void> {
    const { from, to, relay } = running;
    const sent = (await from.packets({ ask: "look", header: null })) as PacketView | null;
    if (sent === null) return this.#end(`${firstName(from.identity)} shows no picture any more.`);
    if (sent.sample === null) return;
    await pause(ON_THE_WAY_MS);
    const header = headerOf(sent.sample.wire);
    const came = (await to.packets({ ask: "look", header })) as PacketView | null;
    if (came === null) return this.#end(`${firstName(to.identity)} takes no packets any more.`);
    const wire = relay.find(header);
    if (this.#running !== running || wire === null || came.sample === null) return; // this one was lost: the next is looked at soon
    const [sender, receiver] = [firstName(from.identity), firstName(to.identity)];
    const { sender: first, relay: middle, receiver: last } = this.#views;
    paint(first, sent);
    paint(last, came);
    dots(middle, relay.content(VIEW_SIZE.width * VIEW_SIZE.height / DOT ** 2));
    const number = new DataView(wire.buffer, wire.byteOffset).getUint16(2);
    const epoch = wire.at(-2)! * 256 + wire.at(-1)!;
    say(first.title, `${sender}’s page sends`);
    say(middle.title, "A relay has this");
    say(last.title, `${receiver}’s page shows`);
    say(first.words, `${sent.count} packets so far. This is number ${number} before it is sealed.`);
    say(middle.words, `${relay.count} packets passed on. It can read that this is number ${number} and that its key is of epoch ${epoch} (the `
      + "MKI); the rest is sealed. Each dot is a byte of it.");
    say(last.words, `${came.count} packets taken. Number ${number} once it is opened.`);
    write(first, part("clear", sent.sample.packet, 0, HEADER), part("plain", sent.sample.packet, HEADER, SHOWN), "…");
    write(middle, part("clear", wire, 0, HEADER), part("sealed", wire, HEADER, SHOWN), "… ", part("header", wire, wire.length - MKI, wire.length));
    write(last, part("clear", came.sample.packet, 0, HEADER), part("plain", came.sample.packet, HEADER, SHOWN), "…");
    const whole = same(sent.sample.wire, wire) && same(wire, came.sample.wire) && same(sent.sample.packet, came.sample.packet);
    say(byId("packets-verdict"), whole
      ? `${receiver} has every byte that ${sender} sent. The relay has passed them all on, and holds no key.`
      : "These are not the same packet.");
    Object.assign(byId("packets").dataset, { outcome: whole ? "same" : "differ", epoch: String(epoch), passed: String(relay.count) });
  }

  #button(text: string, busy: boolean): void {
    const button = byId<HTMLButtonElement>("packets-run");
    say(button, text);
    button.setAttribute("aria-busy", String(busy));
    button.disabled = busy; // a second click would end what the first begins
    byId<HTMLSelectElement>("packets-way").disabled = this.#running !== null;
  }
}

const DOT = 4; // pixels

function view(name: string): View {
  const title = make("h3");
  const canvas = make("canvas", { width: String(VIEW_SIZE.width), height: String(VIEW_SIZE.height) }) as HTMLCanvasElement;
  const words = make("p", { class: "soft" });
  const bytes = make("p", { class: "bytes", title: "The packet’s first bytes, in hexadecimal digits" });
  return { element: make("figure", { "data-view": name }, title, canvas, words, bytes), title, context: canvas.getContext("2d")!, words, bytes };
}

function paint({ context }: View, { picture }: PacketView): void {
  context.drawImage(picture, 0, 0);
  picture.close();
}

/** Bytes as grey dots, row by row. */
function dots({ context }: View, bytes: Uint8Array): void {
  const columns = VIEW_SIZE.width / DOT;
  for (const [at, byte] of bytes.entries()) {
    context.fillStyle = `rgb(${byte} ${byte} ${byte})`;
    context.fillRect((at % columns) * DOT, Math.floor(at / columns) * DOT, DOT, DOT);
  }
}

function write({ bytes }: View, ...parts: (HTMLElement | string)[]): void {
  bytes.replaceChildren(...parts);
}

function part(kind: string, bytes: Uint8Array, from: number, to: number): HTMLElement {
  return make("span", { class: kind }, [...bytes.subarray(from, to)].map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const same = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && one.every((byte, at) => byte === other[at]);
