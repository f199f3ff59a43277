// The switch that makes email2.example lie: what it does then, who is lied to, and what their page noticed, in words.

import { byId, firstName, make, say } from "./dom.js";
import type { PlainError } from "./story.js";

const URL_OF_SWITCH = "/malice"; // of the demo's own server

export interface Attack {
  readonly id: string; // as the demo's server names it
  readonly label: string;
  readonly victim: "alice" | "carol";
  readonly does: string;
  readonly code: string; // what a page says that noticed
  readonly noticed: string;
}

const HONEST = "honest";
const ATTACKS: readonly Attack[] = [
  {
    id: "swapped-key", label: "Swap Bob’s key", victim: "alice", code: "not-in-manifest",
    does: "It hands Alice a key of its own and says that it is Bob’s. Whoever believes that talks to the provider.",
    noticed: "Bob’s own list of devices stands in a shared log that the other provider checks. This key is not on it, so Alice’s page did not use it.",
  },
  {
    id: "hidden-device", label: "Hide Bob’s device", victim: "alice", code: "keys-withheld",
    does: "It says that Bob has no device, so that nobody can reach him here.",
    noticed: "The shared log lists a device of Bob’s. Alice’s page knows that it is being kept from her, and waits instead of believing it.",
  },
  {
    id: "weaker-suite", label: "Weaken the encryption", victim: "alice", code: "invalid-signature",
    does: "It cuts the strong encryption out of what Bob offers and hands on the weakest.",
    noticed: "Bob has signed all that he offers, as one. With a piece cut out his signature does not fit, so Alice’s page took none of it.",
  },
  {
    id: "split-view", label: "Show two truths", victim: "carol", code: "log-fork",
    does: "It keeps a second log for Carol alone, duly signed, in which its own key is Bob’s. Alice still sees the true one.",
    noticed: "Carol’s page had seen the true log before. Two signed logs that contradict each other prove a lie: her page now believes nothing "
      + "of this log, and keeps the proof as a file to hand on.",
  },
  {
    id: "old-key", label: "Replay an old key", victim: "alice", code: "replayed",
    does: "It hands out keys of Bob’s that were used before. Whoever got hold of the old ones could listen.",
    noticed: "Every key is good once. Alice’s page remembers which ones it has used, and refused these the second time.",
  },
];

/** What came of a check: how Bob's keys were proved, or the error that the page gave. */
export interface Outcome {
  readonly proved: string | null;
  readonly error: PlainError | null;
}

/** What the panel needs of the stage. */
export interface Doings {
  /** Has this person's page fetch Bob's keys afresh. */
  readonly check: (victim: Attack["victim"]) => Promise<Outcome>;
  /** Tells the stage what the service does now; null: it is honest. */
  readonly turned: (attack: Attack | null) => void;
  readonly failed: (error: unknown) => void;
}

export class MalicePanel {
  readonly #doings: Doings;
  #attack: Attack | null = null;

  constructor(doings: Doings) {
    this.#doings = doings;
    byId("attacks").append(this.#option(null), ...ATTACKS.map((attack) => this.#option(attack)));
    byId("check").addEventListener("click", () => void this.#check());
    void this.#turn(null); // a stage that was loaded again begins honestly
  }

  show(shown: boolean): void {
    byId("malice").hidden = !shown;
    document.body.classList.toggle("lying", shown);
  }

  #option(attack: Attack | null): HTMLElement {
    const input = make("input", { type: "radio", name: "attack", value: attack?.id ?? HONEST, checked: attack === null, onchange: () => void this.#turn(attack) });
    return make("label", { "data-attack": attack?.id ?? HONEST }, input, make("span", {}, attack?.label ?? "Honest"));
  }

  async #turn(attack: Attack | null): Promise<void> {
    try {
      const body = JSON.stringify({ attack: attack?.id ?? null });
      const answer = await fetch(URL_OF_SWITCH, { method: "POST", headers: { "Content-Type": "application/json" }, body });
      if (!answer.ok) throw new Error(`${URL_OF_SWITCH}: status ${answer.status}`);
    } catch (error) {
      byId<HTMLInputElement>("attacks").querySelector<HTMLInputElement>(`[value="${this.#attack?.id ?? HONEST}"]`)!.checked = true;
      this.#doings.failed(error);
      return;
    }
    this.#attack = attack;
    const panel = byId("malice");
    if (attack === null) delete panel.dataset["attack"];
    else panel.dataset["attack"] = attack.id;
    byId("noticed").hidden = true;
    say(byId("lie"), attack?.does ?? "It does what it should.");
    say(byId("check"), `${firstName(attack?.victim ?? "alice")}: fetch Bob’s keys`);
    this.#doings.turned(attack);
  }

  async #check(): Promise<void> {
    const button = byId<HTMLButtonElement>("check");
    const attack = this.#attack;
    this.#lock(true);
    button.setAttribute("aria-busy", "true");
    try {
      const outcome = await this.#doings.check(attack?.victim ?? "alice");
      this.#tell(attack, outcome);
    } catch (error) {
      this.#doings.failed(error);
    } finally {
      button.removeAttribute("aria-busy");
      this.#lock(false);
    }
  }

  /** One question at a time: an answer must belong to the lie that is shown. */
  #lock(locked: boolean): void {
    for (const control of byId("malice").querySelectorAll<HTMLInputElement | HTMLButtonElement>("input, button")) control.disabled = locked;
  }

  #tell(attack: Attack | null, { proved, error }: Outcome): void {
    const { title, text, good } = verdict(attack, proved, error);
    const card = byId("noticed");
    card.classList.toggle("wrong", !good);
    card.dataset["outcome"] = error?.code ?? proved ?? "";
    card.replaceChildren(make("b", {}, title), make("p", {}, text), ...(error === null ? [] : [make("code", {}, error.code)]));
    card.hidden = false;
    if (attack !== null && good) byId("attacks").querySelector(`label[data-attack="${attack.id}"]`)!.setAttribute("data-noticed", "");
  }
}

function verdict(attack: Attack | null, proved: string | null, error: PlainError | null): { title: string; text: string; good: boolean } {
  if (attack === null) {
    if (error !== null) return { title: "Not this time", text: error.sentence, good: false };
    return { title: "These are Bob’s keys", text: honest(proved), good: true };
  }
  if (error === null) return { title: "Not noticed", text: `${firstName(attack.victim)}’s page took what it was given.`, good: false };
  const text = error.code === attack.code ? attack.noticed : error.sentence;
  return { title: "Noticed, and refused", text, good: true };
}

function honest(proved: string | null): string {
  return proved === "transparency"
    ? "They stand in the shared log as Bob listed them, and the other provider has checked the log. Alice’s page takes them."
    : "Alice’s page takes them.";
}
