// Frames of one connection through our transform, or through one that changes nothing.

import { type Codec, codecOf, front, metadata, uncover, woven } from "../../src/media/clear_bytes.js";
import { Refused } from "../../src/media/refused.js";
import { FrameReceiver, FrameSender, sframeEpoch } from "../../src/media/sframe.js";
import { SFRAME_SUITES } from "../../src/media/sframe_suites.js";

export interface DelayOptions {
  readonly direction: "send" | "receive";
  readonly kind: "audio" | "video";
  readonly sealed: boolean;
  /** Whose frames they are that go out: the leaf in the tree of PEOPLE. */
  readonly leaf: number;
}

type Frame = RTCEncodedVideoFrame | RTCEncodedAudioFrame;
/** Whether the frame goes on. */
type Change = (frame: Frame, codec: Codec) => Promise<boolean>;

const suite = SFRAME_SUITES.get(4)!;
/** Leaves, and the bits of their numbers. */
const PEOPLE = [8, 3] as const;
const epoch = sframeEpoch(suite, 1n, ...PEOPLE, new Uint8Array(suite.nk).fill(1));

/** A browser may begin a stream anew, which has counters of its own then. */
let contexts = 0n;

async function sealing(leaf: number): Promise<Change> {
  const sender = await FrameSender.create(await epoch, leaf, contexts++);
  return async (frame, codec) => {
    const plain = new Uint8Array(frame.data);
    frame.data = woven(codec, plain, await sender.protect(plain, metadata(codec), front(codec, plain))).buffer;
    return true;
  };
}

async function opening(): Promise<Change> {
  const receiver = new FrameReceiver();
  receiver.addEpoch(await epoch);
  return async (frame, codec) => {
    try {
      const opened = await receiver.open(uncover(codec, new Uint8Array(frame.data)), metadata(codec));
      frame.data = opened.frame.buffer;
      return true;
    } catch (error) {
      if (error instanceof Refused && error.reason === "replayed") return false; // packets that came twice make frames that come twice
      throw error;
    }
  };
}

async function run({ readable, writable, options }: RTCRtpScriptTransformer): Promise<void> {
  const { direction, kind, sealed, leaf } = options as DelayOptions;
  const change: Change = sealed ? await (direction === "send" ? sealing(leaf) : opening()) : () => Promise.resolve(true);
  const writer = (writable as WritableStream<Frame>).getWriter();
  for await (const frame of readable as ReadableStream<Frame>) {
    if (await change(frame, codecOf(kind, frame.getMetadata().mimeType ?? "")!)) await writer.write(frame);
  }
}

(self as unknown as DedicatedWorkerGlobalScope).addEventListener("rtctransform", ({ transformer }) => {
  run(transformer).catch((error: unknown) => console.error(error)); // the page then measures nothing, and says so
});
