// A moving picture and no sound, for who has no camera or does not want to show it.

import { firstName } from "./dom.js";

const SIZE = { width: 320, height: 240 };
const FRAMES = 15; // a second
const COLOURS: Readonly<Record<string, string>> = { alice: "#0b7d72", bob: "#5546c8", carol: "#b4541a" };

export class DrawnPicture {
  readonly stream: MediaStream;
  readonly #context: CanvasRenderingContext2D;
  readonly #name: string;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(identity: string) {
    const canvas = Object.assign(document.createElement("canvas"), SIZE);
    this.#context = canvas.getContext("2d")!;
    this.#name = identity;
    this.#draw(performance.now());
    this.stream = canvas.captureStream(FRAMES);
    this.#timer = setInterval(() => this.#draw(performance.now()), 1000 / FRAMES);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const track of this.stream.getTracks()) track.stop();
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
    paint.fillText(new Date().toTimeString().slice(0, 8), width / 2, height - 18);
  }
}
