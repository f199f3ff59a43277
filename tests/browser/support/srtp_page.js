/** What tests of SRTP sessions run in a person's page, after call_page.js: sessions of conferences, ways for packets, pictures that come. */

const sessions = {};
const pcs = {};
const outgoing = {};
const relays = {};
const OPTIONS = { ordered: false, maxRetransmits: 0, negotiated: true, id: 0 };

/** A page in the middle: what it does to the packets of a port pair, and what it has seen of them. */
const middles = {};

async function gathered(pc) {
  while (pc.iceGatheringState !== "complete") await new Promise((resolve) => setTimeout(resolve, 10));
  return { type: pc.localDescription.type, sdp: pc.localDescription.sdp };
}

/** The colour in the middle of an element or canvas. */
function colourOf(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(source, 0, 0);
  return Array.from(context.getImageData(width / 2, height / 2, 1, 1).data.slice(0, 3));
}

/** Hears what comes of a stream: how loud it is, and the tone, by how often the wave rises through zero. */
async function listen(entry, incoming) {
  for await (const sound of incoming.frames()) {
    const wave = new Float32Array(sound.numberOfFrames);
    sound.copyTo(wave, { planeIndex: 0, format: "f32-planar" });
    let rises = 0;
    for (let at = 1; at < wave.length; at += 1) if (wave[at - 1] < 0 && wave[at] >= 0) rises += 1;
    entry.frames += 1;
    entry.tones.push([rises, wave.length / sound.sampleRate, Math.sqrt(wave.reduce((sum, value) => sum + value * value, 0) / wave.length)]);
    sound.close();
  }
}

const NUMBER_BITS = 12;
const NUMBERED = [320, 240];

/** Pictures with their number in black and white on top, and much that moves below, so that they take as many bits as there are. */
function numbered(framerate) {
  const [width, height] = NUMBERED;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  const state = { number: 0 };
  const side = width / NUMBER_BITS;
  state.timer = setInterval(() => {
    state.number += 1;
    for (let at = 0; at < 12; at += 1) {
      context.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
      context.fillRect(Math.random() * width, 2 * side + Math.random() * height, 30, 20);
    }
    for (let bit = 0; bit < NUMBER_BITS; bit += 1) {
      context.fillStyle = (state.number >> bit) & 1 ? "white" : "black";
      context.fillRect(bit * side, 0, side, 2 * side);
    }
  }, 1000 / framerate);
  state.track = canvas.captureStream(framerate).getVideoTracks()[0];
  return state;
}

/** The number of a picture. */
function numberOf(frame) {
  const [width, height] = [frame.displayWidth, frame.displayHeight];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(frame, 0, 0);
  const side = width / NUMBER_BITS;
  let number = 0;
  for (let bit = 0; bit < NUMBER_BITS; bit += 1) if (context.getImageData((bit + 0.5) * side, side, 1, 1).data[0] > 127) number |= 1 << bit;
  return number;
}

/** Looks at the number of each picture that comes of a stream. */
async function count(entry, incoming) {
  for await (const frame of incoming.frames()) {
    entry.frames += 1;
    entry.number = numberOf(frame);
    frame.close();
  }
}

/** Looks at each frame that comes of a stream. */
async function watch(entry, incoming) {
  for await (const frame of incoming.frames()) {
    entry.frames += 1;
    entry.at.push(performance.now());
    const colour = colourOf(frame, frame.displayWidth, frame.displayHeight);
    frame.close();
    entry.colour = colour;
    entry.colours.push(colour);
  }
}

globalThis.srtp = {
  sessions,
  outgoing,
  relays,
  /** Begins; what others send is looked at frame by frame, drawn on a canvas, or played as a track. */
  begin: async (name, { conference, take = "frames", ...options }) => {
    const session = await globalThis.calls[conference].srtp(options);
    const seen = { session, streams: [], events: [], errors: [], mismatches: [] };
    sessions[name] = seen;
    session.addEventListener("mismatch", ({ detail: { member, error } }) => seen.mismatches.push({ from: member.identity, code: error.code, profile: error.details.profile }));
    session.addEventListener("error", ({ detail }) => seen.errors.push(detail.message));
    session.addEventListener("ended", () => seen.events.push("ended"));
    session.addEventListener("gone", ({ detail }) => seen.streams.filter(({ incoming }) => incoming === detail).forEach((entry) => (entry.gone = true)));
    session.addEventListener("stream", ({ detail }) => {
      const entry = { incoming: detail, frames: 0, colour: null, colours: [], at: [], gone: false, states: [], tones: [] };
      detail.addEventListener("state", () => entry.states.push([detail.state, detail.reason ?? null]));
      seen.streams.push(entry);
      if (take === "frames" && detail.kind === "audio") void listen(entry, detail);
      else if (take === "frames") void watch(entry, detail);
      if (take === "numbers") void count(entry, detail);
      if (take === "canvas") {
        entry.canvas = document.body.appendChild(document.createElement("canvas"));
        detail.show(entry.canvas);
      }
      if (take === "track") {
        entry.video = document.body.appendChild(Object.assign(document.createElement("video"), { muted: true, autoplay: true }));
        entry.video.srcObject = new MediaStream([detail.track()]);
      }
    });
  },
  send: async (name, colour, options = {}) => {
    const sent = await sessions[name].session.send(globalThis.media.drawing(colour), options);
    const events = [];
    sent.addEventListener("ended", ({ detail }) => events.push(detail.error?.code ?? "ended"));
    outgoing[name] = { sent, events };
    return { ssrc: sent.ssrc, codec: sent.codec, kind: sent.kind };
  },
  /** Sends numbered pictures. */
  sendNumbered: async (name, { framerate, ...options }) => {
    const pictures = numbered(framerate);
    outgoing[name] = { sent: await sessions[name].session.send(pictures.track, { framerate, ...options }), events: [], pictures };
  },
  /** What becomes of what is sent: its state, why, bits a second, and the number of the last picture that was drawn. */
  outgoingState: (name) => {
    const { sent, pictures } = outgoing[name];
    return { state: sent.state, reason: sent.reason ?? null, bitrate: sent.bitrate, number: pictures?.number ?? null };
  },
  /** The number of the picture of somebody's that came last, and how many came. */
  lastNumber: (name, from) => {
    const entry = sessions[name].streams.findLast(({ incoming, gone }) => incoming.member.identity === from && !gone);
    return { number: entry?.number ?? null, frames: entry?.frames ?? 0 };
  },
  /** Sends a tone. */
  sendTone: async (name, frequency, options = {}) => {
    const context = new AudioContext();
    const [oscillator, out] = [context.createOscillator(), context.createMediaStreamDestination()];
    oscillator.frequency.value = frequency;
    oscillator.connect(out);
    oscillator.start();
    void context.resume();
    const sent = await sessions[name].session.send(out.stream.getAudioTracks()[0], options);
    return { ssrc: sent.ssrc, codec: sent.codec, kind: sent.kind };
  },
  /** Plays the sound that came first as a track, and listens to that. */
  playTone: async (name) => {
    const { incoming } = sessions[name].streams.find((entry) => entry.incoming.kind === "audio" && !entry.gone);
    const context = new AudioContext();
    const analyser = new AnalyserNode(context, { fftSize: 16384 });
    context.createMediaStreamSource(new MediaStream([incoming.track()])).connect(analyser);
    void context.resume();
    outgoing[`${name} played`] = { analyser, context };
  },
  /** The loudest tone of what is played, in Hz. */
  played: (name) => {
    const { analyser, context } = outgoing[`${name} played`];
    const levels = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(levels);
    const loudest = levels.indexOf(Math.max(...levels));
    return { frequency: (loudest * context.sampleRate) / analyser.fftSize, loud: levels[loudest] };
  },
  /** The tone that came of somebody lately, in Hz, and how loud it is. */
  heard: (name, from) => {
    const entry = sessions[name].streams.findLast(({ incoming, gone }) => incoming.member.identity === from && incoming.kind === "audio" && !gone);
    const lately = entry?.tones.slice(-50) ?? [];
    const sum = (place) => lately.reduce((total, item) => total + item[place], 0);
    return { pieces: entry?.frames ?? 0, frequency: sum(0) / Math.max(sum(1), 0.001), loud: sum(2) / Math.max(lately.length, 1) };
  },
  /** A connection whose channel is the session's, or a middle's. */
  channel: async (name, pc, { from, middle } = {}) => {
    pcs[pc] = new RTCPeerConnection();
    const channel = pcs[pc].createDataChannel("srtp", OPTIONS);
    if (middle !== undefined) return void srtp.between(name, channel, middle);
    sessions[name].session.connect(channel, from === undefined ? {} : { from: new Uint8Array(from) });
  },
  /** Packets of a session pass through the page here, which does with them what `middle` says. */
  between: (name, channel, middle) => {
    const { port1, port2 } = new MessageChannel();
    const state = { past: [], came: [], mode: middle, waiting: [] };
    middles[name] = state;
    channel.binaryType = "arraybuffer";
    const out = (packet) => channel.readyState === "open" && channel.send(packet);
    const alter = (packet) => packet.map((byte, at) => (at === packet.length - 20 ? byte ^ 1 : byte));
    /** So many bits a second pass, and so many bytes wait; what comes when there is no room is lost. */
    const throttle = (packet) => {
      const size = state.waiting.reduce((sum, { length }) => sum + length, 0);
      if (size + packet.length > state.mode.room) return [];
      state.waiting.push(packet);
      if (state.waiting.length === 1) drain();
      return [];
    };
    const drain = () => {
      const { bitrate } = state.mode;
      setTimeout(() => {
        out(state.waiting.shift());
        if (state.waiting.length > 0) drain();
      }, (8_000 * state.waiting[0].length) / bitrate);
    };
    const pass = (packet) => {
      state.past.push(packet);
      if (state.mode === "drop") return [];
      if (state.mode === "strange") return [new Uint8Array([...packet.subarray(0, -2), 0xff, 0xff])]; // an epoch that nobody has
      if (state.mode === "tamper") return [alter(packet)];
      if (state.mode === "replay") return [packet, packet, state.past[Math.floor(Math.random() * state.past.length)]];
      if (state.mode === "swap") return [new Uint8Array([...packet.subarray(0, 12), ...state.past[0].subarray(12)])];
      if (typeof state.mode === "object") return throttle(packet);
      if (state.mode === "mixed") return [alter(packet), packet, packet];
      return [packet];
    };
    port1.onmessage = ({ data }) => pass(new Uint8Array(data)).forEach(out);
    channel.onmessage = ({ data }) => {
      state.came.push(new Uint8Array(data));
      port1.postMessage(new Uint8Array(data));
    };
    sessions[name].session.connect(port2);
  },
  /** Bytes that wait in a middle. */
  waitingBytes: (name) => middles[name].waiting.reduce((sum, { length }) => sum + length, 0),
  /** How many RTCP packets came to a middle. */
  rtcpCame: (name) => middles[name].came.filter(([, type]) => type >= 192 && type <= 223).length,
  /** Whose streams are under another profile. */
  mismatches: (name) => sessions[name].mismatches,
  mode: (name, mode) => {
    middles[name].mode = mode;
  },
  /** The RTP packets that passed a middle, or came back to it: how many, and the epochs that they name. */
  passed: (name, way = "past") => {
    const packets = middles[name][way].filter(([, type]) => type < 192 || type > 223);
    const epochs = new Set(packets.map((packet) => packet.at(-2) * 256 + packet.at(-1))); // of AES-GCM the MKI is the end
    return { count: packets.length, epochs: [...epochs].sort((left, right) => left - right) };
  },
  offer: async (pc) => {
    await pcs[pc].setLocalDescription();
    return gathered(pcs[pc]);
  },
  answer: async (pc, offer) => {
    await pcs[pc].setRemoteDescription(offer);
    await pcs[pc].setLocalDescription();
    return gathered(pcs[pc]);
  },
  answered: (pc, answer) => pcs[pc].setRemoteDescription(answer),
  seen: async (name) =>
    sessions[name].streams.map(({ incoming, frames, colour, gone, canvas, video, states }) => {
      if (canvas !== undefined && canvas.width > 0) colour = colourOf(canvas, canvas.width, canvas.height);
      if (video !== undefined && video.videoWidth > 0) [colour, frames] = [colourOf(video, video.videoWidth, video.videoHeight), video.getVideoPlaybackQuality().totalVideoFrames];
      const { member, ssrc, codec, kind, state } = incoming;
      return { from: member.identity, ssrc, codec, kind, frames, colour, gone, state, states };
    }),
  /** All colours that were seen of somebody, and the longest time between two frames, in milliseconds; counted from now on again. */
  watched: (name, from) => {
    const entry = sessions[name].streams.findLast(({ incoming, gone }) => incoming.member.identity === from && !gone);
    if (entry === undefined) return { frames: 0, colours: [], longest: 0 };
    const at = entry.at.splice(0, Math.max(0, entry.at.length - 1));
    const gaps = at.slice(1).map((time, place) => time - at[place]);
    return { frames: at.length, colours: entry.colours.splice(0), longest: Math.max(0, ...gaps) };
  },
  /** Comes into a room of a relay: "", or the code of why not. */
  relay: async (name, url, hash) => {
    try {
      const relay = await sessions[name].session.relay(url, { certificateHashes: hash.length === 0 ? [] : [new Uint8Array(hash)] });
      relays[name] = { relay, events: [] };
      relay.addEventListener("ended", ({ detail }) => relays[name].events.push(detail.error?.code ?? "closed"));
      return "";
    } catch (error) {
      return error.code ?? String(error);
    }
  },
  /** The same packet as its sender, the way and its receiver have it; the last is found by its SRTP bytes. */
  sampleSent: async (name) => outgoing[name].sent.sample(),
  sampleHeard: async (name) => sessions[name].streams.findLast(({ gone }) => !gone).incoming.sample(),
  counts: (name) => sessions[name].session.counts(),
  state: (name) => ({ ended: sessions[name].session.ended, errors: sessions[name].errors, events: sessions[name].events }),
  stop: (name) => sessions[name].session.stop(),
};
