// A call of several people in one page: every one sends every other a moving picture and a tone, each by a connection of its own.

const SIZE = { width: 320, height: 240 };
const RATE = 15;
const LOWEST_TONE = 220; // Hz; each person's is higher than the last's
const LOOK = 100; // milliseconds

export type Way = "clear" | "worker" | "sealed";

interface Running {
  readonly connections: readonly RTCPeerConnection[];
  readonly timer: ReturnType<typeof setInterval>;
  readonly workers: readonly Worker[];
  readonly sound: AudioContext;
}

let running: Running | undefined;

/** Begins a call; resolves when a second of each picture and sound has come. One worker for each person, as each has a page. */
async function begin(way: Way, people: number): Promise<void> {
  const workers = way === "clear" ? [] : Array.from({ length: people }, () => new Worker("/bench/delay_worker.js", { type: "module" }));
  const pictures = Array.from({ length: people }, () => Object.assign(document.createElement("canvas"), SIZE));
  const sound = new AudioContext();
  const streams = pictures.map((canvas, person) => new MediaStream([...canvas.captureStream(RATE).getTracks(), tone(sound, person)]));
  const connections: RTCPeerConnection[] = [];
  for (let one = 0; one < people; one += 1) {
    for (let other = one + 1; other < people; other += 1) {
      const ends = [new RTCPeerConnection(), new RTCPeerConnection()] as const;
      connections.push(...ends);
      [one, other].forEach((person, end) => {
        ends[end]!.onicecandidate = ({ candidate }) => void ends[1 - end]!.addIceCandidate(candidate ?? undefined);
        ends[end]!.ontrack = ({ track }) => play(track);
        send(ends[end]!, streams[person]!, workers[person], way === "sealed", person);
      });
      await ends[0].setLocalDescription();
      await ends[1].setRemoteDescription(ends[0].localDescription!);
      await ends[1].setLocalDescription();
      await ends[0].setRemoteDescription(ends[1].localDescription!);
    }
  }
  let at = 0;
  const timer = setInterval(() => {
    at += 1;
    pictures.forEach((canvas, person) => draw(canvas.getContext("2d")!, at, person));
  }, 1000 / RATE);
  running = { connections, timer, workers, sound };
  const all = people * (people - 1);
  for (;;) {
    const [seen, heard] = await Promise.all([received("video"), received("audio")]);
    if (Math.min(seen.length, heard.length) === all && Math.min(...seen) >= RATE && Math.min(...heard) >= 1) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK));
  }
}

/** All in one task: a transform that is set in a later one does nothing, without a word. */
function send(pc: RTCPeerConnection, stream: MediaStream, worker: Worker | undefined, sealed: boolean, leaf: number): void {
  for (const track of stream.getTracks()) {
    pc.addTrack(track, stream);
    if (worker === undefined) continue;
    const { sender, receiver } = pc.getTransceivers().at(-1)!;
    sender.transform = new RTCRtpScriptTransform(worker, { direction: "send", kind: track.kind, sealed, leaf });
    receiver.transform = new RTCRtpScriptTransform(worker, { direction: "receive", kind: track.kind, sealed, leaf });
  }
}

/** Sound that nobody plays is not decoded. */
function play(track: MediaStreamTrack): void {
  if (track.kind === "audio") void Object.assign(new Audio(), { srcObject: new MediaStream([track]) }).play();
}

/** So far, by receiver: pictures decoded, or seconds of sound that came and were not silence. */
async function received(kind: "video" | "audio"): Promise<number[]> {
  const reports = await Promise.all((running?.connections ?? []).map((pc) => pc.getStats()));
  const items = reports.flatMap((report) => [...report.values()] as RTCInboundRtpStreamStats[]);
  return items
    .filter((item) => item.type === "inbound-rtp" && item.kind === kind)
    .map((item) => (kind === "video" ? (item.framesDecoded ?? 0) : (item.totalAudioEnergy ?? 0) > 0 ? (item.totalSamplesDuration ?? 0) : 0));
}

async function end(): Promise<void> {
  clearInterval(running?.timer);
  for (const connection of running?.connections ?? []) connection.close();
  for (const worker of running?.workers ?? []) worker.terminate();
  await running?.sound.close();
  running = undefined;
}

function tone(sound: AudioContext, person: number): MediaStreamTrack {
  const [oscillator, out] = [new OscillatorNode(sound, { frequency: LOWEST_TONE * (1 + person / 2) }), sound.createMediaStreamDestination()];
  oscillator.connect(out);
  oscillator.start();
  return out.stream.getAudioTracks()[0]!;
}

function draw(context: CanvasRenderingContext2D, at: number, person: number): void {
  context.fillStyle = `hsl(${person * 60} 50% 40%)`;
  context.fillRect(0, 0, SIZE.width, SIZE.height);
  context.fillStyle = "#fff";
  context.fillRect((at * 5 + person * 40) % SIZE.width, 90, 60, 60);
}

Object.assign(globalThis, { measure: { begin, end, received } });
