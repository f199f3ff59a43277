// What a delivery service could read of each thing that passes it, in words for people.

import { bytesText, firstName } from "./dom.js";
import type { Traffic } from "./story.js";

interface Kind {
  readonly out: string; // from the person to the service
  readonly in: string; // the service's answer, or what it hands on
  readonly readable: string; // what this service could read, beside the size
  readonly sealed: string | null; // what passed it closed
  readonly telling?: number; // how much it says about the story; see `passed`
}

const ASKED = "who asked";
const WHO_TO_WHOM = "who sends to whom";
const KINDS: Readonly<Record<string, Kind>> = {
  discover: { out: "“Who are you?”", in: "“A delivery service”", readable: "nothing but the question", sealed: null },
  enrol: { out: "“This name is mine”", in: "“It is yours”", readable: "the name and its public key", sealed: null },
  publish: { out: "Public keys to hand out", in: "“Stored”", readable: "public keys and whose they are", sealed: null, telling: 1 },
  stock: { out: "“How many keys are left?”", in: "A number", readable: ASKED, sealed: null },
  proof: { out: "“Prove whose keys these are”", in: "A proof from the shared log", readable: "who asked about whom", sealed: null },
  manifest: { out: "A list of one’s own devices", in: "“Noted”", readable: "whose devices, and their public keys", sealed: null },
  recovery: { out: "“I lost my devices”", in: "The list of them", readable: "who begins anew", sealed: null },
  claim: { out: "A wish for public keys", in: "Public keys", readable: "who asked for whose public keys", sealed: null, telling: 1 },
  register: { out: "A new group’s number", in: "“Noted”", readable: "a group’s number", sealed: "who is in it" },
  "commit-order": { out: "The group’s next change", in: "“It is the next”", readable: "a group’s number and its count of changes", sealed: "the new keys" },
  commits: { out: "“What did I miss?”", in: "The changes since", readable: "a group’s number", sealed: "the new keys", telling: 0 },
  welcome: { out: "A sealed invitation", in: "A sealed invitation", readable: WHO_TO_WHOM, sealed: "the group’s secret", telling: 3 },
  commit: { out: "A change of the group", in: "A change of the group", readable: WHO_TO_WHOM, sealed: "the new keys" },
  proposal: { out: "A wish for the group", in: "A wish for the group", readable: WHO_TO_WHOM, sealed: "what it says" },
  message: { out: "A sealed message", in: "Sealed mail", readable: WHO_TO_WHOM, sealed: "what it says" },
  signal: { out: "A sealed word about the call", in: "Sealed mail", readable: WHO_TO_WHOM, sealed: "how their pages find each other", telling: 1 },
  ack: { out: "“Received”", in: "“Deleted here”", readable: "who received", sealed: null },
};
// An answer with no change in it is the length of an empty list.
const NO_CHANGES = 1;
const OTHER: Kind = { out: "A request", in: "An answer", readable: "who sent it", sealed: null };

export interface Passed {
  readonly title: string; // "A sealed invitation, from Alice"
  readonly size: string;
  readonly read: string;
  readonly sealed: string | null;
  /** 0 for chores, more for what a step is about: a box keeps its most telling event in sight until the next step. */
  readonly telling: number;
}

export function passed(traffic: Traffic, person: string): Passed {
  const kind = KINDS[traffic.kind] ?? OTHER;
  const way = traffic.direction === "out" ? "from" : "to";
  const nothingNew = traffic.kind === "commits" && traffic.direction === "in" && traffic.bytes <= NO_CHANGES;
  return {
    title: `${nothingNew ? "“Nothing new”" : kind[traffic.direction]}, ${way} ${firstName(person)}`,
    size: bytesText(traffic.bytes),
    read: kind.readable,
    sealed: nothingNew ? null : kind.sealed,
    telling: telling(kind, traffic),
  };
}

function telling(kind: Kind, traffic: Traffic): number {
  const answer = traffic.direction === "in" && kind.in.startsWith("“"); // a mere "noted"
  return answer ? 0 : (kind.telling ?? (kind.sealed === null ? 0 : 2));
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
