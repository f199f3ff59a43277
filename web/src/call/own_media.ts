/** What a client shows and says in a call: microphone, camera or screen, and whether they are on. */
import { publicError, type RoomkeyError } from "../errors.js";
import { Failure } from "../failure.js";
import type { OwnMedia as Said } from "./call_signal.js";
import type { MediaChoice } from "./call_values.js";

/** @internal What a page passed to a call that cannot be used. */
export const wrong = (field: string, expected: string): RoomkeyError =>
  publicError(new Failure("bad-argument", `${field}: expected ${expected}`, { field }));

/** @internal */
export class OwnMedia {
  /** For the own tile. */
  readonly stream = new MediaStream();
  readonly #lent: boolean;
  #camera: MediaStreamTrack | null = null;
  #screen: MediaStreamTrack | null = null;
  #audio: MediaStreamTrack | null = null;

  private constructor(source: MediaStream, lent: boolean) {
    this.#lent = lent;
    this.#audio = source.getAudioTracks()[0] ?? null;
    this.#camera = source.getVideoTracks()[0] ?? null;
    this.#compose();
  }

  /** Rejects as `getUserMedia` does, and with "bad-argument" (`details.field`). */
  static async open({ audio, video, stream }: MediaChoice): Promise<OwnMedia> {
    if (stream !== undefined && !(stream instanceof MediaStream)) throw wrong("stream", "a MediaStream");
    if (stream !== undefined) return new OwnMedia(stream, true);
    const wanted = { audio: audio ?? false, video: video ?? false };
    const none = wanted.audio === false && wanted.video === false;
    return new OwnMedia(none ? new MediaStream() : await navigator.mediaDevices.getUserMedia(wanted), false);
  }

  get audio(): MediaStreamTrack | null {
    return this.#audio;
  }

  get video(): MediaStreamTrack | null {
    return this.#screen ?? this.#camera;
  }

  get said(): Said {
    const video = this.#screen !== null ? "screen" : this.#camera?.enabled === true ? "camera" : "none";
    return { audio: this.#audio?.enabled === true, video };
  }

  /** Silence and black instead, where it is off: the tracks go on. Throws "bad-argument". */
  turn(kind: "audio" | "video", on: boolean): void {
    if (kind !== "audio" && kind !== "video") throw wrong("kind", '"audio" or "video"');
    if (typeof on !== "boolean") throw wrong("on", "true or false");
    const track = kind === "audio" ? this.#audio : this.#camera;
    if (track !== null) track.enabled = on;
  }

  /** Shows the screen instead of the camera, or the camera again. */
  share(screen: MediaStreamTrack | null): void {
    if (this.#screen !== screen) this.#screen?.stop();
    this.#screen = screen;
    this.#compose();
  }

  /** Lets go of a microphone or camera that has ended: it is off from now on. */
  lose(): void {
    if (this.#audio?.readyState === "ended") this.#audio = null;
    if (this.#camera?.readyState === "ended") this.#camera = null;
    this.#compose();
  }

  end(): void {
    this.#screen?.stop();
    if (this.#lent) return;
    this.#audio?.stop();
    this.#camera?.stop();
  }

  #compose(): void {
    for (const track of this.stream.getTracks()) this.stream.removeTrack(track);
    for (const track of [this.audio, this.video]) if (track !== null) this.stream.addTrack(track);
  }
}
