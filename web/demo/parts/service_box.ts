// One delivery service on the stage: what passed it, and what it could read of it.

import { bytesText, firstName, make, say } from "./dom.js";
import type { Traffic } from "./story.js";
import { passed } from "./words.js";

const KEPT = 60; // entries of the list on demand; the story makes about forty

export class ServiceBox {
  readonly domain: string;
  readonly element: HTMLElement;
  readonly #last = make("p", { class: "last" }, "Nothing has passed yet.");
  readonly #read = make("dd", {}, "—");
  readonly #sealed = make("dd", { class: "open" }, "—");
  readonly #total = make("span", {}, "nothing yet");
  readonly #list = make("ol", { class: "log" });
  readonly #lies = make("span", { class: "lies", hidden: true }, "lies");
  #count = 0;
  #bytes = 0;
  #shown = 0; // how telling the event in sight is

  constructor(domain: string, what: string) {
    this.domain = domain;
    this.element = make("section", { class: "service-box", "aria-label": `${domain}: ${what}` },
      make("h2", {}, domain, this.#lies), make("p", { class: "soft" }, what),
      this.#last,
      make("dl", {},
        make("div", {}, make("dt", {}, "could read"), this.#read),
        make("div", { class: "closed" }, make("dt", {}, "stayed closed"), this.#sealed)),
      make("details", {}, make("summary", {}, "All that passed: ", this.#total), this.#list));
  }

  /** Whether the switch made it lie. */
  lies(does: boolean): void {
    this.#lies.hidden = !does;
    this.element.classList.toggle("malicious", does);
  }

  /** A new step begins: from now on its events are what counts. */
  begin(): void {
    this.#shown = 0;
  }

  passed(traffic: Traffic, person: string): void {
    const words = passed(traffic, person);
    this.#count += 1;
    this.#bytes += traffic.bytes;
    if (words.telling >= this.#shown) {
      this.#shown = words.telling;
      say(this.#last, `${words.title} · ${words.size}`);
      say(this.#read, words.read);
      say(this.#sealed, words.sealed ?? "nothing here was secret");
      this.#sealed.classList.toggle("open", words.sealed === null);
    }
    say(this.#total, `${this.#count}, ${bytesText(this.#bytes)}`);
    const closed = words.sealed === null ? "" : `; closed: ${words.sealed}`;
    this.#list.prepend(make("li", {}, make("b", {}, words.title), ` ${words.size}. Could read: ${words.read}${closed}`));
    while (this.#list.childElementCount > KEPT) this.#list.lastElementChild?.remove();
    this.element.dataset["by"] = firstName(person).toLowerCase();
    this.element.classList.remove("hit");
    void this.element.offsetWidth; // restarts the glow
    this.element.classList.add("hit");
  }
}
