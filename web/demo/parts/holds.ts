// The table "who holds which call keys": one column for each person and service, one row for each sender.

import { bar, fill, firstName, listed, make, shortFingerprint } from "./dom.js";
import type { CallState, DemoConfig, PersonState } from "./story.js";

export type States = ReadonlyMap<string, PersonState>; // by identity

/** What the columns say together: agreement is worked out from what each page reported, never assumed. */
export function verdict(config: DemoConfig, states: States): { text: string; good: boolean } {
  const inCall = config.people.filter((person) => states.get(person.identity)?.call);
  if (inCall.length === 0) return { text: "Nobody yet. Equal colours will mean equal keys.", good: false };
  const marks = inCall.map((person) => JSON.stringify(states.get(person.identity)?.call));
  const names = listed(inCall.map((person) => firstName(person.identity)));
  if (inCall.length === 1) return { text: `${names} alone. Equal colours will mean equal keys.`, good: false };
  if (new Set(marks).size > 1) return { text: `${names} are still moving to the newest keys…`, good: false };
  const gone = config.people.filter((person) => states.get(person.identity)?.phase === "removed");
  const without = gone.map((person) => `${firstName(person.identity)} holds none of them`);
  return { text: [`${names} hold the same keys`, ...without, "no service was ever sent one"].join("; ") + ".", good: true };
}

export function drawHolds(table: Element, config: DemoConfig, states: States): void {
  const calls = config.people.map((person) => states.get(person.identity)?.call ?? null);
  fill(table, [config.people.length, calls, [...states.values()].map((state) => state.phase)], () => {
    const senders = config.people.map((person) => person.identity);
    const head = make("tr", {}, make("td"),
      ...config.people.map((person) => make("th", { scope: "col", class: person.name }, firstName(person.identity))),
      ...config.services.map((service) => make("th", { scope: "col", class: "service" }, service.domain)));
    const row = (label: string, cell: (index: number) => Node | string): HTMLElement => make("tr", {},
      make("th", { scope: "row" }, label),
      ...config.people.map((_, index) => make("td", {}, cell(index))),
      ...config.services.map(() => make("td", { class: "service" }, calls.some((call) => call !== null) ? "none" : "—")));
    return [
      make("caption", { class: "visually-hidden" }, "Call keys by sender and holder"),
      make("thead", {}, head),
      make("tbody", {},
        row("Epoch", (index) => calls[index]?.epoch ?? absent(config, states, index)),
        row("Digits", (index) => calls[index] ? make("span", { class: "mono" }, digitsText(calls[index].digits)) : "—"),
        ...senders.map((sender) => row(`${firstName(sender)}’s sending key`, (index) =>
          keyCell(calls[index]?.keys.find((key) => key.sender === sender)?.fingerprint)))),
    ];
  });
}

function absent(config: DemoConfig, states: States, index: number): string {
  return states.get(config.people[index]?.identity ?? "")?.phase === "removed" ? "removed" : "—";
}

export function digitsText(digits: string | undefined): string {
  return (digits?.replaceAll(/\s/g, "").match(/\d{5}/g) ?? ["—"]).join(" ");
}

export function keyCell(fingerprint: string | undefined): HTMLElement {
  if (fingerprint === undefined) return make("span", { class: "soft" }, "—");
  return make("span", { class: "key" }, bar(fingerprint), make("code", { title: fingerprint }, shortFingerprint(fingerprint)));
}

/** By epoch: what each page held in it, by identity. */
export type Held = ReadonlyMap<string, ReadonlyMap<string, CallState>>;

/** The keys of epochs that more than one page has seen, the newest left out. */
export function drawEarlier(details: HTMLElement, table: Element, epochs: Held, newest: string | undefined): void {
  const earlier = [...epochs].filter(([epoch, held]) => epoch !== newest && held.size > 1);
  details.hidden = earlier.length === 0;
  fill(table, earlier.map(([epoch, held]) => [epoch, [...held]]), () => earlier.map(([epoch, held]) => make("tbody", {},
    make("tr", {}, make("th", { scope: "rowgroup", colspan: "3" }, `Epoch ${epoch}`)),
    ...[...held].map(([identity, call]) => make("tr", {},
      make("th", { scope: "row" }, `${firstName(identity)} held`),
      make("td", {}, make("span", { class: "mono" }, digitsText(call.digits))),
      make("td", {}, ...call.keys.map((key) => keyCell(key.fingerprint))))))));
}
