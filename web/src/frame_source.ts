/** Tracks to frames and back, by what the browser has. */
import type { MediaTarget } from "./srtp_protocol.js";

/** https://www.w3.org/TR/mediacapture-transform/ as Chromium has it, in pages too. */
interface Transforms {
  readonly MediaStreamTrackProcessor?: new (init: { track: MediaStreamTrack }) => { readonly readable: ReadableStream<VideoFrame> };
  readonly MediaStreamTrackGenerator?: new (init: { kind: "audio" | "video" }) => MediaStreamTrack & { readonly writable: WritableStream<VideoFrame> };
}

const transforms = globalThis as unknown as Transforms;

/** A track's frames, where the browser gives them. */
export function trackFrames(track: MediaStreamTrack): ReadableStream<VideoFrame> | undefined {
  const { MediaStreamTrackProcessor: Processor } = transforms;
  return Processor === undefined ? undefined : new Processor({ track }).readable;
}

/** Gives the pictures of a video track as an element shows them; returns what ends that. */
export async function pumpVideo(track: MediaStreamTrack, give: (frame: VideoFrame) => void): Promise<() => void> {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  let going = true;
  const next = (now: number): void => {
    if (!going) return;
    give(new VideoFrame(video, { timestamp: Math.round(1000 * now) }));
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  await video.play();
  return () => {
    going = false;
    video.srcObject = null;
  };
}

/** A track and where its frames are to go. Pictures can go by a canvas of the page; sound only where the browser makes tracks. */
export function newTrack(kind: "audio" | "video"): { readonly track: MediaStreamTrack; readonly target: MediaTarget } | undefined {
  const { MediaStreamTrackGenerator: Generator } = transforms;
  if (Generator !== undefined) {
    const track = new Generator({ kind });
    return { track, target: track.writable };
  }
  if (kind === "audio") return undefined;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d"); // Firefox captures no canvas that a worker draws on
  const [track] = canvas.captureStream().getVideoTracks();
  if (context === null || track === undefined) return undefined;
  const { readable, writable } = new TransformStream<VideoFrame, VideoFrame>();
  void draw(readable, context);
  return { track, target: writable };
}

async function draw(frames: ReadableStream<VideoFrame>, context: CanvasRenderingContext2D): Promise<void> {
  const reader = frames.getReader();
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    if (value === undefined) continue;
    const { canvas } = context;
    const { displayWidth: width, displayHeight: height } = value;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    context.drawImage(value, 0, 0, width, height);
    value.close();
  }
}
