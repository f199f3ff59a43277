// A drawn moving picture, and what a decoded one shows.

export const [WIDTH, HEIGHT, RATE] = [320, 240, 20];

/** Quarters of three colours, and one as light as told. */
export function draw(context, colours, light, timestamp) {
  const all = [...colours, [light, light, light]];
  for (const [place, colour] of all.entries()) {
    context.fillStyle = `rgb(${colour.join()})`;
    context.fillRect((place % 2) * (WIDTH / 2), Math.floor(place / 2) * (HEIGHT / 2), WIDTH / 2, HEIGHT / 2);
  }
  return new VideoFrame(context.canvas, { timestamp, alpha: "discard" });
}

/** The colours in the middle of the four quarters. */
export function quarters(picture) {
  const canvas = new OffscreenCanvas(WIDTH, HEIGHT).getContext("2d", { willReadFrequently: true });
  canvas.drawImage(picture, 0, 0, WIDTH, HEIGHT);
  return [0, 1, 2, 3].map((place) => {
    const [x, y] = [WIDTH / 4 + (place % 2) * (WIDTH / 2), HEIGHT / 4 + Math.floor(place / 2) * (HEIGHT / 2)];
    return [...canvas.getImageData(x, y, 1, 1).data.subarray(0, 3)];
  });
}
