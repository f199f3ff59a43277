// How a person's page looks: it draws the model's state into the page's own HTML, and never holds state of its own.

import { bar, byId, fill, firstName, listed, make, say, shortFingerprint } from "./dom.js";
import { explained } from "./errors.js";
import { digitsText } from "./holds.js";
import type { PersonModel } from "./person_model.js";
import { proof } from "./words.js";

const HELD_MESSAGES = 50; // shown at once; the library keeps more

/** What the buttons that the view makes itself shall do. */
export interface Doings {
  readonly remove: (identity: string) => void;
  readonly accept: (index: number) => void;
  readonly decline: (index: number) => void;
  readonly acceptReset: (identity: string) => void;
  readonly evidence: () => void;
}

export function draw(model: PersonModel, doings: Doings): void {
  document.documentElement.dataset["phase"] = model.phase;
  say(byId("status"), sentence(model));
  drawCall(model, doings);
  drawInvitations(model, doings);
  drawServices(model);
  drawRecovery(model);
  drawKeys(model, doings);
  drawControls(model);
  drawMessages(model);
  drawTrouble(model);
}

/** What this page is and what to do here, for who opens it by itself. */
export const lead = (name: string, others: readonly string[]): string =>
  `A call whose keys no server holds; this is ${name}’s window. Set the delivery service’s address, fetch the others’ public keys, start the call. ` +
  `${listed(others)} have windows of their own: set the address there, too, and they can be called.`;

function sentence(model: PersonModel): string {
  const others = (model.callState?.members ?? []).filter((name) => name !== model.name).map(firstName);
  switch (model.phase) {
    case "loading": return model.progress > 0 && model.progress < 1 ? `Loading… ${Math.round(model.progress * 100)} %` : "Loading…";
    case "ready": return "Ready. Set the delivery service’s address to begin.";
    case "enrolled": return "Reachable: others can fetch this page’s public keys.";
    case "invited": return "An invitation has arrived.";
    case "call": return others.length > 0 ? `In a call with ${listed(others)}.` : "In a call, alone so far.";
    case "removed": return "Removed from the call.";
    case "failed": return "This page could not start.";
    case "closed": return ""; // the stage's word, of a page that is not there
  }
}

function drawCall(model: PersonModel, doings: Doings): void {
  const call = model.callState;
  byId("call").hidden = call === null;
  byId("gone").hidden = model.phase !== "removed";
  if (call === null) return;
  byId("call").dataset["epoch"] = call.epoch;
  byId("call").dataset["members"] = call.members.join(" ");
  say(byId("epoch"), `epoch ${call.epoch}`);
  fill(byId("digits"), call.digits, () => digitsText(call.digits).split(" ").map((group) => make("span", {}, group)));
  fill(byId("keys").querySelector("tbody")!, [call.keys, call.members], () => call.keys.map((key) => {
    const own = key.sender === model.name;
    return make("tr", { "data-sender": key.sender, "data-fingerprint": key.fingerprint },
      make("th", { scope: "row", class: key.sender.split("@")[0] ?? "" }, own ? "You" : firstName(key.sender)),
      make("td", {}, bar(key.fingerprint), make("code", { title: key.fingerprint }, shortFingerprint(key.fingerprint))),
      make("td", {}, own ? null : remover(key.sender, doings)));
  }));
}

function remover(identity: string, doings: Doings): HTMLElement {
  const attributes = { type: "button", class: "button quiet small", "data-remove": identity, onclick: () => doings.remove(identity) };
  return make("button", attributes, "Remove", make("span", { class: "visually-hidden" }, ` ${firstName(identity)} from the call`));
}

function drawInvitations(model: PersonModel, doings: Doings): void {
  const shown = byId("invitations");
  shown.hidden = model.invitations.length === 0;
  const join = model.callState === null ? "Join" : "Join, and leave this call";
  fill(shown, [join, model.invitations.map((one) => [one.from?.identity, one.name])], () => model.invitations.flatMap((one, index) => [
    one.from === undefined
      ? make("p", {}, "Someone who has left since invites you.")
      : make("p", {}, make("b", {}, firstName(one.from.identity)), ` (${one.from.identity}) invites you: ${proof(one.from.verified.by)}.`),
    make("div", { class: "row" },
      make("button", { type: "button", class: "button", "data-accept": true, onclick: () => doings.accept(index) }, join),
      make("button", { type: "button", class: "button quiet", onclick: () => doings.decline(index) }, "Decline")),
  ]));
}

function drawServices(model: PersonModel): void {
  fill(byId("services"), [model.services, model.identity?.identity, model.stock], () => [
    ...model.services.map((service) => make("li", { "data-domain": service.domain }, make("b", {}, service.domain), ` at ${service.url}`)),
    model.identity === null ? null : make("li", {}, `Enrolled as ${model.identity.identity}`,
      model.stock === null ? null : `; ${model.stock} sets of public keys lie ready for others`),
  ]);
  outcome("service", model.identity !== null, model.services.find((service) => service.domain === model.homeDomain)?.domain ?? "");
}

function drawRecovery(model: PersonModel): void {
  byId("recovery").hidden = model.identity === null;
  const groups = model.recoveryKey?.split(" ") ?? [];
  byId("letters").hidden = groups.length === 0;
  fill(byId("letters"), groups, () => groups.map((group) => make("span", {}, group)));
  byId("take-recovery").hidden = groups.length > 0;
  byId("kept-recovery").hidden = groups.length === 0;
  say(byId("recovery-words"), groups.length > 0
    ? "Write it down and keep it away from this device."
    : "For the day when every device is lost: have pen and paper ready. Once you have it, this device forgets it.");
}

function drawKeys(model: PersonModel, doings: Doings): void {
  const names = model.fetched.map((one) => one.identity);
  fill(byId("fetched"), [model.contacts, model.missing.map((one) => [one.identity, explained(one.error)])], () => [
    ...model.contacts.map((one) => make("li", { "data-fetched": one.identity },
      make("b", {}, one.identity), ` from ${one.from}: ${devices(one.devices)}, ${proof(one.provedBy)}`,
      one.absent === 0 ? null : make("span", { class: "bad" }, `; keys of ${devices(one.absent)} more did not come`))),
    ...model.missing.map((one) => make("li", { class: "missing", "data-missing": one.identity },
      make("b", {}, one.identity), ` ${explained(one.error).sentence} `, make("code", {}, explained(one.error).code),
      remedy(one.identity, explained(one.error).code, doings))),
  ]);
  const inCall = (model.callState?.members ?? []).filter((name) => name !== model.name).map(firstName);
  outcome("keys", names.length > 0 || inCall.length > 0, names.length > 0 ? listed(names.map(firstName)) : inCall.length > 0 ? "in use" : "");
}

const devices = (count: number): string => (count === 1 ? "one device" : `${count} devices`);

/** What a person can do about somebody whose keys were refused, beside trying again. */
function remedy(identity: string, code: string, doings: Doings): HTMLElement | null {
  const button = (text: string, onclick: () => void): HTMLElement => make("button", { type: "button", class: "button quiet small", onclick }, text);
  if (code === "log-fork") return button("Save the proof", doings.evidence);
  if (code === "identity-reset") return button(`${firstName(identity)} has told me so: accept`, () => doings.acceptReset(identity));
  return null;
}

function drawControls(model: PersonModel): void {
  const inCall = model.callState !== null;
  const start = byId<HTMLButtonElement>("start-call");
  say(start, inCall ? "Invite them too" : "Start the call");
  start.hidden = inCall && model.guests.length === 0;
  if (start.getAttribute("aria-busy") !== "true") start.disabled = model.identity === null || model.guests.length === 0;
  byId("update-keys").hidden = !inCall;
  byId("leave-call").hidden = !inCall;
  byId("message-form").hidden = !inCall;
  outcome("call", inCall, inCall ? `${model.callState?.members.length} people` : "");
}

function drawMessages(model: PersonModel): void {
  const last = model.messages.slice(-HELD_MESSAGES);
  fill(byId("messages"), last.map((message) => message.seq), () => last.map((message) => make("li", { class: message.own ? "own" : "" },
    make("b", {}, message.own ? "You" : firstName(message.from.identity)), " ", new TextDecoder().decode(message.data))));
}

/** A failure in the background, shown once: the next one replaces it. */
function drawTrouble(model: PersonModel): void {
  const trouble = model.takeTrouble();
  if (trouble !== null) showError(byId("error"), trouble, null);
}

function outcome(step: string, done: boolean, text: string): void {
  const box = byId(`step-${step}`);
  box.classList.toggle("done", done);
  say(box.querySelector(".outcome")!, text);
}

/** Shows an error as its sentence and code, with a button to try again where that makes sense. */
export function showError(slot: HTMLElement, error: unknown, again: (() => void) | null): void {
  const plain = explained(error);
  console.warn(error); // the developer's text, beside the person's sentence
  const retry = again === null ? null : make("button", { type: "button", class: "button quiet small", onclick: () => {
    slot.hidden = true;
    again();
  } }, "Try again");
  slot.replaceChildren(make("p", {}, plain.sentence), make("code", { "data-code": plain.code }, plain.code), ...(retry === null ? [] : [retry]));
  slot.hidden = false;
}
