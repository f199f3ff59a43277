/** Packets between a data channel that stays in the page and the media worker. They are protected on both sides of the page. */

/** Bytes that may wait in a channel: a quarter of a second at 4 Mbit/s. What comes later than that comes too late. */
const MAX_BUFFERED = 128 * 1024;

/** A port for the worker; `closed` hears that the channel is. */
export function relayed(channel: RTCDataChannel, closed: () => void): MessagePort {
  const { port1, port2 } = new MessageChannel();
  channel.binaryType = "arraybuffer";
  channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    if (data instanceof ArrayBuffer) port1.postMessage(data, [data]);
  });
  port1.addEventListener("message", ({ data }: MessageEvent<Uint8Array<ArrayBuffer>>) => {
    if (channel.readyState === "open" && channel.bufferedAmount + data.length <= MAX_BUFFERED) channel.send(data);
  });
  port1.start();
  channel.addEventListener("close", () => {
    port1.close();
    closed();
  });
  return port2;
}
