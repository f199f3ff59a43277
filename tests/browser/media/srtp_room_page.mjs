// A page with one worker for each member; it hands keys over in this test alone, carries announcements, and plays the relay.

import { CHANNEL_OPTIONS } from "../../../web/src/media/packet_transport.ts";
import { randomSource } from "./support.mjs";

const members = new Map();

function person(leaf) {
  const worker = new Worker("/worker.js", { type: "module" });
  const made = { leaf, worker, seen: [], asked: 0, lacking: 0, conditions: [], failures: [], refused: undefined };
  made.alive = new Promise((resolve) => {
    worker.onmessage = ({ data }) => {
      if (data.kind === "alive") resolve();
      else if (data.kind === "streams") for (const other of members.values()) if (other !== made) tell(other, "announced", { from: leaf, data: data.data });
      if (data.kind === "seen") made.seen.push(data);
      if (data.kind === "asked") made.asked += 1;
      if (data.kind === "lacking") made.lacking += 1;
      if (data.kind === "condition") made.conditions.push([data.of, data.state]);
      if (data.kind === "failed" || data.kind === "unsent") made.failures.push(data.text ?? data.reason);
      if (data.kind === "refused") made.refused = data.refused;
    };
    worker.onerror = ({ message }) => made.failures.push(message);
  });
  members.set(leaf, made);
  return made;
}

const tell = ({ worker }, name, argument = {}, transfer = []) => worker.postMessage({ do: name, ...argument }, transfer);

const bytes = (text) => Uint8Array.from(text.match(/../g), (pair) => Number.parseInt(pair, 16));
const keysOf = (keys) => keys.map(({ leaf, profile, key, salt, mki }) => ({ leaf, profile, key: bytes(key), salt: bytes(salt), mki: bytes(mki) }));

export async function start({ leaves, profile, mode }) {
  for (const leaf of leaves) {
    const made = person(leaf);
    await made.alive;
    tell(made, "start", { leaf, profile, mode });
  }
}

/** An epoch for some, with these members' keys. */
export async function epoch({ to, group, epoch: number, reason, keys }) {
  for (const leaf of to) tell(members.get(leaf), "epoch", { group: bytes(group), epoch: number, reason, keys: keysOf(keys) });
}

export async function act({ leaf, name, ...argument }) {
  tell(members.get(leaf), name, argument);
}

/** A connection of two, whose channel is each worker's own. */
export async function connect({ leaves }) {
  const [one, other] = [new RTCPeerConnection(), new RTCPeerConnection()];
  one.onicecandidate = ({ candidate }) => other.addIceCandidate(candidate);
  other.onicecandidate = ({ candidate }) => one.addIceCandidate(candidate);
  // A channel can be transferred only before anything happens on it, so each end makes its own.
  for (const [place, pc] of [one, other].entries()) {
    const channel = pc.createDataChannel("srtp", { ...CHANNEL_OPTIONS, negotiated: true, id: 0 });
    tell(members.get(leaves[place]), "channel", { channel, from: leaves[1 - place] }, [channel]);
  }
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
  globalThis.connections = [...(globalThis.connections ?? []), one, other];
}

/** The page in the middle: what each sends goes to all others, `percent` of it each lost, late, twice, again, swapped or turned. */
export async function relay({ leaves, percent, seed }) {
  const random = randomSource(seed);
  const past = [];
  globalThis.hostile = percent;
  const ports = leaves.map((leaf) => {
    const { port1, port2 } = new MessageChannel();
    tell(members.get(leaf), "port", { port: port1 }, [port1]);
    return port2;
  });
  for (const port of ports) {
    port.onmessage = ({ data }) => {
      past.push(data);
      if (past.length > 500) past.shift();
      const pass = (packet, delay = 0) => setTimeout(() => ports.forEach((other) => other !== port && other.postMessage(packet)), delay);
      const fate = random.below(100) / Math.max(globalThis.hostile, 0.001);
      if (fate < 1) return;
      if (fate < 2) pass(data, random.below(60));
      else if (fate < 3) pass(data), pass(data, random.below(30));
      else if (fate < 4) pass(data), pass(past[random.below(past.length)]);
      else if (fate < 5) pass(Uint8Array.of(...data.subarray(0, 12), ...past[random.below(past.length)].subarray(12)));
      else if (fate < 6) pass(data.map((byte, at) => (at === random.below(data.length) ? byte ^ 1 : byte)));
      else pass(data);
    };
  }
}

/** How hostile the relay is from now on, in percent of each. */
export async function hostility({ percent }) {
  globalThis.hostile = percent;
}

/** What a member has seen since the last time, of whom. */
export async function taken({ leaf }) {
  const made = members.get(leaf);
  return { seen: made.seen.splice(0), asked: made.asked, lacking: made.lacking, conditions: made.conditions, failures: made.failures };
}

export async function refusals({ leaf }) {
  const made = members.get(leaf);
  made.refused = undefined;
  tell(made, "refused");
  while (made.refused === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  return made.refused;
}
