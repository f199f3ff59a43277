// Makes a picture of one frame's bytes, as any program could that has them, whoever's they are.

const CODECS: Readonly<Record<string, string>> = { VP8: "vp8", VP9: "vp09.00.10.08", AV1: "av01.0.04M.08", H264: "avc1.42E01F" };

/** What came of it; "unable": this browser has no decoder for it. */
export type Decoded = "drawn" | "refused" | "unable";

/** Decodes a key frame onto the canvas, which shows nothing where that fails. */
export async function drawFrame(canvas: HTMLCanvasElement, codec: string, bytes: Uint8Array): Promise<Decoded> {
  const context = canvas.getContext("2d")!;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const config = { codec: CODECS[codec] ?? "", optimizeForLatency: true };
  if (typeof VideoDecoder === "undefined" || config.codec === "" || !(await VideoDecoder.isConfigSupported(config)).supported) return "unable";
  let drawn = false;
  const decoder = new VideoDecoder({
    output: (frame) => {
      context.drawImage(frame, 0, 0, canvas.width, canvas.height);
      frame.close();
      drawn = true;
    },
    error: () => undefined, // `flush` rejects as well
  });
  try {
    decoder.configure(config);
    decoder.decode(new EncodedVideoChunk({ type: "key", timestamp: 0, data: bytes }));
    await decoder.flush();
  } catch {
    return "refused"; // what it was given is no picture of this codec
  } finally {
    if (decoder.state !== "closed") decoder.close();
  }
  return drawn ? "drawn" : "refused";
}
