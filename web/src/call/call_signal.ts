/**
 * What the clients of a call say to each other, as signals of the conference: JSON in UTF-8. It is from a member, and whole; nothing
 * else about it is believed.
 */

/** What a client sends. */
export interface OwnMedia {
  readonly audio: boolean;
  readonly video: "camera" | "screen" | "none";
}

interface Said {
  /** One stay of the sender in the call: 32 hex digits, new each time. */
  readonly session: string;
}

/** To one client, in one stay of it. */
interface ToPeer extends Said {
  readonly peer: string;
}

/** Of one connection between the two. */
interface OfConnection extends ToPeer {
  /** From 0; what is of an older connection than the receiver's is passed over, what is of a newer one makes that. */
  readonly attempt: number;
}

export type CallSignal =
  /** To all: who is in the call answers. */
  | ({ readonly type: "join"; readonly media: OwnMedia } & Said)
  /** To who joined. */
  | ({ readonly type: "here"; readonly media: OwnMedia } & ToPeer)
  | ({ readonly type: "media"; readonly media: OwnMedia } & Said)
  | ({ readonly type: "leave" } & Said)
  /** To a client that was not reached: another connection is begun. */
  | ({ readonly type: "again" } & OfConnection)
  | ({ readonly type: "description"; readonly kind: "offer" | "answer"; readonly sdp: string } & OfConnection)
  | ({ readonly type: "candidates"; readonly candidates: readonly Candidate[] } & OfConnection);

/** An ICE candidate; the empty text ends them. */
export interface Candidate {
  readonly candidate: string;
  readonly mid: string;
  readonly fragment: string | null;
}

/** Candidates in one signal: what a machine with many addresses has. */
export const MAX_CANDIDATES = 64;
/**
 * Media sections of a description: a call has two, and others may send a few more. Each costs its receiver milliseconds, and one signal has
 * room for hundreds.
 */
export const MAX_SECTIONS = 8;
const SESSION = /^[0-9a-f]{32}$/;

export function encode(signal: CallSignal): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(signal));
}

/** What a signal says, or undefined for one that is none of these. */
export function decode(data: Uint8Array): CallSignal | undefined {
  try {
    return read(JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(data)));
  } catch {
    return undefined; // not JSON; what follows never throws
  }
}

export function newSession(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function read(value: unknown): CallSignal | undefined {
  if (!isRecord(value)) return undefined;
  const { type, session, peer } = value;
  if (!isSession(session)) return undefined;
  if (type === "leave") return { type, session };
  if (type === "join" || type === "media") {
    const media = readMedia(value["media"]);
    return media && { type, session, media };
  }
  if (!isSession(peer)) return undefined;
  if (type === "here") {
    const media = readMedia(value["media"]);
    return media && { type, session, peer, media };
  }
  const { attempt = 0 } = value;
  if (!Number.isSafeInteger(attempt) || (attempt as number) < 0) return undefined;
  const place = { session, peer, attempt: attempt as number };
  if (type === "again") return { type, ...place };
  if (type === "description") {
    const { kind, sdp } = value;
    if (typeof sdp !== "string" || lines(sdp, "m=") > MAX_SECTIONS || lines(sdp, "a=candidate:") > 2 * MAX_CANDIDATES) return undefined;
    return kind === "offer" || kind === "answer" ? { type, ...place, kind, sdp } : undefined;
  }
  if (type === "candidates") {
    const candidates = readCandidates(value["candidates"]);
    return candidates && { type, ...place, candidates };
  }
  return undefined;
}

function readMedia(value: unknown): OwnMedia | undefined {
  if (!isRecord(value)) return undefined;
  const { audio, video } = value;
  return typeof audio === "boolean" && (video === "camera" || video === "screen" || video === "none") ? { audio, video } : undefined;
}

function readCandidates(value: unknown): Candidate[] | undefined {
  if (!Array.isArray(value) || value.length > MAX_CANDIDATES) return undefined;
  const found: Candidate[] = [];
  for (const item of value as unknown[]) {
    if (!isRecord(item)) return undefined;
    const { candidate, mid, fragment } = item;
    if (typeof candidate !== "string" || typeof mid !== "string" || !(fragment === null || typeof fragment === "string")) return undefined;
    found.push({ candidate, mid, fragment });
  }
  return found;
}

/** How many lines begin so. */
const lines = (sdp: string, start: string): number => sdp.split(/[\r\n]/).filter((line) => line.startsWith(start)).length;

const isSession = (value: unknown): value is string => typeof value === "string" && SESSION.test(value);

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
