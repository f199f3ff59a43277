// A person's chip on the stage: who they are, how far their page is, its door, and the frame that shows it.

import type { Actor } from "./actor.js";
import { byId, firstName, make, say } from "./dom.js";
import type { DemoConfig, PersonState } from "./story.js";

type Person = DemoConfig["people"][number];

const PHASES: Readonly<Record<PersonState["phase"], string>> = {
  loading: "loading…", ready: "ready", enrolled: "reachable", invited: "invited", call: "in the call", removed: "removed", failed: "not loaded", closed: "offline",
};

export function personFrame(person: Person): HTMLIFrameElement {
  const frame = document.createElement("iframe");
  // By name: the frame has no `src` (see `Actor.load`), which is what they would else be granted to.
  frame.allow = ["camera", "microphone", "display-capture", "autoplay"].map((feature) => `${feature} ${person.origin}`).join("; ");
  frame.title = `${firstName(person.identity)}’s page`;
  frame.name = person.name;
  return frame;
}

/** The frame with what stands in its place while the page is closed. */
export function framed(person: Person, frame: HTMLIFrameElement): HTMLElement {
  const name = firstName(person.identity);
  const away = make("p", { class: "away", hidden: true }, `${name}’s page is closed. What others send waits at the provider, sealed, until ${name} is back.`);
  return make("div", { class: `frame ${person.name}`, id: `frame-${person.name}` }, frame, away);
}

/** `openOrClose` is what the door does. */
export function personChip(person: Person, openOrClose: () => void): HTMLElement {
  const name = firstName(person.identity);
  const who = make("a", { href: `#frame-${person.name}`, class: "who" },
    make("span", { class: "avatar", "aria-hidden": "true" }, name.charAt(0)),
    make("span", {}, make("b", {}, name), make("small", {}, person.identity)));
  const title = "Open this page alone (close it here first)";
  const alone = make("a", { class: "alone", href: person.origin, target: "_blank", rel: "noopener", title },
    make("span", { "aria-hidden": "true" }, "↗"), make("span", { class: "visually-hidden" }, `Open ${name}’s page alone`));
  const door = make("button", { type: "button", class: "door", id: `door-${person.name}`, disabled: true, onclick: openOrClose }, "Close");
  return make("div", { class: `person ${person.name}` }, who, make("span", { class: "phase", id: `phase-${person.name}` }, "…"), door, alone);
}

/** Writes how far the person's page is. */
export function drawPhase({ name, state: { phase } }: Actor): void {
  const closed = phase === "closed";
  say(byId(`phase-${name}`), PHASES[phase]);
  byId(`phase-${name}`).dataset["phase"] = phase;
  say(byId(`door-${name}`), closed ? "Open" : "Close");
  byId(`frame-${name}`).querySelector("iframe")!.hidden = closed;
  byId(`frame-${name}`).querySelector("p")!.hidden = !closed;
}
