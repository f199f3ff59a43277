/**
 * One connection's offers, answers and candidates ("perfect negotiation", W3C webrtc-pc section 10.7), sent by whatever carries them.
 *
 * The impolite side opens it. The polite one adds its tracks to the other's media sections, so that nothing has to be negotiated again
 * but paths (ICE): either side may offer then, and where both do at once the polite one takes its own back.
 */
import { type Candidate, MAX_CANDIDATES } from "./call_signal.js";

/** What goes to the other side. */
export interface Outgoing {
  readonly description: (kind: "offer" | "answer", sdp: string) => void;
  readonly candidates: (candidates: readonly Candidate[]) => void;
  readonly failed: (error: unknown) => void;
}

/** Milliseconds for which candidates are gathered to go together: a path found a tenth of a second later does no harm. */
const GATHER_MS = 100;
/** Candidates taken of the other side between two descriptions: of two machines with many addresses, tried in pairs with ours. */
const MAX_TAKEN = 2 * MAX_CANDIDATES;

export class Negotiation {
  readonly #pc: RTCPeerConnection;
  readonly #polite: boolean;
  readonly #out: Outgoing;
  /** Prepares our side of the media sections; once, before our first description. */
  readonly #dress: () => Promise<void>;
  #dressed = false;
  #offering = false;
  #ignoring = false;
  #gathered: Candidate[] = [];
  #early: Candidate[] = [];
  #taken = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(pc: RTCPeerConnection, polite: boolean, out: Outgoing, dress: () => Promise<void>) {
    this.#pc = pc;
    this.#polite = polite;
    this.#out = out;
    this.#dress = dress;
    pc.addEventListener("icecandidate", ({ candidate }) => this.#gather(candidate));
    pc.addEventListener("negotiationneeded", () => {
      if (this.#dressed) this.#do(() => this.#offer());
    });
  }

  /** The impolite side's first offer. */
  open(): void {
    this.#do(async () => {
      await this.#dressOnce();
      if (this.#pc.signalingState === "stable" && this.#pc.localDescription === null) await this.#offer();
    });
  }

  /** Looks for other paths. */
  restart(): void {
    if (this.#pc.signalingState !== "closed") this.#pc.restartIce();
  }

  /** Takes the other side's description. */
  described(kind: "offer" | "answer", sdp: string): void {
    this.#do(() => this.#take(kind, sdp));
  }

  /** Takes the other side's candidates. */
  found(candidates: readonly Candidate[]): void {
    this.#do(async () => {
      this.#taken += candidates.length;
      if (this.#taken > MAX_TAKEN) return; // a member can name any address of anybody, for us to send to
      for (const candidate of candidates) await this.#add(candidate);
    });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#pc.close();
  }

  async #offer(): Promise<void> {
    try {
      this.#offering = true;
      await this.#pc.setLocalDescription();
      this.#sendLocal();
    } finally {
      this.#offering = false;
    }
  }

  async #take(kind: "offer" | "answer", sdp: string): Promise<void> {
    const pc = this.#pc;
    const collides = kind === "offer" && (this.#offering || pc.signalingState !== "stable");
    this.#ignoring = !this.#polite && collides;
    if (this.#ignoring || (kind === "answer" && pc.signalingState !== "have-local-offer")) return;
    await pc.setRemoteDescription({ type: kind, sdp: unforced(sdp) });
    const early = this.#early;
    this.#early = [];
    this.#taken = early.length;
    for (const candidate of early) await this.#add(candidate);
    if (kind === "answer") return;
    await this.#dressOnce();
    await pc.setLocalDescription();
    this.#sendLocal();
  }

  async #add(candidate: Candidate): Promise<void> {
    if (this.#pc.remoteDescription === null) {
      this.#early.push(candidate);
      return;
    }
    try {
      await this.#pc.addIceCandidate({ candidate: candidate.candidate, sdpMid: candidate.mid, usernameFragment: candidate.fragment });
    } catch (error) {
      if (!this.#ignoring) this.#out.failed(error); // of an offer that we passed over there are candidates, too
    }
  }

  #sendLocal(): void {
    const { localDescription } = this.#pc;
    if (localDescription === null || localDescription.type === "rollback" || localDescription.type === "pranswer") return;
    this.#out.description(localDescription.type, localDescription.sdp);
  }

  #gather(candidate: RTCIceCandidate | null): void {
    if (candidate === null || candidate.sdpMid === null) return;
    this.#gathered.push({ candidate: candidate.candidate, mid: candidate.sdpMid, fragment: candidate.usernameFragment });
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const found = this.#gathered;
      this.#gathered = [];
      for (let at = 0; at < found.length; at += MAX_CANDIDATES) this.#out.candidates(found.slice(at, at + MAX_CANDIDATES));
    }, GATHER_MS);
  }

  async #dressOnce(): Promise<void> {
    if (this.#dressed) return;
    await this.#dress();
    this.#dressed = true;
  }

  /** One thing after the other, in the order in which they came. */
  #do(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(async () => {
      if (this.#pc.signalingState === "closed") return;
      try {
        await work();
      } catch (error) {
        if ((this.#pc.signalingState as string) !== "closed") this.#out.failed(error);
      }
    });
  }
}

/** Bits a second, the most that the other side may ask for: more than Chromium sends of the largest picture by itself. */
const MOST_ASKED = 4_000_000;

/**
 * A description without what its sender would have our encoders send: Chromium takes parameters of formats (x-google-min-bitrate and the
 * like) and bandwidths (RFC 4566 section 5.8) by which a member can have us fill our line, a hundred times what a picture takes, so that
 * nobody else gets anything.
 */
function unforced(sdp: string): string {
  const clean = sdp.replace(/x-google-[^;\r\n]*;?/gi, "");
  if (clean !== sdp) return unforced(clean); // what is around one may be another one
  return sdp.replace(/^b=(.*)\r?\n/gm, (line, asked: string) => {
    const [, unit, number] = /^(AS|TIAS):(\d+)$/.exec(asked) ?? [];
    return number !== undefined && Number(number) * (unit === "AS" ? 1_000 : 1) <= MOST_ASKED ? line : "";
  });
}
