// The TLS presentation language (RFC 8446 section 3) with the vectors of RFC 9420 section 2.1.2, as far as
// web/docs/delivery-http.md and web/docs/other-clients.md use it.

/** An unsigned big-endian integer of so many bytes. */
export function uint(size, value) {
  const out = Buffer.alloc(size);
  let rest = BigInt(value);
  for (let i = size - 1; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn);
  if (rest !== 0n) throw new Error(`${value} does not fit ${size} bytes`);
  return out;
}

/** `opaque x<0..2^(8*size)-1>` */
export const opaque = (size, data) => Buffer.concat([uint(size, data.length), data]);

/** `x<V>` */
export function vector(data) {
  const { length } = data;
  if (length < 1 << 6) return Buffer.concat([uint(1, length), data]);
  if (length < 1 << 14) return Buffer.concat([uint(2, length | (1 << 14)), data]);
  return Buffer.concat([uint(4, length + 2 ** 31), data]);
}

/** Reads one struct after another; `done` says that nothing is left. */
export class Reader {
  #data;
  #at = 0;

  constructor(data) {
    this.#data = Buffer.from(data);
  }

  get done() {
    return this.#at === this.#data.length;
  }

  take(count) {
    if (this.#at + count > this.#data.length) throw new Error(`expected ${count} bytes more`);
    return this.#data.subarray(this.#at, (this.#at += count));
  }

  uint(size) {
    return this.take(size).reduce((value, byte) => value * 256n + BigInt(byte), 0n);
  }

  opaque(size) {
    return this.take(Number(this.uint(size)));
  }

  vector() {
    const first = Number(this.uint(1));
    const size = 1 << (first >> 6);
    if (size === 8) throw new Error("expected a length of 1, 2 or 4 bytes");
    const length = this.take(size - 1).reduce((value, byte) => value * 256 + byte, first & 0x3f);
    if (size > 1 && length < (size === 2 ? 1 << 6 : 1 << 14)) {
      throw new Error("expected the shortest form of a length");
    }
    return this.take(length);
  }

  /** Everything of a type until the end. */
  all(read) {
    const items = [];
    while (!this.done) items.push(read(this));
    return items;
  }

  /** A decoder of ts-mls, `(data, offset) => [value, length]`; answers with value and bytes. */
  foreign(decoder) {
    const found = decoder(new Uint8Array(this.#data), this.#at);
    if (found === undefined) throw new Error("the decoder does not read this");
    return { value: found[0], bytes: this.take(found[1]) };
  }
}
