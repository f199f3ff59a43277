// What the checks of packets and frames share; they run in Node and in a page.

export const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

export function equal(got, expected, what) {
  const plain = (value) => (value instanceof Uint8Array ? toHex(value) : value);
  if (plain(got) !== plain(expected)) throw new Error(`${what}: expected ${plain(expected)}, got ${plain(got)}`);
}

/** That `work` is refused for `reason`, and nothing else happens. */
export async function refused(work, reason, what) {
  let got = "nothing refused";
  try {
    await work();
  } catch (error) {
    got = error.reason ?? String(error);
  }
  equal(got, reason, what);
}

/** Random numbers below 2^32 that a seed repeats (xorshift of Marsaglia). */
export function randomSource(seed) {
  let state = seed >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const below = (limit) => next() % limit;
  const bytes = (size) => Uint8Array.from({ length: size }, () => next() >>> 24);
  return { next, below, bytes };
}

/** All copies of `bytes` with one bit turned. */
export function* bitFlips(bytes) {
  for (let bit = 0; bit < 8 * bytes.length; bit += 1) {
    const altered = bytes.slice();
    altered[bit >> 3] ^= 0x80 >> (bit & 7);
    yield [bit, altered];
  }
}
