// Frames of one connection through our transform, or through one that changes nothing.

import { codecOf, cover, metadata, uncover } from "../../src/media/clear_bytes.js";
import { Refused } from "../../src/media/refused.js";
import { FrameReceiver, FrameSender, sframeEpoch } from "../../src/media/sframe.js";
import { SFRAME_SUITES } from "../../src/media/sframe_suites.js";

export interface DelayOptions {
  readonly direction: "send" | "receive";
  readonly sealed: boolean;
}

/** Whether the frame goes on. */
type Change = (frame: RTCEncodedVideoFrame) => Promise<boolean>;

const suite = SFRAME_SUITES.get(4)!;
const epoch = sframeEpoch(suite, 1n, 2, 1, new Uint8Array(suite.nk).fill(1));
const codec = (frame: RTCEncodedVideoFrame): NonNullable<ReturnType<typeof codecOf>> => codecOf("video", frame.getMetadata().mimeType ?? "")!;

/** A browser may begin a stream anew, which has counters of its own then. */
let contexts = 0n;

async function sealing(): Promise<Change> {
  const sender = await FrameSender.create(await epoch, 0, contexts++);
  return async (frame) => {
    const plain = new Uint8Array(frame.data);
    frame.data = cover(codec(frame), plain, await sender.protect(plain, metadata(codec(frame)))).buffer;
    return true;
  };
}

async function opening(): Promise<Change> {
  const receiver = new FrameReceiver();
  receiver.addEpoch(await epoch);
  return async (frame) => {
    try {
      const opened = await receiver.open(uncover(codec(frame), new Uint8Array(frame.data)), metadata(codec(frame)));
      frame.data = opened.frame.buffer;
      return true;
    } catch (error) {
      if (error instanceof Refused && error.reason === "replayed") return false; // packets that came twice make frames that come twice
      throw error;
    }
  };
}

async function run({ readable, writable, options }: RTCRtpScriptTransformer): Promise<void> {
  const { direction, sealed } = options as DelayOptions;
  const change: Change = sealed ? await (direction === "send" ? sealing() : opening()) : () => Promise.resolve(true);
  const writer = (writable as WritableStream<RTCEncodedVideoFrame>).getWriter();
  for await (const frame of readable as ReadableStream<RTCEncodedVideoFrame>) {
    if (await change(frame)) await writer.write(frame);
  }
}

(self as unknown as DedicatedWorkerGlobalScope).addEventListener("rtctransform", ({ transformer }) => {
  run(transformer).catch((error: unknown) => console.error(error)); // the page then measures nothing, and says so
});
