import { CODES, type Fault, type RoomkeyErrorCode } from "./codes.js";
import type { Failure } from "./failure.js";
import type { PlainError } from "./protocol.js";

export type { Fault, RoomkeyErrorCode } from "./codes.js";

// Symbol.for: two copies of the library on one page recognise each other's errors.
const BRAND = Symbol.for("roomkey.error");

/** A `RoomkeyError` as plain values, for `postMessage`, storage or a log. */
export interface PlainRoomkeyError extends PlainError {
  /** Always "RoomkeyError". */
  readonly name: string;
}

/** Every failure of this library, but for cancelled work, which rejects with the signal's reason (an `AbortError`). */
export class RoomkeyError extends Error {
  /** Stable, made for a switch. */
  readonly code: RoomkeyErrorCode;
  /** Who can mend it. */
  readonly fault: Fault;
  /** Whether trying again later can help. */
  readonly retryable: boolean;
  /** Seconds after which trying again makes sense, where a service said so. */
  readonly retryAfter: number | undefined;
  /** One sentence for the person in front of the screen. */
  readonly sentence: string;
  /** Plain values that help a program react: names of assets, services' addresses, counts. */
  readonly details: PlainError["details"];

  /** @internal */
  constructor(plain: PlainError, cause?: unknown) {
    super(plain.text === "" ? plain.code : `${plain.code}: ${plain.text}`, cause === undefined ? undefined : { cause });
    const known = plain.code in CODES;
    this.name = "RoomkeyError";
    this.code = known ? (plain.code as RoomkeyErrorCode) : "internal-error";
    const entry = CODES[this.code];
    this.fault = entry.fault;
    this.retryable = entry.retryable;
    this.sentence = entry.sentence;
    this.retryAfter = plain.retryAfter ?? undefined;
    this.details = known ? plain.details : { ...plain.details, code: plain.code };
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Whether `value` is one, also one made by another copy of this library. */
  static is(value: unknown): value is RoomkeyError {
    return typeof value === "object" && value !== null && BRAND in value;
  }

  /** The error that `toJSON` made plain, on the other side of a `postMessage`. */
  static from(plain: PlainError): RoomkeyError {
    return new RoomkeyError(plain);
  }

  /** The error as plain values: `postMessage` keeps only the text of an error object. */
  toJSON(): PlainRoomkeyError {
    const prefix = `${this.code}: `;
    const text = this.message.startsWith(prefix) ? this.message.slice(prefix.length) : "";
    return { name: this.name, code: this.code, text, details: this.details, retryAfter: this.retryAfter ?? null };
  }
}

/** The public error of a failure inside the library. */
export function publicError(failure: Failure): RoomkeyError {
  return new RoomkeyError(failure.plain(), failure.cause);
}
