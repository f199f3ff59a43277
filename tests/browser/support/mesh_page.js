/** What tests of whole calls run in a person's page: `Conference.call` with a drawn picture and a tone, and what its tiles show. */

const calls = {};

/** Frames that each element has shown: Firefox's playback quality counts none of a stream's. */
const painted = new WeakMap();

function made() {
  const video = document.body.appendChild(Object.assign(document.createElement("video"), { autoplay: true, muted: true }));
  const count = () => {
    painted.set(video, (painted.get(video) ?? 0) + 1);
    video.requestVideoFrameCallback(count);
  };
  video.requestVideoFrameCallback(count);
  return video;
}

/** The element of a tile, as an application shows it. */
function element(call, tile) {
  const name = tile.member.identity;
  const video = (call.elements[name] ??= made());
  if (video.srcObject !== tile.stream) video.srcObject = tile.stream;
  void video.play().catch(() => undefined);
  return video;
}

/** Whoever comes back is counted anew. */
function forget({ elements }, identity) {
  elements[identity]?.remove();
  delete elements[identity];
}

function colourOf(video) {
  if (video.videoWidth === 0) return null;
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  const context = canvas.getContext("2d");
  context.drawImage(video, 0, 0);
  return Array.from(context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.slice(0, 3));
}

async function stream(colour, frequency) {
  const tracks = [];
  if (colour !== null) tracks.push(globalThis.media.drawing(colour));
  if (frequency !== null) tracks.push(await tone(frequency));
  return new MediaStream(tracks);
}

/** Firefox plays nothing, also into a stream, where there is no sound card; its made-up microphone hums. */
async function tone(frequency) {
  if (!navigator.userAgent.includes("Firefox")) return globalThis.media.tone(frequency);
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  return (await navigator.mediaDevices.getUserMedia({ audio })).getAudioTracks()[0];
}

/** Every connection that a page makes, so that a test can look at what really goes over it. */
const connections = [];
const Original = globalThis.RTCPeerConnection;
globalThis.RTCPeerConnection = class extends Original {
  constructor(...args) {
    super(...args);
    connections.push(this);
  }
};

globalThis.mesh = {
  calls,
  connections,
  join: async (name, { colour = null, frequency = null, transport = undefined }) => {
    const call = await globalThis.calls[name].call({ stream: await stream(colour, frequency), transport });
    calls[name] = { call, elements: {}, events: [], errors: [] };
    call.addEventListener("tile", ({ detail: { change, tile: { member: { identity } } } }) => {
      calls[name].events.push([change, identity]);
      if (change === "removed") forget(calls[name], identity);
    });
    call.addEventListener("left", ({ detail }) => calls[name].events.push(["left", detail.reason]));
    call.addEventListener("error", ({ detail }) => calls[name].errors.push(String(detail)));
  },
  share: async (name, colour) => calls[name].call.shareScreen(colour === null ? undefined : await stream(colour, null)),
  /** A frame on both sides of its seal, as lists of bytes; `identity`: of whom or to whom. */
  sample: async (name, identity, direction) => {
    const { call } = calls[name];
    const { clientId } = call.tiles.find(({ member }) => member.identity === identity).member;
    const { frame, wire, keyId, counter, ...rest } = await call.sample(clientId, direction);
    return { ...rest, frame: [...frame], wire: [...wire], keyId: String(keyId), counter: String(counter) };
  },
  tiles: (name) => calls[name].call.tiles.map((tile) => {
    const video = element(calls[name], tile);
    const { state, reason } = tile.lock;
    return {
      identity: tile.member.identity, own: tile.member.own, state, reason: reason ?? null, speaking: tile.speaking, audio: tile.audio,
      video: tile.video, colour: colourOf(video), frames: Math.max(video.getVideoPlaybackQuality().totalVideoFrames, painted.get(video) ?? 0),
    };
  }),
  /** Fingerprints of the two ends of each connection that goes on, as the page was told them. */
  fingerprints: () => connections.filter((pc) => pc.connectionState === "connected").map((pc) => [pc.localDescription, pc.remoteDescription].map(
    ({ sdp }) => /a=fingerprint:(\S+ \S+)/.exec(sdp)[1],
  )),
  /** Frames that came over all connections ever made, decoded or not. */
  received: async () => {
    let frames = 0;
    for (const pc of connections) for (const item of (await pc.getStats()).values()) if (item.type === "inbound-rtp") frames += item.framesDecoded ?? 0;
    return frames;
  },
};
