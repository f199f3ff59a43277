// One frame, seen three times: on the page that sends it, by anybody on the way, and on the page that gets it.

import { byId, bytesText, fill, firstName, make, say } from "./dom.js";
import { type Decoded, drawFrame } from "./frame_decoder.js";
import type { SeenFrame } from "./story.js";

const SHOWN = 64; // bytes: the readable ones, SFrame's header and a good part of what is sealed
const SIZE = { width: "240", height: "180" };

/** Who sends to whom; identities. */
export interface Way {
  readonly from: string;
  readonly to: string;
}

/** One frame as it left one page and as it reached another. */
export interface Caught {
  readonly sent: SeenFrame;
  readonly came: SeenFrame;
}

/** What the panel needs of the stage. */
export interface FrameDoings {
  readonly catch: (way: Way) => Promise<Caught>;
  readonly failed: (error: unknown) => void;
}

interface View {
  readonly element: HTMLElement;
  readonly title: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly outcome: HTMLElement;
  readonly words: HTMLElement;
  readonly bytes: HTMLElement;
}

export class FramePanel {
  readonly #doings: FrameDoings;
  readonly #views = { sender: view("sender"), relay: view("relay"), receiver: view("receiver") };
  #ways: readonly Way[] = [];

  constructor(doings: FrameDoings) {
    this.#doings = doings;
    byId("views").append(...Object.values(this.#views).map(({ element }) => element));
    byId("catch").addEventListener("click", () => void this.#catch());
  }

  /** Whose frames can be caught now; without any the panel is gone, and what it showed with it. */
  show(ways: readonly Way[]): void {
    this.#ways = ways;
    byId("one-frame").hidden = ways.length === 0;
    fill(byId("way"), ways, () => ways.map(({ from, to }, index) => make("option", { value: String(index) }, `${firstName(from)} to ${firstName(to)}`)));
  }

  async #catch(): Promise<void> {
    const way = this.#ways[Number(byId<HTMLSelectElement>("way").value)];
    if (way === undefined) return;
    const button = byId<HTMLButtonElement>("catch");
    button.disabled = true;
    button.setAttribute("aria-busy", "true");
    try {
      await this.#tell(way, await this.#doings.catch(way));
    } catch (error) {
      this.#doings.failed(error);
    } finally {
      button.removeAttribute("aria-busy");
      button.disabled = false;
    }
  }

  async #tell(way: Way, { sent, came }: Caught): Promise<void> {
    const [sender, receiver] = [firstName(way.from), firstName(way.to)];
    const { sender: first, relay, receiver: last } = this.#views;
    await this.#see(first, `${sender}’s page, before it is sealed`, sent, sent.frame);
    await this.#see(relay, "Anybody on the way", came, came.wire);
    await this.#see(last, `${receiver}’s page, after it is opened`, came, came.frame);
    say(first.words, `${bytesText(sent.frame.length)}, as the video encoder made them.`);
    say(relay.words, `${bytesText(came.wire.length)}. The first ${came.clear} say how large the picture is, the next ${came.header} are frame number `
      + `${came.counter} and which key; the rest is sealed.`);
    say(last.words, `${bytesText(came.frame.length)}, ${same(sent.frame, came.frame) ? "byte for byte what the sender’s encoder made" : "other than what was sent"}.`);
    const whole = same(sent.wire, came.wire) && same(sent.frame, came.frame);
    say(byId("frame-verdict"), whole
      ? `The same ${bytesText(sent.wire.length)} left ${sender}’s page and reached ${receiver}’s. Only who holds the call’s keys can open them.`
      : "These are not the same frame.");
    byId("one-frame").dataset["outcome"] = whole ? "same" : "differ";
    byId("views").hidden = false;
  }

  async #see(shown: View, title: string, { codec, clear, header }: SeenFrame, bytes: Uint8Array): Promise<void> {
    const relay = shown === this.#views.relay;
    say(shown.title, title);
    const decoded = await drawFrame(shown.canvas, codec, bytes);
    shown.element.dataset["decoded"] = decoded;
    say(shown.outcome, outcome(decoded, relay));
    shown.bytes.replaceChildren(...(relay
      ? [part("clear", bytes, 0, clear), part("header", bytes, clear, clear + header), part("sealed", bytes, clear + header, SHOWN)]
      : [part("plain", bytes, 0, SHOWN)]), bytes.length > SHOWN ? "…" : "");
  }
}

function view(name: string): View {
  const title = make("h3");
  const canvas = make("canvas", { ...SIZE }) as HTMLCanvasElement;
  const outcome = make("p", { class: "outcome" });
  const words = make("p", { class: "soft" });
  const bytes = make("p", { class: "bytes", title: "Its first bytes, in hexadecimal digits" });
  return { element: make("figure", { "data-view": name }, title, canvas, outcome, words, bytes), title, canvas, outcome, words, bytes };
}

function outcome(decoded: Decoded, relay: boolean): string {
  if (decoded === "unable") return "This browser draws no single frames.";
  if (relay) return decoded === "drawn" ? "A decoder makes only noise of it." : "No picture: a decoder finds none in it.";
  return decoded === "drawn" ? "" : "A decoder finds no picture in it.";
}

function part(kind: string, bytes: Uint8Array, from: number, to: number): HTMLElement {
  return make("span", { class: kind }, [...bytes.subarray(from, to)].map((byte) => byte.toString(16).padStart(2, "0")).join(" "));
}

const same = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && one.every((byte, at) => byte === other[at]);
