/**
 * SFrame on an RTCPeerConnection: every sender and receiver goes through the media worker, from the task on in which it is made.
 *
 * That is not for order's sake: Chromium (156) takes a transform that is set in a later task without a word, and sends in the clear. So
 * a connection that has transceivers already is refused, and one that appears behind our back is stopped.
 */
import { publicError } from "./errors.js";
import { disposable, TypedEventTarget } from "./events.js";
import { Failure } from "./failure.js";
import type { MediaLink } from "./media_link.js";
import type { FrameSampleValue, SampleReport, StreamReport, StreamState } from "./media_protocol.js";
import type { CallOptions } from "./roomkey.js";
import { type Member, toMember } from "./values.js";

/** How a connection is protected. */
export interface ProtectOptions {
  /** The client (`Member.clientId`) at the other end, where it is one: media of others is refused. Without it: of any member. */
  readonly from?: Uint8Array;
}

/** How one stream of a protected connection does. */
export interface ProtectedStream {
  /** The transceiver's; null before it is negotiated. */
  readonly mid: string | null;
  readonly kind: "audio" | "video";
  readonly direction: "send" | "receive";
  /**
   * Receiving: whose keys the frames are under. Media proves that somebody of the conference sent it, and under whose keys; each member
   * could compute another's.
   */
  readonly member: Member | undefined;
  /**
   * "waiting": nothing came yet. "protected": frames pass. "no-key": frames come, and for a second none whose keys we have. "refused":
   * for a second none that is what a member sent, or (sending) none that can be protected.
   */
  readonly state: StreamState;
  /** Why not, for a log: "unknown-key", "not-authentic", "malformed", "replayed", "unknown-codec", "unknown-stream" (of another member than `from`). */
  readonly reason: string | undefined;
  readonly since: Date;
}

/** One frame before and after protection, or after and before: see `Protection.sample`. */
export type FrameSample = Readonly<FrameSampleValue>;

/** Events of a protection. */
export interface ProtectionEvents {
  /** A stream's state, or whose it is, has changed. */
  state: ProtectedStream;
}

interface Use {
  readonly conference: number;
  /** Has the media worker get the conference's keys. */
  readonly keys: () => Promise<void>;
}

interface Stream {
  readonly transceiver: RTCRtpTransceiver;
  readonly direction: "send" | "receive";
  readonly kind: "audio" | "video";
  report: StreamReport | undefined;
  readonly added: Date;
}

/** Methods of a connection that make senders and receivers, or let them start; "addStream" and what "createOffer" makes are legacy. */
const MAKERS = ["addTrack", "addTransceiver", "addStream", "createOffer", "setLocalDescription", "setRemoteDescription"] as const;

/** `Member.clientId`: a SHA-256. */
const CLIENT_ID_BYTES = 32;

const protections = new WeakMap<RTCPeerConnection, Protection>();

/** @internal See `Conference.protect`. */
export async function protectConnection(pc: RTCPeerConnection, link: MediaLink, use: Use, options: ProtectOptions): Promise<Protection> {
  try {
    if (typeof RTCRtpScriptTransform !== "function") {
      throw new Failure("browser-too-old", "expected RTCRtpScriptTransform", { missing: "RTCRtpScriptTransform" });
    }
    if (!(pc instanceof RTCPeerConnection)) throw new Failure("bad-argument", "expected an RTCPeerConnection", { field: "pc" });
    if (options.from !== undefined && !(options.from instanceof Uint8Array && options.from.length === CLIENT_ID_BYTES)) {
      throw new Failure("bad-argument", `from: expected a client id of ${CLIENT_ID_BYTES} bytes`, { field: "from" });
    }
    if (pc.signalingState === "closed") throw new Failure("closed", "expected a connection that is open", { field: "pc" });
  } catch (error) {
    throw error instanceof Failure ? publicError(error) : error;
  }
  const present = protections.get(pc);
  if (present !== undefined && present.conference !== use.conference) {
    throw publicError(new Failure("bad-argument", "expected a connection that no other conference protects", { field: "pc" }));
  }
  if (present === undefined && pc.getTransceivers().length > 0) {
    throw publicError(new Failure("bad-argument", "expected a connection that nothing was added to yet", { field: "pc" }));
  }
  // Before the keys are there: nothing may pass in the meantime, and nothing passes where they do not come.
  const protection = present ?? new Protection(pc, link, use.conference, options.from);
  protections.set(pc, protection);
  await use.keys();
  return protection;
}

/** The protection of one connection's media: see `Conference.protect`. */
export class Protection extends TypedEventTarget<ProtectionEvents> {
  /** @internal */
  readonly conference: number;
  readonly #pc: RTCPeerConnection;
  readonly #link: MediaLink;
  readonly #from: Uint8Array | undefined;
  readonly #number: number;
  readonly #streams: Stream[] = [];
  readonly #seen = new WeakSet<RTCRtpTransceiver>();
  readonly #sampling = new Map<number, Set<(sample: FrameSample | undefined) => void>>(); // by stream; undefined: there is none any more
  #stopped = false;

  /** @internal */
  constructor(pc: RTCPeerConnection, link: MediaLink, conference: number, from: Uint8Array | undefined) {
    super();
    this.conference = conference;
    this.#pc = pc;
    this.#link = link;
    this.#from = from?.slice();
    this.#number = link.add((report) => this.#hear(report));
    pc.addEventListener("track", () => this.#takeAll(true));
    for (const name of MAKERS) this.#watch(name);
  }

  /** How each stream does, in the order in which they were added. */
  states(): readonly ProtectedStream[] {
    return this.#streams.map(view);
  }

  /** Nothing goes or comes over the connection any more: there is no unprotected media after protected. Close it. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#link.stop(this.#number);
    for (const waiting of [...this.#sampling.values()].flatMap((each) => [...each])) waiting(undefined);
  }

  /**
   * The next frame of the first such stream on both sides of its protection, for people to see what that does: of a picture the next key
   * frame, which is asked for where it comes from others. It is what the page has of its media anyway, and no key.
   *
   * Rejects with "bad-argument" where there is no such stream, "closed" when the protection stops before a frame comes.
   */
  async sample(direction: "send" | "receive", kind: "audio" | "video", { signal }: CallOptions = {}): Promise<FrameSample> {
    signal?.throwIfAborted();
    if (direction !== "send" && direction !== "receive") throw publicError(new Failure("bad-argument", "direction: expected \"send\" or \"receive\"", { field: "direction" }));
    const stream = this.#streams.findIndex((one) => one.direction === direction && one.kind === kind);
    if (stream < 0) throw publicError(new Failure("bad-argument", `expected a stream of ${kind} to ${direction}`, { field: "kind" }));
    if (this.#stopped) throw publicError(new Failure("closed", "expected a protection that goes on"));
    const waiting = this.#sampling.get(stream) ?? new Set();
    this.#sampling.set(stream, waiting);
    return new Promise((resolve, reject) => {
      const settle = (sample: FrameSample | undefined): void => {
        waiting.delete(settle);
        signal?.removeEventListener("abort", abort);
        if (sample === undefined) reject(publicError(new Failure("closed", "expected a frame, got the end of the protection")));
        else resolve(sample);
      };
      const abort = (): void => {
        waiting.delete(settle);
        reject(signal?.reason as Error);
      };
      waiting.add(settle);
      signal?.addEventListener("abort", abort, { once: true });
      this.#link.sample(this.#number, stream);
    });
  }

  /** Whatever this method makes is protected before anything else can be done with it. */
  #watch(name: (typeof MAKERS)[number]): void {
    const original = (this.#pc as unknown as Record<string, ((...args: unknown[]) => unknown) | undefined>)[name];
    if (original === undefined) return;
    const value = (...args: unknown[]): unknown => {
      this.#takeAll(false);
      const made = original.apply(this.#pc, args);
      this.#takeAll(true);
      return made instanceof Promise ? made.finally(() => this.#takeAll(true)) : made; // in the task in which it is settled
    };
    Object.defineProperty(this.#pc, name, { value, configurable: true, writable: true });
  }

  /** Takes on transceivers that are new: `timely` where they were made in this task. */
  #takeAll(timely: boolean): void {
    for (const transceiver of this.#pc.getTransceivers()) {
      if (this.#seen.has(transceiver)) continue;
      this.#seen.add(transceiver);
      const kind = transceiver.receiver.track.kind as "audio" | "video";
      if (!timely) transceiver.stop();
      transceiver.sender.transform = this.#take(transceiver, "send", kind);
      transceiver.receiver.transform = this.#take(transceiver, "receive", kind);
    }
  }

  #take(transceiver: RTCRtpTransceiver, direction: Stream["direction"], kind: Stream["kind"]): RTCRtpScriptTransform {
    const stream = this.#streams.push({ transceiver, direction, kind, report: undefined, added: new Date() }) - 1;
    return this.#link.transform({ conference: this.conference, protection: this.#number, stream, direction, kind, from: this.#from });
  }

  #hear(report: StreamReport | SampleReport): void {
    if (report.kind === "sample") {
      const sample = Object.freeze({ ...report.sample });
      for (const settle of [...(this.#sampling.get(report.stream) ?? [])]) settle(sample);
      return;
    }
    const stream = this.#streams[report.stream];
    if (stream === undefined) return;
    stream.report = report;
    this.emit("state", view(stream));
  }
}

/** Stops at the end of an `await using` block. */
export interface Protection extends AsyncDisposable {}
disposable(Protection, "stop");

function view({ transceiver, direction, kind, report, added }: Stream): ProtectedStream {
  return Object.freeze({
    mid: transceiver.mid,
    kind,
    direction,
    member: report?.member === undefined ? undefined : toMember(report.member),
    state: report?.state ?? "waiting",
    reason: report?.reason,
    since: report === undefined ? added : new Date(report.since),
  });
}
