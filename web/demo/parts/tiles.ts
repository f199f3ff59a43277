// Tiles: each person's picture with their name, whether they speak, and what keeps it safe or why there is none.

import type { Lock, Tile } from "roomkey";
import { firstName, make, say } from "./dom.js";

/** Draws one tile for each, and keeps the elements of those that stay: a video must not begin anew. */
export function drawTiles(box: HTMLElement, tiles: readonly Tile[]): void {
  const wanted = new Set(tiles.map(nameOf));
  for (const shown of [...box.children] as HTMLElement[]) if (!wanted.has(shown.dataset["client"] ?? "")) shown.remove();
  for (const tile of tiles) {
    const known = ([...box.children] as HTMLElement[]).find((shown) => shown.dataset["client"] === nameOf(tile));
    draw(known ?? box.appendChild(make("figure", { "data-client": nameOf(tile) }, video(tile), make("p", { class: "why" }), make("figcaption"))), tile);
  }
}

function draw(shown: HTMLElement, tile: Tile): void {
  const { member, lock } = tile;
  const name = member.own ? "You" : firstName(member.identity);
  shown.className = `tile ${member.identity.split("@")[0] ?? ""}`;
  shown.classList.toggle("speaks", tile.speaking);
  shown.classList.toggle("dark", lock.state !== "protected" || tile.video === "none");
  shown.dataset["tile"] = member.identity;
  shown.dataset["lock"] = lock.state;
  shown.dataset["video"] = tile.video;
  const element = shown.querySelector("video")!;
  if (element.srcObject !== tile.stream) element.srcObject = tile.stream;
  if (element.paused) play(element);
  say(shown.querySelector(".why")!, tile.video === "none" && lock.state === "protected" ? `${name}: picture off` : why(lock, name));
  const notes = [tile.video === "screen" ? "screen" : "", tile.audio ? "" : "muted", tile.speaking ? "speaks" : ""].filter((note) => note !== "");
  const caption = `${name}${notes.length > 0 ? ` · ${notes.join(" · ")}` : ""}`;
  say(shown.querySelector("figcaption")!, caption);
  shown.querySelector("figcaption")!.setAttribute("title", title(lock, member.own));
}

function video(tile: Tile): HTMLElement {
  const element = make("video", { autoplay: true, playsinline: true }) as HTMLVideoElement;
  element.muted = tile.member.own;
  return element;
}

/** Sound may have to wait for the person's first click on a page; the picture need not. */
function play(element: HTMLVideoElement): void {
  element.play().catch(() => {
    element.muted = true;
    element.play().catch(() => undefined); // there is no picture yet
  });
}

/** Why there is no picture, for people. */
function why(lock: Lock, name: string): string {
  switch (lock.state) {
    case "protected": return "";
    case "connecting": return `Finding a way to ${name}…`;
    case "waiting": return `Connected. Nothing of ${name} has come yet.`;
    case "no-key": return `No picture: this page has no key for what ${name} sends.`;
    case "refused": return `No picture: what comes was not sealed by ${name}.`;
    case "unheard": return "Nobody gets your picture now. It goes on by itself when somebody does.";
    case "failed":
      if (lock.reason === "impostor") return `No picture: somebody stands in the way to ${name}’s machine.`;
      return lock.reason === "no-way" ? `No picture: no way to ${name}’s machine.` : `No picture: it could not be sealed (${lock.reason ?? "unknown"}).`;
  }
}

function title(lock: Lock, own: boolean): string {
  if (own) return "Sealed on this page, before it leaves";
  const since = lock.since.toTimeString().slice(0, 8);
  return lock.state === "protected" ? `Sealed by the sender’s page, opened by this one; since ${since}` : `${lock.state}${lock.reason === undefined ? "" : `: ${lock.reason}`}; since ${since}`;
}

const nameOf = (tile: Tile): string => tile.member.clientId.join();
