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

/** Samples of a piece of sound: 20 ms and a little of 48,000 a second; a ScriptProcessorNode takes powers of two. */
const PIECE = 1_024;

/**
 * Gives the sound of an audio track, in one channel; returns what ends that. By a ScriptProcessorNode, which is deprecated and works
 * in the page's own thread: a browser that gives a track's sound in no other way has it, and an AudioWorklet would have to be one
 * more asset for those alone.
 */
export function pumpAudio(track: MediaStreamTrack, give: (sound: AudioData) => void): () => void {
  const context = new AudioContext();
  const processor = context.createScriptProcessor(PIECE, 1, 1);
  let samples = 0;
  processor.onaudioprocess = ({ inputBuffer }) => {
    const { sampleRate, length } = inputBuffer;
    const data = inputBuffer.getChannelData(0).slice();
    const timestamp = Math.round((samples * 1e6) / sampleRate);
    give(new AudioData({ format: "f32-planar", sampleRate, numberOfFrames: length, numberOfChannels: 1, timestamp, data }));
    samples += length;
  };
  context.createMediaStreamSource(new MediaStream([track])).connect(processor);
  processor.connect(context.destination); // which makes it run; it gives silence
  void context.resume(); // settles when there is a device to play on and the browser allows it, which may be later or never
  return () => {
    processor.onaudioprocess = null;
    void context.close();
  };
}

/** A track and where its frames are to go. Where the browser makes no tracks, pictures go by a canvas of the page, sound by an audio context. */
export function newTrack(kind: "audio" | "video"): { readonly track: MediaStreamTrack; readonly target: MediaTarget } | undefined {
  const { MediaStreamTrackGenerator: Generator } = transforms;
  if (Generator !== undefined) {
    const track = new Generator({ kind });
    return { track, target: track.writable };
  }
  if (kind === "audio") return newSound();
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d"); // Firefox captures no canvas that a worker draws on
  const [track] = canvas.captureStream().getVideoTracks();
  if (context === null || track === undefined) return undefined;
  const { readable, writable } = new TransformStream<VideoFrame, VideoFrame>();
  void draw(readable, context);
  return { track, target: writable };
}

/** Seconds by which sound is played after it came, so that what comes a little later finds its place. */
const SOUND_DELAY = 0.06;

function newSound(): { readonly track: MediaStreamTrack; readonly target: MediaTarget } | undefined {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  const [track] = out.stream.getAudioTracks();
  if (track === undefined) return undefined;
  const { readable, writable } = new TransformStream<AudioData, AudioData>();
  void play(readable, context, out).finally(() => void context.close());
  return { track, target: writable };
}

/** Plays pieces one after the other; after a gap, or when too many wait, from now on again. */
async function play(pieces: ReadableStream<AudioData>, context: AudioContext, out: AudioNode): Promise<void> {
  const reader = pieces.getReader();
  let next = 0;
  let asked = false;
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    if (value === undefined) continue;
    if (context.state !== "running") {
      // What is not played now would be played late. Browsers let a page be heard once somebody has clicked in it.
      value.close();
      if (!asked && navigator.userActivation?.hasBeenActive) void context.resume();
      asked ||= navigator.userActivation?.hasBeenActive;
      continue;
    }
    const buffer = context.createBuffer(value.numberOfChannels, value.numberOfFrames, value.sampleRate);
    for (let channel = 0; channel < value.numberOfChannels; channel += 1) {
      value.copyTo(buffer.getChannelData(channel), { planeIndex: channel, format: "f32-planar" });
    }
    value.close();
    const now = context.currentTime;
    if (next < now || next > now + 4 * SOUND_DELAY) next = now + SOUND_DELAY;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(out);
    source.start(next);
    next += buffer.duration;
  }
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
