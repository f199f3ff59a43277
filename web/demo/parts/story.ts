// What the stage and the people's pages tell each other, and how they make sure with whom they speak.
// Plain story events only: no key, no secret, no message text crosses. A drawn or filmed picture does, one frame or some packets of it, when
// the person at the stage asks for it.

import type { Transparency } from "roomkey";

/** "check": fetch the keys of everybody who has another provider, as they are handed out now. */
export type Step = "service" | "keys" | "call" | "accept" | "pictures" | "remove" | "check";
export const STEPS: readonly Step[] = ["service", "keys", "call", "accept", "pictures", "remove", "check"];

export interface DemoConfig {
  readonly stage: string; // origin
  readonly people: readonly { readonly name: string; readonly identity: string; readonly origin: string }[];
  readonly services: readonly { readonly domain: string; readonly url: string; readonly transparency: Transparency }[];
  /** The UDP port of this machine that a page's picture may be sent to; null: none. */
  readonly player: number | null;
}

export interface PlainError {
  readonly code: string;
  readonly sentence: string;
  readonly retryable: boolean;
}

export interface Traffic {
  readonly direction: "out" | "in";
  readonly service: string; // domain, or origin while the domain is not known yet
  readonly kind: string;
  readonly bytes: number;
}

export interface KeyMark {
  readonly sender: string; // identity
  readonly fingerprint: string; // hex digits of a hash of the key
}

export interface CallState {
  readonly epoch: string;
  readonly digits: string;
  readonly members: readonly string[];
  readonly keys: readonly KeyMark[];
}

/** One frame of a picture before and after it was sealed, or after and before: see the library's `FrameSample`. */
export interface SeenFrame {
  readonly codec: string;
  readonly frame: Uint8Array;
  readonly wire: Uint8Array;
  readonly clear: number; // bytes of `wire` that stay readable
  readonly header: number; // the next bytes of it
  readonly counter: string;
}

/** What a person's page shows, as the stage needs it. */
export interface PersonState {
  /** "closed": the stage has closed the page. */
  readonly phase: "loading" | "ready" | "enrolled" | "invited" | "call" | "removed" | "failed" | "closed";
  readonly call: CallState | null;
  /** Whose pictures, of others, it shows, protected: identities. */
  readonly sees: readonly string[];
}

export type FromPerson =
  | { readonly roomkey: "story"; readonly event: "state"; readonly state: PersonState }
  | { readonly roomkey: "story"; readonly event: "traffic"; readonly traffic: Traffic }
  | { readonly roomkey: "story"; readonly event: "height"; readonly height: number }
  | { readonly roomkey: "story"; readonly event: "done"; readonly id: number; readonly error: PlainError | null; readonly proved: string | null }
  | { readonly roomkey: "story"; readonly event: "frame"; readonly id: number; readonly error: PlainError | null; readonly frame: SeenFrame | null }
  | { readonly roomkey: "story"; readonly event: "packets"; readonly id: number; readonly error: PlainError | null; readonly answer: PacketView | string | null };

export type ToPerson =
  | { readonly roomkey: "story"; readonly do: Step; readonly id: number }
  | ({ readonly roomkey: "story"; readonly do: "frame"; readonly id: number } & FrameWish)
  | ({ readonly roomkey: "story"; readonly do: "packets"; readonly id: number } & PacketAsk);

/** A frame that goes to somebody, or comes from them. */
export interface FrameWish {
  readonly peer: string; // identity
  readonly direction: "send" | "receive";
}

/** Pixels of a picture beside others. */
export const VIEW_SIZE = { width: 240, height: 180 } as const;

/**
 * To a page's end of a relay. "join": take the relay's offer, send the own picture if `send`, look at that of `from`; answered by the
 * session description. "look": see `PacketView`; of packets the one with this header, if given.
 */
export type PacketAsk =
  | { readonly ask: "join"; readonly from: string; readonly send: boolean; readonly offer: string }
  | { readonly ask: "look"; readonly header: Uint8Array | null }
  | { readonly ask: "leave" };

/** What one end shows. */
export interface PacketView {
  readonly picture: ImageBitmap;
  /** One packet before and after it was sealed, or after and before: see the library's `PacketSample`. */
  readonly sample: { readonly packet: Uint8Array; readonly wire: Uint8Array } | null;
  readonly count: number; // packets, sent or taken
}

/** Reads the addresses that the demo's server knows; nothing in them is secret. */
export async function demoConfig(): Promise<DemoConfig> {
  const answer = await fetch("/config.json");
  if (!answer.ok) throw new Error(`config.json: status ${answer.status}`);
  return (await answer.json()) as DemoConfig;
}

/** A message of ours that came from `origin` and `source`, or null: anything else is not for us. */
export function received<T extends { readonly roomkey: "story" }>(
  event: MessageEvent<unknown>, origin: string, source: MessageEventSource | null,
): T | null {
  if (event.origin !== origin || event.source !== source || source === null) return null;
  const data = event.data;
  return typeof data === "object" && data !== null && "roomkey" in data && data.roomkey === "story" ? (data as T) : null;
}
