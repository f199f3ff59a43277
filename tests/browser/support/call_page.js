/** What tests of protected connections run in a person's page: drawn pictures and tones that go over an RTCPeerConnection, and come. */

const SIZE = [320, 240];
const peers = {};
const shown = {};

/** A moving picture of one colour: what is sent, and what a receiver must see. */
function drawing(colour, [width, height] = SIZE) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  let turn = 0;
  setInterval(() => {
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
    context.fillStyle = "white";
    context.fillRect((turn = (turn + 4) % width), 0, 12, 12); // in a corner of its own: frames differ, the middle stays
  }, 50);
  return canvas.captureStream(20).getVideoTracks()[0];
}

function tone(frequency) {
  const audio = new AudioContext();
  const oscillator = new OscillatorNode(audio, { frequency });
  const destination = audio.createMediaStreamDestination();
  oscillator.connect(destination);
  oscillator.start();
  void audio.resume();
  return destination.stream.getAudioTracks()[0];
}

function show(name, track) {
  const element = document.createElement(track.kind);
  Object.assign(element, { muted: track.kind === "video", autoplay: true, srcObject: new MediaStream([track]) });
  document.body.append(element);
  void element.play().catch(() => undefined);
  (shown[name] ??= []).push({ element, track });
}

const plainState = ({ mid, kind, direction, member, state, reason, since }) => ({
  mid, kind, direction, state, reason: reason ?? null, member: member?.identity ?? null, since: since.getTime(),
});

const transceiverOf = (pc, sender) => pc.getTransceivers().find((transceiver) => transceiver.sender === sender);

async function gathered(pc) {
  while (pc.iceGatheringState !== "complete") await new Promise((resolve) => setTimeout(resolve, 10));
  return { type: pc.localDescription.type, sdp: pc.localDescription.sdp };
}

globalThis.media = {
  peers,
  drawing,
  tone,
  show,
  /** One more track on a connection. */
  add: async (name, colour) => {
    peers[name].pc.addTrack(drawing(colour));
  },
  /** A connection, protected by the conference unless `conference` is null, with what is to be sent. */
  open: async (name, { conference = null, colour = null, frequency = null, codec = null, from = undefined, size = SIZE, layers = null, configuration }) => {
    const pc = new RTCPeerConnection(configuration);
    const peer = (peers[name] = { pc, protection: undefined, events: [] });
    pc.addEventListener("track", ({ track }) => show(name, track));
    if (conference !== null) await media.protect(name, conference, from);
    // By addTrack, so that who answers sends on the transceivers of who offers; layers must be named at once, and only callers have them.
    if (colour !== null && layers !== null) peer.video = pc.addTransceiver(drawing(colour, size), { sendEncodings: layers });
    else if (colour !== null) peer.video = transceiverOf(pc, pc.addTrack(drawing(colour, size)));
    if (frequency !== null) peer.audio = transceiverOf(pc, pc.addTrack(tone(frequency)));
    if (codec !== null && peer.video) media.prefer(name, codec);
  },
  protect: async (name, conference, from) => {
    const peer = peers[name];
    peer.protection = await globalThis.calls[conference].protect(peer.pc, from === undefined ? {} : { from: new Uint8Array(from) });
    peer.protection.addEventListener("state", ({ detail }) => peer.events.push(plainState(detail)));
  },
  prefer: (name, codec) => {
    const all = RTCRtpReceiver.getCapabilities("video").codecs;
    const wanted = all.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`.toLowerCase());
    if (wanted.length === 0) throw new Error(`no ${codec}`);
    peers[name].video.setCodecPreferences([...wanted, ...all.filter(({ mimeType }) => /rtx/.test(mimeType))]);
  },
  offer: async (name) => {
    await peers[name].pc.setLocalDescription(await peers[name].pc.createOffer());
    return gathered(peers[name].pc);
  },
  answer: async (name, offer) => {
    await peers[name].pc.setRemoteDescription(offer);
    return media.accept(name);
  },
  accept: async (name) => {
    await peers[name].pc.setLocalDescription(await peers[name].pc.createAnswer());
    return gathered(peers[name].pc);
  },
  answered: (name, answer) => peers[name].pc.setRemoteDescription(answer),
  states: (name) => peers[name].protection.states().map(plainState),
  events: (name) => peers[name].events,
  /** What is to be seen and heard of the other end: the colour in the middle, frames decoded, sound energy, bytes that came. */
  seen: async (name) => {
    const seen = { frames: 0, dropped: 0, energy: 0, bytes: 0, colour: null, codec: null, packets: 0, size: null, layers: 0, plis: 0, mode: null };
    const stats = await peers[name].pc.getStats();
    for (const item of stats.values()) {
      if (item.type === "outbound-rtp" && item.kind === "video" && item.framesSent > 0) {
        seen.layers += 1;
        seen.mode = item.scalabilityMode ?? null;
      }
      if (item.type !== "inbound-rtp") continue;
      seen.bytes += item.bytesReceived;
      seen.packets += item.packetsReceived;
      if (item.kind === "video") {
        seen.frames += item.framesDecoded;
        seen.dropped += item.framesDropped;
        seen.plis += item.pliCount;
        seen.codec = stats.get(item.codecId)?.mimeType ?? null;
      } else seen.energy += item.totalAudioEnergy ?? 0;
    }
    for (const { element, track } of shown[name] ?? []) {
      if (track.kind !== "video" || element.videoWidth === 0) continue;
      const canvas = Object.assign(document.createElement("canvas"), { width: element.videoWidth, height: element.videoHeight });
      const context = canvas.getContext("2d");
      context.drawImage(element, 0, 0);
      seen.size = [canvas.width, canvas.height];
      seen.colour = Array.from(context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data.slice(0, 3));
    }
    return seen;
  },
  close: (name) => peers[name].pc.close(),
};
