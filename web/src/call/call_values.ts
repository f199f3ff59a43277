/** What a call says of itself. */
import type { Member } from "../values.js";

/** What `Conference.call` takes from. */
export interface MediaChoice {
  /** The microphone; as `getUserMedia` takes it. Default false. */
  readonly audio?: boolean | MediaTrackConstraints;
  /** The camera; as `getUserMedia` takes it. Default false. */
  readonly video?: boolean | MediaTrackConstraints;
  /** Tracks of the application's own instead: at most one of each kind. They are not stopped when the call ends. */
  readonly stream?: MediaStream;
}

/** How to be in a call. */
export interface CallSetup extends MediaChoice {
  /** For clients that cannot reach each other directly: as of `RTCConfiguration`. Default none. */
  readonly iceServers?: readonly RTCIceServer[];
  /**
   * How media travels, alike for all in the call. "webrtc", the default: as WebRTC's own, each frame protected (SFrame). "srtp": in SRTP
   * packets over data channels (`Conference.srtp`), which takes the conference's one session.
   */
  readonly transport?: "webrtc" | "srtp";
}

/**
 * What keeps a picture and sound safe, or why there is none. "connecting": no way to the other client yet. "waiting": a way, and no media
 * yet. "protected". "no-key", "refused": see `ProtectedStream`. "failed": no connection can be had. "unheard", of the own tile: nobody
 * got anything of what is sent for 15 seconds, so that nothing is sent until somebody can (`SrtpOutgoing.state`).
 */
export interface Lock {
  readonly state: "connecting" | "waiting" | "protected" | "no-key" | "refused" | "failed" | "unheard";
  /**
   * For a log: of `ProtectedStream`, the code of a `RoomkeyError`, "no-way" where the two cannot reach each other, or
   * "impostor" where at the end of the way is somebody without the key that the member's client named. */
  readonly reason: string | undefined;
  readonly since: Date;
}

/** One client in a call, as of now. */
export interface Tile {
  readonly member: Member;
  /** To be shown in a video element; the same one for as long as the tile is there. The own one has to be muted there. */
  readonly stream: MediaStream;
  readonly audio: boolean;
  readonly video: "camera" | "screen" | "none";
  readonly speaking: boolean;
  /** The own one is "protected", or "unheard". */
  readonly lock: Lock;
}

/** Events of a call. */
export interface CallEvents {
  /** Somebody came, changed or went. Who was there when `Conference.call` resolved is in `Call.tiles`. */
  tile: { readonly tile: Tile; readonly change: "added" | "changed" | "removed" };
  /** It is over here: by `leave`, or because the conference is. */
  left: { readonly reason: "left" | "ended" };
  /** Something went wrong with one connection, for a log; the call goes on, and its tile's `lock` says what is left of it. */
  error: unknown;
}
