// Seeing and hearing each other: one page's stay in its conference's call, from the library's `Call` to buttons and tiles.

import type { Call, Conference, Tile } from "roomkey";
import { byId } from "./dom.js";
import { cameraIsAllowed, type On, OwnSource, screen, type Source } from "./own_source.js";
import type { FrameWish, SeenFrame } from "./story.js";
import { drawTiles } from "./tiles.js";

const REMEMBERED = "roomkey demo: pictures"; // for this tab: a reload comes back into the call, as it was

type Kept = On & { readonly source: Source };

/** `changed` is dispatched whenever what is shown has changed. */
export class Pictures extends EventTarget {
  readonly #name: string;
  readonly #run: (button: HTMLButtonElement | null, work: () => Promise<void>) => void;
  #conference: Conference | null = null;
  #call: Call | null = null;
  #source: OwnSource | null = null;
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
      await this.#source?.drawing?.hum(!this.#source.drawing.hums);
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
    return this.#tile?.stream.getVideoTracks()[0] ?? null;
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
    // Into another conference nobody is taken along: its digits are others, and so may be its people.
    if (current === null || this.#call !== null) void this.leave().catch((error: unknown) => console.warn(error));
    else if (sessionStorage.getItem(REMEMBERED) !== null) this.#run(null, () => this.#comeBack());
    this.draw();
  }

  async join(source: Source, on: On = { audio: true, video: true }): Promise<void> {
    const conference = this.#conference;
    if (conference === null || this.#call !== null || this.#joining) return;
    this.#joining = true;
    let own: OwnSource | null = null;
    try {
      own = await OwnSource.open(source, this.#name, on);
      const over = (): boolean => this.#conference !== conference; // in the meantime, as by a removal: browsers ask for as long as people take
      const call = over() ? null : await conference.call({ stream: own.stream });
      if (call === null || over()) {
        own.stop();
        await call?.leave();
        return;
      }
      this.#call = call;
      this.#source = own;
      call.addEventListener("tile", () => this.draw());
      call.addEventListener("left", () => this.#ended(call));
      call.addEventListener("error", (event) => console.warn(event.detail));
      this.#keep(source, on);
    } catch (error) {
      own?.stop();
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
    const source = this.#source;
    byId("hum").hidden = source?.drawing == null; // in place of a voice
    byId("mute").hidden = source?.has("audio") !== true;
    byId("hide-camera").hidden = source?.has("video") !== true;
    press("hum", source?.drawing?.hums === true, "Hum", "Stop humming");
    press("mute", !this.#isOn("audio"), "Mute", "Unmute");
    press("hide-camera", !this.#isOn("video"), "Picture off", "Picture on");
    press("share-screen", this.#sharing, "Share screen", "Stop sharing"); // the browser has a button of its own that ends it
    drawTiles(byId("tiles"), this.#call?.tiles ?? []);
    this.dispatchEvent(new Event("changed"));
  }

  #ended(call: Call): void {
    if (this.#call !== call) return;
    this.#source?.stop();
    this.#call = this.#source = null;
    this.draw();
  }

  /** Into the call again after a reload, by camera only where that asks nobody, and as it was: muted, or unseen. */
  async #comeBack(): Promise<void> {
    const { source, audio, video } = JSON.parse(sessionStorage.getItem(REMEMBERED) ?? "{}") as Partial<Kept>;
    await this.join(source === "camera" && (await cameraIsAllowed()) ? "camera" : "drawing", { audio: audio !== false, video: video !== false });
  }

  #keep(source: Source, { audio, video }: On): void {
    sessionStorage.setItem(REMEMBERED, JSON.stringify({ source, audio, video } satisfies Kept));
  }

  async #turn(kind: "audio" | "video"): Promise<void> {
    const call = this.#call;
    if (call === null || this.#source === null) return;
    const on = { audio: this.#isOn("audio"), video: this.#isOn("video"), [kind]: !this.#isOn(kind) };
    this.#keep(this.#source.drawing === null ? "camera" : "drawing", on);
    await call.turn(kind, on[kind]);
    this.draw();
  }

  async #share(): Promise<void> {
    const call = this.#call;
    if (this.#sharing) await call?.shareScreen();
    else if (call !== null) {
      const chosen = await screen();
      if (this.#call === call) await call.shareScreen(chosen);
      else for (const track of chosen.getTracks()) track.stop(); // the call is over; a screen is chosen slowly
    }
    this.draw();
  }

  get #tile(): Tile | undefined {
    return this.#call?.tiles.find(({ member }) => member.own);
  }

  get #sharing(): boolean {
    return this.#tile?.video === "screen";
  }

  /** Of the camera, or the drawing, also while a screen is shown in its place. */
  #isOn(kind: "audio" | "video"): boolean {
    return this.#source?.stream.getTracks().some((track) => track.kind === kind && track.enabled && track.readyState === "live") === true;
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
