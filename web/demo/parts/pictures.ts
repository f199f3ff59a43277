// Seeing and hearing each other: one page's stay in its conference's call, from the library's `Call` to buttons and tiles.

import type { Call, Conference } from "roomkey";
import { byId } from "./dom.js";
import { DrawnPicture } from "./drawn_picture.js";
import type { FrameWish, SeenFrame } from "./story.js";
import { drawTiles } from "./tiles.js";

const REMEMBERED = "roomkey demo: pictures"; // for this tab: a reload comes back into the call

/** How to be seen. */
export type Source = "camera" | "drawing";

/** `changed` is dispatched whenever what is shown has changed. */
export class Pictures extends EventTarget {
  readonly #name: string;
  readonly #run: (button: HTMLButtonElement | null, work: () => Promise<void>) => void;
  #conference: Conference | null = null;
  #call: Call | null = null;
  #drawing: DrawnPicture | null = null;
  #said = { audio: true, video: true, screen: false };
  #joining = false;

  /** `run` does what a button stands for, and shows how it failed. */
  constructor(name: string, run: (button: HTMLButtonElement | null, work: () => Promise<void>) => void) {
    super();
    this.#name = name;
    this.#run = run;
    this.#click("join-camera", () => this.join("camera"));
    this.#click("join-drawing", () => this.join("drawing"));
    this.#click("mute", () => this.#turn("audio"));
    this.#click("hide-camera", () => this.#turn("video"));
    this.#click("hum", async () => {
      await this.#drawing?.hum(!this.#drawing.hums);
      this.draw();
    });
    this.#click("share-screen", () => this.#share());
    this.#click("hang-up", () => this.leave());
  }

  /** Whose pictures, of others, are shown, protected: identities. */
  get sees(): string[] {
    const shown = this.#call?.tiles.filter((tile) => !tile.member.own && tile.lock.state === "protected") ?? [];
    return shown.map((tile) => tile.member.identity);
  }

  /** The own picture, if it is shown to others. */
  get own(): MediaStreamTrack | null {
    return this.#call?.tiles.find(({ member }) => member.own)?.stream.getVideoTracks()[0] ?? null;
  }

  /** The next frame that goes to somebody or comes from them, to be looked at. */
  async frame({ peer, direction }: FrameWish): Promise<SeenFrame> {
    const tile = this.#call?.tiles.find(({ member }) => !member.own && member.identity === peer);
    if (this.#call === null || tile === undefined) throw new Error("they are not in the call");
    const { codec, frame, wire, clear, header, counter } = await this.#call.sample(tile.member.clientId, direction);
    return { codec, frame, wire, clear, header, counter: String(counter) };
  }

  /** The conference of now; where this tab was in its call before a reload, it joins again. */
  follow(conference: Conference | null): void {
    const current = conference?.status === "active" ? conference : null;
    if (this.#conference === current) return;
    this.#conference = current;
    if (current === null) void this.leave();
    else if (sessionStorage.getItem(REMEMBERED) !== null) this.#run(null, () => this.join("drawing"));
    this.draw();
  }

  async join(source: Source): Promise<void> {
    const conference = this.#conference;
    if (conference === null || this.#call !== null || this.#joining) return;
    this.#joining = true;
    const drawing = source === "drawing" ? new DrawnPicture(this.#name) : null;
    try {
      const call = await conference.call(drawing === null ? { audio: true, video: true } : { stream: drawing.stream });
      this.#call = call;
      this.#drawing = drawing;
      this.#said = { audio: true, video: true, screen: false };
      call.addEventListener("tile", () => this.draw());
      call.addEventListener("left", () => this.#ended(call));
      call.addEventListener("error", (event) => console.warn(event.detail));
      sessionStorage.setItem(REMEMBERED, source);
    } catch (error) {
      drawing?.stop();
      throw error;
    } finally {
      this.#joining = false;
    }
    this.draw();
  }

  async leave(): Promise<void> {
    sessionStorage.removeItem(REMEMBERED);
    await this.#call?.leave();
  }

  draw(): void {
    const inCall = this.#call !== null;
    byId("pictures").hidden = this.#conference === null;
    byId("join-row").hidden = inCall;
    byId("call-row").hidden = !inCall;
    byId("hum").hidden = this.#drawing === null; // in place of a voice
    press("hum", this.#drawing?.hums === true, "Hum", "Stop humming");
    press("mute", !this.#said.audio, "Mute", "Unmute");
    press("hide-camera", !this.#said.video, "Picture off", "Picture on");
    press("share-screen", this.#said.screen, "Share screen", "Stop sharing");
    drawTiles(byId("tiles"), this.#call?.tiles ?? []);
    this.dispatchEvent(new Event("changed"));
  }

  #ended(call: Call): void {
    if (this.#call !== call) return;
    this.#drawing?.stop();
    this.#call = this.#drawing = null;
    this.draw();
  }

  async #turn(kind: "audio" | "video"): Promise<void> {
    this.#said[kind] = !this.#said[kind];
    await this.#call?.turn(kind, this.#said[kind]);
    this.draw();
  }

  async #share(): Promise<void> {
    if (this.#said.screen) await this.#call?.shareScreen();
    else await this.#call?.shareScreen(await navigator.mediaDevices.getDisplayMedia({ video: true }));
    this.#said.screen = !this.#said.screen;
    this.draw();
  }

  #click(id: string, work: () => Promise<void>): void {
    const button = byId<HTMLButtonElement>(id);
    button.addEventListener("click", () => this.#run(button, work));
  }
}

function press(id: string, pressed: boolean, off: string, on: string): void {
  const button = byId(id);
  button.setAttribute("aria-pressed", String(pressed));
  if (button.textContent !== (pressed ? on : off)) button.textContent = pressed ? on : off;
}
