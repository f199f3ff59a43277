// How long a picture takes from one end of a connection to the other: in the clear, through a worker that changes nothing, and sealed.

const SIZE = { width: 640, height: 480 };
const BITS = 10; // of a picture's number, drawn as dark and light bars
const BAR = SIZE.width / BITS;
const RATE = 30;
const WARM = 30; // pictures before the count begins: connections find their rate

export type Way = "clear" | "worker" | "sealed";

/** Milliseconds from drawing a picture until its receiver has it, of `count` pictures. */
async function delays(way: Way, count: number): Promise<number[]> {
  const worker = way === "clear" ? undefined : new Worker("/bench/delay_worker.js", { type: "module" });
  const transform = (direction: "send" | "receive"): RTCRtpScriptTransform | null =>
    worker === undefined ? null : new RTCRtpScriptTransform(worker, { direction, kind: "video", sealed: way === "sealed", leaf: 0 });
  const [from, to] = [new RTCPeerConnection(), new RTCPeerConnection()];
  from.onicecandidate = ({ candidate }) => void to.addIceCandidate(candidate ?? undefined);
  to.onicecandidate = ({ candidate }) => void from.addIceCandidate(candidate ?? undefined);
  const canvas = Object.assign(document.createElement("canvas"), SIZE);
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const [track] = canvas.captureStream(0).getVideoTracks() as CanvasCaptureMediaStreamTrack[];
  const sender = from.addTrack(track!);
  sender.transform = transform("send");
  const coming = new Promise<MediaStreamTrack>((resolve) => {
    to.ontrack = ({ receiver, track }) => {
      receiver.transform = transform("receive");
      resolve(track);
    };
  });
  await from.setLocalDescription();
  await to.setRemoteDescription(from.localDescription!);
  await to.setLocalDescription();
  await from.setRemoteDescription(to.localDescription!);
  const drawn: number[] = [];
  const timer = setInterval(() => {
    draw(context, drawn.length % 2 ** BITS);
    drawn.push(performance.now());
    track!.requestFrame();
  }, 1000 / RATE);
  try {
    return await taken(await coming, drawn, count);
  } finally {
    clearInterval(timer);
    from.close();
    to.close();
    worker?.terminate();
  }
}

async function taken(track: MediaStreamTrack, drawn: readonly number[], count: number): Promise<number[]> {
  const Processor = (globalThis as unknown as { MediaStreamTrackProcessor: new (init: { track: MediaStreamTrack }) => { readable: ReadableStream<VideoFrame> } })
    .MediaStreamTrackProcessor;
  const reader = new Processor({ track }).readable.getReader();
  const found: number[] = [];
  for (let seen = 0; found.length < count; seen += 1) {
    const { value: frame } = await reader.read();
    const now = performance.now();
    if (frame === undefined) throw new Error("expected more pictures");
    const number = await numberOf(frame);
    frame.close();
    // The latest picture of this number: numbers begin again after half a minute.
    const at = drawn.length - 1 - ((drawn.length - 1 - number) & (2 ** BITS - 1));
    if (seen >= WARM && drawn[at] !== undefined) found.push(now - drawn[at]);
  }
  return found;
}

function draw(context: CanvasRenderingContext2D, number: number): void {
  for (let bit = 0; bit < BITS; bit += 1) {
    context.fillStyle = (number >> bit) & 1 ? "#fff" : "#000";
    context.fillRect(bit * BAR, 0, BAR, SIZE.height);
  }
  context.fillStyle = `hsl(${number * 7} 60% 50%)`;
  context.fillRect((number * 9) % SIZE.width, SIZE.height / 2, 120, 120); // something that moves
}

/** By the brightness in the middle of each bar, near the top. */
async function numberOf(frame: VideoFrame): Promise<number> {
  const bytes = new Uint8Array(frame.allocationSize());
  const [plane] = await frame.copyTo(bytes);
  const scale = frame.codedWidth / SIZE.width;
  let number = 0;
  for (let bit = 0; bit < BITS; bit += 1) {
    if (bytes[plane!.offset + 20 * plane!.stride + Math.round((bit + 0.5) * BAR * scale)]! > 127) number |= 1 << bit;
  }
  return number;
}

Object.assign(globalThis, { measure: { delays } });
