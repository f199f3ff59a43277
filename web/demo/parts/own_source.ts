// How a person is seen and heard: by camera and microphone, as far as there are any, or by a drawing that hums.

import { DrawnPicture } from "./drawn_picture.js";
import { Refusal } from "./errors.js";

export type Source = "camera" | "drawing";

/** What is on: as it was before a reload, so that who was muted is not heard for a moment. */
export interface On {
  readonly audio: boolean;
  readonly video: boolean;
}

export class OwnSource {
  readonly stream: MediaStream;
  readonly drawing: DrawnPicture | null;

  private constructor(stream: MediaStream, drawing: DrawnPicture | null, on: On) {
    this.stream = stream;
    this.drawing = drawing;
    for (const track of stream.getTracks()) track.enabled = on[track.kind as "audio" | "video"];
  }

  /** Throws a `Refusal` where there is no camera and no microphone, or none that may be used. */
  static async open(source: Source, name: string, on: On): Promise<OwnSource> {
    if (source === "camera") return new OwnSource(await devices(), null, on);
    const drawing = new DrawnPicture(name);
    return new OwnSource(drawing.stream, drawing, on);
  }

  has(kind: "audio" | "video"): boolean {
    return this.stream.getTracks().some((track) => track.kind === kind && track.readyState === "live"); // none that was unplugged
  }

  stop(): void {
    this.drawing?.stop();
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** Whether the camera may be used without asking the person, as after a reload; browsers that cannot say would ask. */
export async function cameraIsAllowed(): Promise<boolean> {
  try {
    return (await navigator.permissions.query({ name: "camera" as PermissionName })).state === "granted";
  } catch (error) {
    if (error instanceof TypeError) return false; // this browser knows no such permission
    throw error;
  }
}

/** The screen that the person chose. */
export async function screen(): Promise<MediaStream> {
  // Telephones have none to share.
  if (typeof navigator.mediaDevices.getDisplayMedia !== "function") throw new Refusal("no-screen", "This browser cannot share a screen.");
  return navigator.mediaDevices.getDisplayMedia({ video: true }).catch((error: unknown) => refused(error, "Nothing is shared: no screen was chosen, or this browser may share none."));
}

/** What there is: who has no camera is heard, and who has no microphone is seen. */
async function devices(): Promise<MediaStream> {
  const kinds = new Set((await navigator.mediaDevices.enumerateDevices()).map(({ kind }) => kind));
  const wanted = { audio: kinds.has("audioinput"), video: kinds.has("videoinput") };
  if (!wanted.audio && !wanted.video) throw new Refusal("no-devices", "There is no camera or microphone here. Join with a drawing instead.");
  return navigator.mediaDevices.getUserMedia(wanted).catch((error: unknown) =>
    refused(error, "This page may not use the camera and microphone. Allow it beside the address, or join with a drawing."));
}

/** What a browser throws where its person or its device says no (Media Capture and Streams, section 10.3). */
function refused(error: unknown, sentence: string): never {
  if (!(error instanceof DOMException)) throw error;
  if (error.name === "NotAllowedError" || error.name === "SecurityError") throw new Refusal("not-allowed", sentence);
  if (error.name === "NotReadableError" || error.name === "AbortError") {
    throw new Refusal("in-use", "The device does not answer; another program may be using it. End that one, or join with a drawing.");
  }
  if (error.name === "NotFoundError" || error.name === "OverconstrainedError") {
    throw new Refusal("no-devices", "The camera or microphone is gone. Plug it in, or join with a drawing.");
  }
  throw error;
}
