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

/** A track and where its frames are to go. Pictures can go by a canvas; sound only where the browser makes tracks. */
export function newTrack(kind: "audio" | "video"): { readonly track: MediaStreamTrack; readonly target: MediaTarget } | undefined {
  const { MediaStreamTrackGenerator: Generator } = transforms;
  if (Generator !== undefined) {
    const track = new Generator({ kind });
    return { track, target: track.writable };
  }
  if (kind === "audio") return undefined;
  const canvas = document.createElement("canvas");
  const target = canvas.transferControlToOffscreen();
  const [track] = canvas.captureStream().getVideoTracks();
  return track === undefined ? undefined : { track, target };
}
