/**
 * The media worker: every frame of a protected connection goes through it. It has keys by the port to the roomkey worker alone, and
 * tells the page how streams do, never what is in them.
 *
 * Each kind of media has a part of its own: SFrame on WebRTC is in `frames`, SRTP in `srtp_session`.
 */
import type { MediaReport, MediaRequest } from "../media_protocol.js";
import { Streams } from "./frames.js";
import { KeyPort } from "./key_port.js";
import { SrtpSessions } from "./srtp_session.js";

const report = (message: MediaReport): void => self.postMessage(message);

const sessions = new SrtpSessions(report);
let streams: Streams | undefined;
/** Streams that came before the port. */
const early: RTCRtpScriptTransformer[] = [];

self.addEventListener("message", ({ data }: MessageEvent<MediaRequest>) => {
  if (data.kind === "start") {
    if (streams !== undefined) return; // the first port counts: it comes from our own page code, before any other code has this worker
    const keys = new KeyPort(data.keys, sessions);
    streams = new Streams(keys);
    sessions.use(keys);
    void navigator.locks.request(data.life, () => {
      report({ kind: "holds-life" });
      return new Promise(() => undefined); // held until this worker ends, however it ends
    });
    for (const transformer of early.splice(0)) void streams.run(transformer);
  } else if (data.kind === "stop") {
    streams?.stop(data.protection);
  } else if (data.kind === "sample") {
    streams?.samples.ask(data);
  } else if (data.kind === "srtp") {
    sessions.hear(data);
  }
});

(self as unknown as DedicatedWorkerGlobalScope).addEventListener("rtctransform", ({ transformer }) => {
  if (streams === undefined) early.push(transformer);
  else void streams.run(transformer);
});

report({ kind: "alive" });
