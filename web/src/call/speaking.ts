/** Who speaks: by the level of what each microphone hears, looked at a few times a second. */

/** Of full scale: above the hum of a room, below a quiet voice. */
const LEVEL = 0.02;
const LOOK_MS = 200;
/** Milliseconds for which a pause between two words is none. */
const PAUSE_MS = 700;

export class Speaking {
  readonly #changed: (client: string) => void;
  readonly #levels = new Map<string, () => number>();
  readonly #last = new Map<string, number>();
  readonly #speaks = new Set<string>();
  readonly #timer: ReturnType<typeof setInterval>;
  #context: AudioContext | undefined;

  /** `changed` hears whose state has changed, by the name that was given here. */
  constructor(changed: (client: string) => void) {
    this.#changed = changed;
    this.#timer = setInterval(() => this.#look(performance.now()), LOOK_MS);
  }

  is(client: string): boolean {
    return this.#speaks.has(client);
  }

  /** The own microphone. */
  own(stream: MediaStream, client: string): void {
    if (stream.getAudioTracks().length > 0) this.#levels.set(client, this.#meter(stream));
  }

  /** What comes from somebody else; `sound` may give it later. */
  other(client: string, sound: () => RTCRtpReceiver | MediaStreamTrack | undefined): void {
    let metered: MediaStreamTrack | undefined;
    let meter = (): number => 0;
    this.#levels.set(client, () => {
      const source = sound();
      if (source instanceof RTCRtpReceiver) return source.getSynchronizationSources()[0]?.audioLevel ?? 0;
      if (source !== undefined && source !== metered) meter = this.#meter(new MediaStream([source]));
      metered = source;
      return source === undefined ? 0 : meter();
    });
  }

  /** The level of a stream's sound. */
  #meter(stream: MediaStream): () => number {
    const context = (this.#context ??= new AudioContext());
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    return () => {
      analyser.getFloatTimeDomainData(samples);
      return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    };
  }

  forget(client: string): void {
    this.#levels.delete(client);
    this.#speaks.delete(client);
    this.#last.delete(client);
  }

  stop(): void {
    clearInterval(this.#timer);
    void this.#context?.close();
    this.#levels.clear();
  }

  #look(now: number): void {
    if (this.#context?.state === "suspended" && navigator.userActivation?.hasBeenActive) void this.#context.resume(); // made before a click
    for (const [client, level] of this.#levels) {
      if (level() > LEVEL) this.#last.set(client, now);
      const speaks = now - (this.#last.get(client) ?? -Infinity) < PAUSE_MS;
      if (speaks === this.#speaks.has(client)) continue;
      if (speaks) this.#speaks.add(client);
      else this.#speaks.delete(client);
      this.#changed(client);
    }
  }
}
