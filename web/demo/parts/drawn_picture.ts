// A moving picture and a hum, for who has no camera and microphone or does not want to use them.

import { firstName } from "./dom.js";

const SIZE = { width: 320, height: 240 };
const FRAMES = 15; // a second
const HUM = { frequency: 196, volume: 0.25 };
const COLOURS: Readonly<Record<string, string>> = { alice: "#0b7d72", bob: "#5546c8", carol: "#b4541a" };

export class DrawnPicture {
  readonly stream: MediaStream;
  readonly #context: CanvasRenderingContext2D;
  readonly #name: string;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #sound = new AudioContext();
  readonly #volume = this.#sound.createGain();
  #hums = false;

  constructor(identity: string) {
    const canvas = Object.assign(document.createElement("canvas"), SIZE);
    this.#context = canvas.getContext("2d")!;
    this.#name = identity;
    this.#draw(performance.now());
    this.stream = canvas.captureStream(FRAMES);
    this.stream.addTrack(this.#voice());
    this.#timer = setInterval(() => this.#draw(performance.now()), 1000 / FRAMES);
  }

  get hums(): boolean {
    return this.#hums;
  }

  /** Begins or ends to hum; only after a click on the page a browser lets it be heard. */
  async hum(on: boolean): Promise<void> {
    this.#hums = on;
    this.#volume.gain.value = on ? HUM.volume : 0;
    if (on) await this.#sound.resume();
  }

  stop(): void {
    clearInterval(this.#timer);
    void this.#sound.close();
    for (const track of this.stream.getTracks()) track.stop();
  }

  #voice(): MediaStreamTrack {
    const tone = this.#sound.createOscillator();
    tone.frequency.value = HUM.frequency;
    this.#volume.gain.value = 0;
    const out = this.#sound.createMediaStreamDestination();
    tone.connect(this.#volume).connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0]!;
  }

  #draw(now: number): void {
    const { width, height } = SIZE;
    const paint = this.#context;
    const turn = now / 900;
    paint.fillStyle = COLOURS[this.#name.split("@")[0] ?? ""] ?? "#2f5bd0";
    paint.fillRect(0, 0, width, height);
    paint.fillStyle = "#ffffff2b";
    for (let ring = 0; ring < 3; ring += 1) {
      paint.beginPath();
      paint.arc(width / 2 + 120 * Math.cos(turn + ring * 2.1), height / 2 + 80 * Math.sin(turn * 1.3 + ring * 2.1), 26 + 7 * ring, 0, 7);
      paint.fill();
    }
    paint.fillStyle = "#fff";
    paint.textAlign = "center";
    paint.font = "700 92px system-ui, sans-serif";
    paint.fillText(firstName(this.#name).charAt(0), width / 2, height / 2 + 26);
    paint.font = "600 17px ui-monospace, monospace";
    paint.fillText(new Date().toTimeString().slice(0, 8), width / 2, 30);
  }
}
