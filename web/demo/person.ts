// One person's page: wires the buttons to the model, and plays along when the stage shows it in a frame.

import { byId, firstName, make, say } from "./parts/dom.js";
import { explained } from "./parts/errors.js";
import { focusKept } from "./parts/focus.js";
import { Packets } from "./parts/packets.js";
import { Player } from "./parts/player.js";
import { Pictures } from "./parts/pictures.js";
import { PersonModel } from "./parts/person_model.js";
import { draw, lead, showError } from "./parts/person_view.js";
import { demoConfig, received, STEPS } from "./parts/story.js";
import type { DemoConfig, FrameWish, FromPerson, PacketAsk, PlainError, Step, ToPerson } from "./parts/story.js";

const CODE = "roomkey demo: enrolment code"; // for this tab only, until it is used: a reload must not lose it

class Page {
  readonly #config: DemoConfig;
  readonly #model: PersonModel;
  readonly #framed: boolean;
  readonly #pictures: Pictures;
  readonly #packets: Packets;
  readonly #player: Player;
  #running: Promise<PlainError | null> = Promise.resolve(null);

  constructor(config: DemoConfig, name: string) {
    this.#config = config;
    this.#framed = window.parent !== window;
    this.#model = new PersonModel(name, config, (traffic) => {
      const { direction, service, kind, bytes } = traffic;
      this.#tell({ roomkey: "story", event: "traffic", traffic: { direction, service, kind, bytes } });
    });
    this.#pictures = new Pictures(name, (button, work) => this.#run(button, "pictures", work));
    this.#packets = new Packets(() => this.#pictures.own);
    this.#player = new Player(config.player, () => this.#pictures.own);
    this.#pictures.addEventListener("changed", () => {
      this.#packets.shows();
      void this.#player.shows();
      this.#state();
    });
    this.#dress(name);
    this.#wire();
    if (this.#framed) this.#joinStage();
    this.#model.addEventListener("changed", () => this.#draw());
    this.#draw();
    void this.#start();
  }

  #dress(name: string): void {
    const person = name.split("@")[0] ?? name;
    document.documentElement.classList.add(person);
    document.documentElement.classList.toggle("framed", this.#framed);
    document.title = `${firstName(name)} · Roomkey`;
    say(byId("avatar"), firstName(name).charAt(0));
    say(byId("name"), firstName(name));
    say(byId("identity"), name);
    say(byId("lead"), lead(firstName(name), this.#others().map(firstName)));
    byId<HTMLInputElement>("service").value = this.#addresses()[0] ?? "";
    byId("known-services").append(...this.#config.services.map((service) => make("option", { value: service.url }, service.domain)));
    byId<HTMLInputElement>("people").value = this.#others().join(", ");
  }

  // -- buttons --

  #wire(): void {
    this.#submit("service-form", "set-service", "service", () => this.#setService(byId<HTMLInputElement>("service").value));
    this.#submit("enrol-form", "enrol", "service", () => this.#model.enrol(byId<HTMLInputElement>("code").value.trim()));
    this.#submit("keys-form", "fetch-keys", "keys", async () => {
      const names = byId<HTMLInputElement>("people").value.split(/[\s,;]+/);
      await this.#model.fetchKeys(names.filter((name) => name !== ""));
      byId<HTMLDetailsElement>("step-keys").open ||= this.#model.missing.length > 0; // whom it could not be done for, and why
    });
    this.#submit("message-form", "send-message", "message", async () => {
      const field = byId<HTMLInputElement>("message");
      await this.#model.send(field.value);
      field.value = "";
    });
    byId("take-recovery").addEventListener("click", () =>
      this.#run(byId<HTMLButtonElement>("take-recovery"), "service", () => this.#model.showRecoveryKey()));
    byId("kept-recovery").addEventListener("click", () =>
      this.#run(byId<HTMLButtonElement>("kept-recovery"), "service", () => this.#model.forgetRecoveryKey()));
    this.#click("start-call", () => this.#model.startCall());
    this.#click("update-keys", () => this.#model.newKeys());
    this.#click("leave-call", () => this.#model.leave());
    byId("player-run").addEventListener("click", () => this.#run(byId<HTMLButtonElement>("player-run"), "player", () => this.#player.toggle()));
  }

  #submit(form: string, button: string, slot: string, work: () => Promise<void>): void {
    byId(form).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run(byId<HTMLButtonElement>(button), slot, work);
    });
  }

  #click(button: string, work: () => Promise<void>): void {
    byId(button).addEventListener("click", () => this.#run(byId<HTMLButtonElement>(button), "call", work));
  }

  /** Runs what a button stands for; a failure shows its sentence there, and the page goes on working. */
  #run(button: HTMLButtonElement | null, slot: string, work: () => Promise<void>): void {
    const error = document.querySelector<HTMLElement>(`[data-error="${slot}"]`)!;
    error.hidden = true;
    const focus = focusKept(button);
    button?.setAttribute("aria-busy", "true");
    if (button !== null) button.disabled = true;
    this.#running = work().then(() => null, (failure: unknown) => {
      showError(error, failure, () => this.#run(button, slot, work));
      error.closest("details")?.setAttribute("open", "");
      return explained(failure);
    }).finally(() => {
      button?.removeAttribute("aria-busy");
      if (button !== null) button.disabled = false;
      this.#draw();
      focus();
    });
  }

  /** Sets one address; where it turns out to be this person's own service, the waiting code enrols the name there. */
  async #setService(url: string): Promise<void> {
    await this.#model.loaded;
    await this.#model.setService(url.trim());
    const home = this.#model.services.some((service) => service.domain === this.#model.homeDomain);
    const code = sessionStorage.getItem(CODE);
    if (this.#model.identity === null && home && code !== null) {
      try {
        await this.#model.enrol(code);
        sessionStorage.removeItem(CODE);
      } catch (error) {
        if (!explained(error).retryable) sessionStorage.removeItem(CODE); // it will never do; the person may type another
        throw error;
      }
    }
    const next = this.#nextAddress();
    if (next !== undefined) byId<HTMLInputElement>("service").value = next;
  }

  async #start(): Promise<void> {
    try {
      await this.#model.start();
    } catch (error) {
      showError(byId("error"), error, () => void this.#start());
    }
  }

  // -- the story: the stage asks, this page presses its own buttons --

  #joinStage(): void {
    window.addEventListener("message", (event: MessageEvent<unknown>) => {
      const message = received<ToPerson>(event, this.#config.stage, window.parent);
      if (message?.do === "frame") void this.#frame(message.id, message);
      if (message?.do === "packets") void this.#relay(message.id, message);
      if (message === null || message.do === "frame" || message.do === "packets" || !STEPS.includes(message.do)) return;
      void this.#press(message.do).then((error) => {
        const proved = this.#model.fetched.at(-1)?.verified.by ?? null;
        this.#tell({ roomkey: "story", event: "done", id: message.id, error, proved });
      });
    });
    new ResizeObserver(() => this.#tell({ roomkey: "story", event: "height", height: document.body.offsetHeight })).observe(document.body);
  }

  async #frame(id: number, wish: FrameWish): Promise<void> {
    try {
      this.#tell({ roomkey: "story", event: "frame", id, error: null, frame: await this.#pictures.frame(wish) });
    } catch (error) {
      this.#tell({ roomkey: "story", event: "frame", id, error: explained(error), frame: null });
    }
  }

  async #relay(id: number, ask: PacketAsk): Promise<void> {
    try {
      this.#tell({ roomkey: "story", event: "packets", id, error: null, answer: await this.#packets.answer(ask) });
    } catch (error) {
      this.#tell({ roomkey: "story", event: "packets", id, error: explained(error), answer: null });
    }
  }

  async #press(step: Step): Promise<PlainError | null> {
    switch (step) {
      case "service": {
        for (const address of this.#addresses()) {
          byId<HTMLInputElement>("service").value = address;
          const error = await this.#pressed(() => byId<HTMLFormElement>("service-form").requestSubmit());
          if (error !== null) return error;
        }
        return null;
      }
      case "keys": {
        const error = await this.#pressed(() => byId<HTMLFormElement>("keys-form").requestSubmit());
        return error ?? (this.#model.missing[0] === undefined ? null : explained(this.#model.missing[0].error));
      }
      case "check": {
        byId<HTMLInputElement>("people").value = this.#others().filter((name) => !name.endsWith(`@${this.#model.homeDomain}`)).join(", ");
        const error = await this.#pressed(() => byId<HTMLFormElement>("keys-form").requestSubmit());
        return error ?? (this.#model.missing[0] === undefined ? null : explained(this.#model.missing[0].error));
      }
      case "call": return this.#pressed(() => byId("start-call").click());
      case "accept": return this.#pressed(() => document.querySelector<HTMLElement>("[data-accept]")?.click());
      case "pictures": return this.#pressed(() => byId("join-drawing").click());
      case "remove": {
        const last = this.#config.people.at(-1)?.identity ?? "";
        return this.#pressed(() => removeButton(last)?.click());
      }
    }
  }

  #pressed(press: () => void): Promise<PlainError | null> {
    press();
    return this.#running;
  }

  #tell(message: FromPerson): void {
    if (this.#framed) window.parent.postMessage(message, this.#config.stage);
  }

  // -- drawing --

  #draw(): void {
    const model = this.#model;
    draw(model, {
      remove: (identity) => this.#run(removeButton(identity), "call", () => model.remove(identity)),
      accept: (index) => this.#invitation(index, "accept"),
      decline: (index) => this.#invitation(index, "decline"),
      acceptReset: (identity) => this.#run(null, "keys", () => this.#model.acceptReset(identity)),
      evidence: () => this.#run(null, "keys", () => this.#model.saveEvidence()),
    });
    const home = model.services.some((service) => service.domain === model.homeDomain);
    byId("more-services").hidden = model.identity === null || this.#nextAddress() === undefined;
    byId("enrol-form").hidden = !(home && model.identity === null && sessionStorage.getItem(CODE) === null);
    this.#unfold();
    const call = model.callState === null ? null : model.call;
    this.#pictures.follow(call);
    this.#packets.follow(call);
    this.#player.follow(call).catch(() => this.#player.stop()); // without a member's keys there is nothing to show, as after a removal
    this.#state();
  }

  #state(): void {
    const { phase, callState } = this.#model;
    this.#tell({ roomkey: "story", event: "state", state: { phase, call: callState, sees: this.#pictures.sees } });
  }

  #invitation(index: number, what: "accept" | "decline"): void {
    const invitation = this.#model.invitations[index];
    if (invitation !== undefined) this.#run(document.querySelector<HTMLButtonElement>("[data-accept]"), "call", () => this.#model[what](invitation));
  }

  /** Opens the section whose turn it is, once each time the turn passes on; what the person opens or shuts then stays. */
  #unfold(): void {
    const turn = this.#turn();
    if (document.body.dataset["turn"] === turn) return;
    document.body.dataset["turn"] = turn;
    const open = {
      service: turn === "service",
      keys: turn === "keys" || (turn === "call" && this.#model.missing.length > 0), // whom it could not be fetched for stays in sight
      call: turn === "call" || (turn === "talk" && !this.#framed),
    };
    for (const [step, shown] of Object.entries(open)) byId<HTMLDetailsElement>(`step-${step}`).open = shown;
  }

  #turn(): "none" | "service" | "keys" | "call" | "talk" {
    const { identity, fetched, callState, phase } = this.#model;
    if (phase === "removed") return "none";
    if (callState !== null) return "talk";
    if (fetched.length > 0) return "call";
    if (identity === null || this.#nextAddress() !== undefined) return "service";
    return this.#framed && !this.#first() ? "none" : "keys"; // on the stage the others wait to be called
  }

  #first(): boolean {
    return this.#config.people[0]?.identity === this.#model.name;
  }

  /** The services' addresses, this person's own first. */
  #addresses(): string[] {
    const home = this.#config.services.filter((service) => service.domain === this.#model.homeDomain);
    return [...home, ...this.#config.services.filter((service) => !home.includes(service))].map((service) => service.url);
  }

  /** The first of them that is not set yet: the others' services are set like one's own. */
  #nextAddress(): string | undefined {
    const known = this.#model.services.map((service) => new URL(service.url).origin);
    return this.#addresses().find((address) => !known.includes(new URL(address).origin));
  }

  #others(): string[] {
    return this.#config.people.map((person) => person.identity).filter((name) => name !== this.#model.name);
  }
}

function removeButton(identity: string): HTMLButtonElement | null {
  return document.querySelector(`[data-remove="${CSS.escape(identity)}"]`);
}

async function main(): Promise<void> {
  const code = location.hash.slice(1);
  if (code !== "") {
    history.replaceState(null, "", location.pathname);
    sessionStorage.setItem(CODE, decodeURIComponent(code));
  }
  const config = await demoConfig();
  const person = config.people.find((one) => one.origin === location.origin);
  if (person === undefined) throw new Error(`no person lives at ${location.origin}`);
  new Page(config, person.identity);
}

main().catch((error: unknown) => {
  console.error(error);
  say(byId("status"), "The demo’s server does not answer. Start it again: python3 build_scripts demo");
});
