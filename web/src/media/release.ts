/** A buffer that nobody reads any more, let go of at once: a stream's frames come faster than a collector, and fresh memory is slow. */
export function release(buffer: ArrayBuffer): void {
  if ("transfer" in buffer) (buffer as Transferable).transfer(0);
}

/** Of ECMAScript 2024; browsers have it (Chromium 114, Firefox 122, Safari 17.4). */
interface Transferable {
  transfer(size: number): ArrayBuffer;
}
