// The own picture for a second way out, beside the call: black wherever the call shows something else, and over when the call is.

export class OwnCopy {
  readonly track: MediaStreamTrack;
  readonly #of: MediaStreamTrack;

  constructor(of: MediaStreamTrack) {
    this.#of = of;
    this.track = of.clone();
  }

  /** `shown`: what the call shows of this page now. False where it shows nothing any more: then the copy is to be stopped. */
  follow(shown: MediaStreamTrack | null): boolean {
    this.track.enabled = shown === this.#of && this.#of.enabled;
    return shown !== null && this.#of.readyState === "live";
  }

  stop(): void {
    this.track.stop();
  }
}
