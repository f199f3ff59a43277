// The few lines of DOM that the pages need. Data becomes text nodes only, never markup.

type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | boolean | EventListener | undefined>>;

/** Finds the element with this id; the page's own HTML promises it. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`no element with id ${id}`);
  return found as Element as T;
}

/** Makes an element: attributes, `onclick`-style listeners as functions, children as nodes or text. */
export function make(tag: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === true) element.setAttribute(name, "");
    else if (typeof value === "string") element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Writes `text` if it is not there already, so that a live region speaks only when something changed. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Replaces the children only when `key` differs from the last call's, so that focus and animations survive. */
export function fill(element: Element, key: unknown, children: () => Child[]): void {
  const wanted = JSON.stringify(key);
  if ((element as HTMLElement).dataset["shown"] === wanted) return;
  (element as HTMLElement).dataset["shown"] = wanted;
  element.replaceChildren(...children().filter((child) => child !== null));
}

/** A fingerprint (16 hex digits or more) as four colours, beside its text. */
export function bar(fingerprint: string): HTMLElement {
  const strip = make("span", { class: "bar", "aria-hidden": "true" });
  for (let at = 0; at < 16; at += 4) {
    const value = Number.parseInt(fingerprint.slice(at, at + 4) || "0", 16);
    const part = document.createElement("i");
    part.style.background = `hsl(${(value >> 8) * 1.41} ${45 + (value & 3) * 12}% ${44 + ((value >> 2) & 7) * 4}%)`;
    strip.append(part);
  }
  return strip;
}

/** "a1b2c3d4e5f60718" in groups of four: eight bytes, enough to compare by eye. */
export function shortFingerprint(fingerprint: string): string {
  return (fingerprint.slice(0, 16).match(/.{1,4}/g) ?? []).join(" ");
}

export function bytesText(bytes: number): string {
  if (bytes === 1) return "1 byte";
  return bytes < 1000 ? `${bytes} bytes` : `${(bytes / 1000).toFixed(1)} kB`;
}

/** "alice@email1.example" as "Alice", for sentences; whoever has no such name keeps the whole. */
export function firstName(identity: string): string {
  const local = identity.split("@")[0] ?? identity;
  return local.charAt(0).toUpperCase() + local.slice(1);
}

/** "Alice", "Alice and Bob", "Alice, Bob and Carol". */
export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
