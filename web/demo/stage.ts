// The stage: shows the three people's pages side by side, drives the story's four steps and lights up what travels.
// It knows what the pages tell it (fingerprints, digits, traffic), and no secret.

import { Actor, Failed } from "./parts/actor.js";
import { byId, firstName, listed, make, say } from "./parts/dom.js";
import { catchFrame } from "./parts/frame_catch.js";
import { FramePanel } from "./parts/frame_panel.js";
import { drawEarlier, drawHolds, verdict } from "./parts/holds.js";
import { Lines } from "./parts/lines.js";
import { MalicePanel } from "./parts/malice.js";
import { drawPhase, framed, personChip, personFrame } from "./parts/person_chip.js";
import { PacketPanel } from "./parts/packet_panel.js";
import { ServiceBox } from "./parts/service_box.js";
import { demoConfig, received } from "./parts/story.js";
import type { CallState, DemoConfig, FromPerson, PersonState } from "./parts/story.js";

const MALICIOUS = "email2.example"; // whom the switch makes lie

class Stage {
  readonly #config: DemoConfig;
  readonly #actors: Actor[] = [];
  readonly #boxes = new Map<string, ServiceBox>();
  readonly #malice: MalicePanel;
  readonly #frames: FramePanel;
  readonly #packets: PacketPanel;
  readonly #lines = new Lines(byId<SVGSVGElement>("lines"));
  #greeting = ""; // as it was said last: it follows what the pages turn out to hold
  readonly #epochs = new Map<string, Map<string, CallState>>(); // epoch -> identity -> what that page held

  constructor(config: DemoConfig, codes: URLSearchParams) {
    this.#config = config;
    this.#frames = new FramePanel({
      catch: ({ from, to }) => catchFrame(this.#called(from), this.#called(to)),
      failed: (error) => this.#fail(error, byId("catch")),
    });
    this.#packets = new PacketPanel({ actor: (identity) => this.#called(identity), failed: (error) => this.#fail(error, byId("packets-run")) });
    this.#layOut();
    window.addEventListener("message", (event) => this.#hear(event));
    this.#malice = this.#switch();
    for (const button of this.#buttons()) button.addEventListener("click", () => void this.#play(button));
    void this.#load(codes);
  }

  #layOut(): void {
    const services = byId("services");
    for (const service of this.#config.services) {
      const users = this.#config.people.filter((person) => person.identity.endsWith(`@${service.domain}`));
      const box = new ServiceBox(service.domain, `Delivery service of ${listed(users.map((user) => firstName(user.identity)))}`);
      this.#boxes.set(service.domain, box);
      this.#boxes.set(new URL(service.url).origin, box);
      services.append(box.element);
    }
    for (const person of this.#config.people) {
      const frame = personFrame(person);
      const actor = new Actor(person, frame);
      const chip = personChip(person, () => this.#openOrClose(actor));
      byId("people").append(chip);
      byId("frames").append(framed(person, frame));
      this.#actors.push(actor);
      for (const service of this.#config.services) {
        const home = person.identity.endsWith(`@${service.domain}`);
        const look = `${person.name} ${home ? "home" : "foreign"}`;
        this.#lines.add(`${person.identity} ${service.domain}`, this.#boxes.get(service.domain)!.element, chip, look);
      }
    }
    new ResizeObserver(() => this.#lines.draw()).observe(byId("scene"));
    this.#lines.draw();
    this.#render();
  }

  /** Alice first: she is usable while the others still load. */
  async #load(codes: URLSearchParams): Promise<void> {
    for (const actor of this.#actors) {
      actor.load(codes.get(actor.name));
      await actor.until("loading", (state) => state.phase !== "loading").catch(() => undefined);
      if (actor === this.#actors[0]) this.#refresh();
    }
  }

  /** Takes a person offline, as closing the tab does, and back. */
  #openOrClose(actor: Actor): void {
    const name = firstName(actor.identity);
    if (actor.state.phase === "closed") {
      actor.load(null);
      this.#say(`${name} is back: what waited arrives.`);
    } else {
      actor.close();
      this.#say(`${name} is offline. Write a message on another page: it waits, sealed, until ${name} is back.`);
    }
    this.#render();
    this.#refresh();
  }

  #hear(event: MessageEvent<unknown>): void {
    for (const actor of this.#actors) {
      const message = received<FromPerson>(event, actor.origin, actor.window);
      if (message === null) continue;
      actor.hear(message);
      if (message.event === "traffic") {
        const box = this.#boxes.get(message.traffic.service);
        box?.passed(message.traffic, actor.identity);
        if (box !== undefined) this.#lines.light(`${actor.identity} ${box.domain}`, message.traffic.direction === "out");
      }
      if (message.event === "state") {
        if (message.state.call !== null) {
          const held = this.#epochs.get(message.state.call.epoch) ?? new Map<string, CallState>();
          this.#epochs.set(message.state.call.epoch, held.set(actor.identity, message.state.call));
        }
        this.#render();
        this.#refresh();
      }
    }
  }

  // -- the switch --

  #switch(): MalicePanel {
    return new MalicePanel({
      check: async (victim) => {
        for (const box of this.#boxes.values()) box.begin();
        const actor = this.#actors.find((one) => one.name === victim)!;
        return actor.ask("check");
      },
      turned: (attack) => this.#boxes.get(MALICIOUS)?.lies(attack !== null),
      failed: (error) => this.#fail(error, byId("check")),
    });
  }

  // -- the four steps --

  #buttons(): HTMLButtonElement[] {
    return [...document.querySelectorAll<HTMLButtonElement>("button[data-step]")];
  }

  async #play(button: HTMLButtonElement): Promise<void> {
    const step = button.dataset["step"] as "service" | "keys" | "call" | "remove";
    byId("error").hidden = true;
    for (const box of this.#boxes.values()) box.begin();
    button.setAttribute("aria-busy", "true");
    button.closest("li")?.setAttribute("data-state", "playing");
    this.#refresh();
    try {
      await this.#steps[step]();
      button.closest("li")?.setAttribute("data-state", "done");
    } catch (error) {
      button.closest("li")?.removeAttribute("data-state");
      this.#fail(error, button);
    } finally {
      button.removeAttribute("aria-busy");
      this.#refresh();
    }
  }

  readonly #steps = {
    service: async (): Promise<void> => {
      this.#say("Each page asks the address it was given whether it is a delivery service, takes its name there and leaves public keys.");
      await Promise.all(this.#actors.map((actor) => actor.act("service")));
      this.#say("All three are reachable now. The services hold public keys; the private halves never left the pages.");
    },
    keys: async (): Promise<void> => {
      this.#say("Alice asks each service for the public keys of its people, and checks signatures, names and lifetimes.");
      await this.#first.act("keys");
      this.#say("Alice holds verified public keys of Bob and Carol. Her page says how each was proved.");
    },
    call: async (): Promise<void> => {
      this.#say("Alice makes a group and seals an invitation for each: only Bob’s and Carol’s pages can open theirs.");
      await this.#first.act("call");
      await Promise.all(this.#actors.slice(1).map(async (actor) => {
        await actor.until("invitation", (state) => state.phase === "invited" || state.phase === "call");
        if (actor.state.phase === "invited") await actor.act("accept");
      }));
      await this.#agree(this.#actors);
      this.#say("The call is keyed. The pages find each other by sealed messages, and seal every picture they send.");
      await Promise.all(this.#actors.map((actor) => actor.act("pictures")));
      for (const actor of this.#actors) await actor.until("pictures", (state) => state.sees.length === this.#actors.length - 1);
      this.#say("The call is keyed: same digits, same colours, and all three see each other. Now let a service lie, or remove Carol.");
    },
    remove: async (): Promise<void> => {
      const carol = this.#actors[2];
      this.#say("Alice removes Carol: she and Bob move to keys that Carol’s page cannot work out.");
      await this.#first.act("remove");
      await carol?.until("removal", (state) => state.phase === "removed");
      await this.#agree(this.#actors.slice(0, 2));
      this.#say("Carol is out: new digits and new keys for Alice and Bob, none of them on Carol’s page, which sees nobody now.");
    },
  };

  #called(identity: string): Actor {
    return this.#actors.find((actor) => actor.identity === identity)!;
  }

  get #first(): Actor {
    const first = this.#actors[0];
    if (first === undefined) throw new Error("the stage needs people");
    return first;
  }

  /** Waits until these people's pages report the same call with them all and nobody else in it. */
  async #agree(actors: readonly Actor[]): Promise<void> {
    const wanted = actors.map((actor) => actor.identity).sort().join();
    for (const actor of actors) {
      await actor.until("agreement", (state) => state.call !== null && [...state.call.members].sort().join() === wanted);
    }
    await this.#first.until("agreement", () => new Set(actors.map((actor) => JSON.stringify(actor.state.call))).size === 1);
  }

  // -- what is shown --

  #say(text: string): void {
    say(byId("status"), text);
  }

  #fail(error: unknown, button: HTMLElement): void {
    const unexpected = { code: "unexpected", sentence: "Something unexpected went wrong on the stage." };
    const plain = error instanceof Failed ? error.plain : unexpected;
    if (!(error instanceof Failed)) console.error(error);
    const again = (): void => {
      byId("error").hidden = true;
      button.click();
    };
    const retry = make("button", { type: "button", class: "button quiet small", onclick: again }, "Try again");
    byId("error").replaceChildren(make("p", {}, plain.sentence), make("code", {}, plain.code), retry);
    byId("error").hidden = false;
    this.#say("Nothing is lost; the step can be tried again.");
  }

  /** Opens the buttons whose turn has come: after a reload the pages' own state says how far the story is. */
  #refresh(): void {
    const first = this.#first.state;
    const reached = { service: first.phase !== "loading", keys: first.phase === "enrolled" && first.call === null, call: false, remove: false };
    const all = this.#actors.map((actor) => actor.state);
    const enrolled = all.every((state) => !["loading", "ready", "failed"].includes(state.phase));
    const items = this.#buttons().map((button) => ({ button, item: button.closest("li") }));
    const done = (step: string): boolean => items.some(({ button, item }) => button.dataset["step"] === step && item?.dataset["state"] === "done");
    const mark = (step: string): void => items.find(({ button }) => button.dataset["step"] === step)?.item?.setAttribute("data-state", "done");
    if (enrolled && !done("service") && !this.#playing()) mark("service");
    if (first.call !== null && !this.#playing()) ["keys", "call"].forEach(mark);
    if (first.call !== null && all[2]?.phase === "removed" && !this.#playing()) mark("remove");
    reached.service = first.phase !== "loading" && !done("service");
    reached.keys = enrolled && !done("keys");
    reached.call = done("keys") && !done("call");
    reached.remove = done("call") && !done("remove");
    const away = all.some((state) => state.phase === "closed");
    this.#malice.show(done("call"));
    for (const { name, state } of this.#actors) {
      byId<HTMLButtonElement>(`door-${name}`).disabled = this.#playing() || !done("call") || state.phase === "loading";
    }
    let next = true;
    for (const { button, item } of items) {
      const step = button.dataset["step"] as keyof typeof reached;
      button.disabled = this.#playing() || away || !reached[step];
      item?.toggleAttribute("data-next", next && !button.disabled);
      if (!button.disabled) next = false;
    }
    const status = byId("status").textContent ?? "";
    if ((status === this.#greeting || status.startsWith("Loading Alice")) && first.phase !== "loading") this.#say((this.#greeting = greeting(all)));
  }

  #playing(): boolean {
    return document.querySelector('li[data-state="playing"]') !== null;
  }

  #render(): void {
    const states = new Map(this.#actors.map((actor) => [actor.identity, actor.state]));
    drawHolds(byId("holds"), this.#config, states);
    const { text, good } = verdict(this.#config, states);
    say(byId("verdict"), text);
    byId("verdict").classList.toggle("good", good);
    for (const actor of this.#actors) drawPhase(actor);
    drawEarlier(byId("earlier"), byId("history"), this.#epochs, this.#first.state.call?.epoch);
    const ways = this.#actors.flatMap((from) => this.#actors
      .filter((to) => to.state.sees.includes(from.identity) && from.state.sees.includes(to.identity))
      .map((to) => ({ from: from.identity, to: to.identity })));
    this.#frames.show(ways);
    this.#packets.show(ways);
  }
}

function greeting(all: readonly PersonState[]): string {
  const first = all[0]!;
  if (first.phase === "failed") return "Alice’s page could not start; her box says why.";
  if (first.call !== null) {
    const seen = all.every(({ call, sees }) => call === null || sees.length > 0);
    return `The call is still there: a reload loses nothing.${seen ? "" : " Who is not to be seen joins by the button on their page."}`;
  }
  return first.phase === "ready" ? "Alice’s page is ready. Begin with the first button." : "Alice is reachable again: a reload loses nothing.";
}

async function main(): Promise<void> {
  const codes = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
  new Stage(await demoConfig(), codes);
}

main().catch((error: unknown) => {
  console.error(error);
  say(byId("status"), "The demo’s server does not answer. Start it again: python3 build_scripts demo");
});
