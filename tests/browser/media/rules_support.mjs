// A conference of value machines: every member's keys and streams, a clock that stands still until it is told, epochs with keys that
// all members compute alike.

import { ConferenceKeys } from "../../../web/src/media/conference_keys.ts";
import { Incoming } from "../../../web/src/media/incoming.ts";
import { Outgoing } from "../../../web/src/media/outgoing.ts";
import { sframeEpoch } from "../../../web/src/media/sframe.ts";
import { SFRAME_SUITES } from "../../../web/src/media/sframe_suites.ts";

const encoder = new TextEncoder();
const clientOf = (name) => Uint8Array.from({ length: 32 }, (_, at) => encoder.encode(name)[at] ?? 0);

export const member = (name, leafIndex) => ({ name, leafIndex, clientId: clientOf(name) });

/** One epoch as the member `own` is told of it. `members`: names by leaf, null for a blank one. `key`: a group's own. */
export async function epochOf({ number, members, own, reason = "update", group = 1, suite = 4 }) {
  const { nk } = SFRAME_SUITES.get(suite);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", encoder.encode(`${group}/${number}`)));
  const indexBits = Math.max(1, Math.ceil(Math.log2(members.length)));
  const sframe = await sframeEpoch(SFRAME_SUITES.get(suite), BigInt(number), members.length, indexBits, digest.slice(0, nk));
  const present = members.flatMap((name, leaf) => (name === null ? [] : [member(name, leaf)]));
  return { group: Uint8Array.of(group), reason, sframe, ownLeaf: members.indexOf(own), members: present };
}

/** A member's end: keys, streams by name that go out, streams that come. */
export class End {
  constructor(name) {
    this.name = name;
    this.keys = new ConferenceKeys();
    this.contexts = 0n;
  }

  async enter(options, now) {
    this.keys.add(await epochOf({ ...options, own: this.name }), now);
  }

  outgoing() {
    return new Outgoing(this.keys, this.contexts++);
  }

  incoming(now, from) {
    return new Incoming(this.keys, from === undefined ? undefined : clientOf(from), now);
  }
}

/** What became of frames that came at `now`: texts of the good ones, reasons of the others. */
export async function arrive(incoming, frames, now, codec = "VP9") {
  for (const data of frames) incoming.push({ frame: data, codec: codec ?? undefined, data: data.slice() }, now);
  return outcomes(await incoming.settle(now));
}

export const outcomes = (settled) => settled.map((outcome) => ("refused" in outcome ? outcome.refused : new TextDecoder().decode(outcome.data)));

export const bytes = (text) => encoder.encode(text);
