// What a delivery service could read of each thing that passes it, in words for people.

import { bytesText, firstName } from "./dom.js";
import type { Traffic } from "./story.js";

interface Kind {
  readonly title: string;
  readonly readable: string; // what this service could read, beside the size
  readonly sealed: string | null; // what passed it closed
}

const KINDS: Readonly<Record<string, Kind>> = {
  discover: { title: "Who are you?", readable: "nothing but the question", sealed: null },
  enrol: { title: "This name is mine", readable: "the name and its public key", sealed: null },
  publish: { title: "My public keys", readable: "public keys and whose they are", sealed: null },
  stock: { title: "How many are left?", readable: "who asked", sealed: null },
  claim: { title: "Public keys, please", readable: "who asked for whose public keys", sealed: null },
  "commit-order": { title: "A change of the group", readable: "who sent it, a group’s number", sealed: "the new keys" },
  commits: { title: "Changes I missed", readable: "who asked, a group’s number", sealed: "the new keys" },
  welcome: { title: "A sealed invitation", readable: "who sent it to whom", sealed: "the group’s secret" },
  commit: { title: "A change of the group", readable: "who sent it to whom", sealed: "the new keys" },
  proposal: { title: "A wish for the group", readable: "who sent it to whom", sealed: "what it says" },
  message: { title: "A message", readable: "who sent it to whom", sealed: "what it says" },
  ack: { title: "Received, thank you", readable: "who received", sealed: null },
};
const OTHER: Kind = { title: "A request", readable: "who sent it", sealed: null };

export interface Passed {
  readonly title: string; // "A sealed invitation"
  readonly way: string; // "from Alice"
  readonly read: string;
  readonly sealed: string | null;
}

export function passed(traffic: Traffic, person: string): Passed {
  const kind = KINDS[traffic.kind] ?? OTHER;
  return {
    title: kind.title,
    way: `${traffic.direction === "out" ? "from" : "to"} ${firstName(person)}`,
    read: `${kind.readable}; ${bytesText(traffic.bytes)}`,
    sealed: kind.sealed,
  };
}

/** How an identity's key was proved, in words. */
export function proof(by: string): string {
  switch (by) {
    case "transparency": return "proved by the shared log";
    case "pinned": return "the same key as before";
    case "first-use": return "first meeting: signature checked, key remembered";
    default: return by;
  }
}
