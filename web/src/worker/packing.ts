/**
 * The form in which batches cross between Python and JavaScript: one buffer each way, because every object that crosses costs
 * more than the bytes in it. host/browser.py has the other half.
 *
 *     struct { uint32 count; uint32 lengths[count]; opaque fields[]; } Packed;    // little-endian; length 0xffffffff: no value
 */

const NONE = 0xffffffff;

/** A field: bytes, or null where an operation has no result. */
export type Field = Uint8Array<ArrayBuffer> | null;

/** The fields of a packed batch: views into it, not copies. */
export function unpack(packed: Uint8Array<ArrayBuffer>): Field[] {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const count = view.getUint32(0, true);
  const fields = new Array<Field>(count);
  let offset = 4 + 4 * count;
  for (let index = 0; index < count; index += 1) {
    const length = view.getUint32(4 + 4 * index, true);
    if (length === NONE) {
      fields[index] = null;
      continue;
    }
    fields[index] = packed.subarray(offset, offset + length);
    offset += length;
  }
  if (offset !== packed.byteLength) throw new RangeError(`expected ${offset} packed bytes, got ${packed.byteLength}`);
  return fields;
}

/** One buffer of all fields. */
export function pack(fields: readonly (Uint8Array | null)[]): Uint8Array<ArrayBuffer> {
  let size = 4 + 4 * fields.length;
  for (const field of fields) size += field?.length ?? 0;
  const packed = new Uint8Array(size);
  const view = new DataView(packed.buffer);
  view.setUint32(0, fields.length, true);
  let offset = 4 + 4 * fields.length;
  fields.forEach((field, index) => {
    view.setUint32(4 + 4 * index, field === null ? NONE : field.length, true);
    if (field === null) return;
    packed.set(field, offset);
    offset += field.length;
  });
  return packed;
}

/** The packed fields in groups of `size`, one group per item; no field may be absent. */
export function items(packed: Uint8Array<ArrayBuffer>, size: number): Uint8Array<ArrayBuffer>[][] {
  const fields = unpack(packed);
  if (fields.length % size !== 0) throw new RangeError(`expected fields in groups of ${size}, got ${fields.length}`);
  const groups: Uint8Array<ArrayBuffer>[][] = [];
  for (let start = 0; start < fields.length; start += size) {
    groups.push(
      fields.slice(start, start + size).map((field) => {
        if (field === null) throw new RangeError("expected a value in every field");
        return field;
      }),
    );
  }
  return groups;
}
