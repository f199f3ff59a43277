/**
 * KIDs of members of an MLS group (RFC 9605 section 5.2); sframe.py has the same.
 *
 *      64-S-E bits   S bits   E bits
 *     <-----------> <------> <------>
 *     | context    | index  | epoch |
 */

/** Low bits of the epoch in a KID: EPOCH_BITS of sframe.py. */
export const EPOCH_BITS = 8;

/** How a group's KIDs are cut: S and E. */
export interface KidLayout {
  readonly indexBits: number;
  readonly epochBits: number;
}

export interface KidParts {
  readonly context: bigint;
  readonly senderIndex: number;
  /** The low E bits of the epoch. */
  readonly epochLow: number;
}

/** The KID of a sender's stream. Throws RangeError where a part does not fit its bits. */
export function encodeKid(context: bigint, senderIndex: number, epoch: bigint, { indexBits, epochBits }: KidLayout): bigint {
  const index = BigInt(senderIndex);
  if (index < 0n || index >> BigInt(indexBits) !== 0n) throw new RangeError(`expected an index of ${indexBits} bits, got ${senderIndex}`);
  const contextBits = BigInt(64 - indexBits - epochBits);
  if (context < 0n || context >> contextBits !== 0n) throw new RangeError(`expected a context of ${contextBits} bits`);
  return (context << BigInt(indexBits + epochBits)) + (index << BigInt(epochBits)) + lowBits(epoch, epochBits);
}

/** The parts of a KID. */
export function decodeKid(kid: bigint, { indexBits, epochBits }: KidLayout): KidParts {
  return {
    context: kid >> BigInt(indexBits + epochBits),
    senderIndex: Number(lowBits(kid >> BigInt(epochBits), indexBits)),
    epochLow: Number(lowBits(kid, epochBits)),
  };
}

const lowBits = (value: bigint, bits: number): bigint => value & ((1n << BigInt(bits)) - 1n);
