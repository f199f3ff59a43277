import type { PlainError } from "./protocol.js";

/**
 * A failure inside the library with a code of errors.py's table. The page makes a `RoomkeyError` of it (errors.ts), Python's side of
 * the worker its own (host/browser.py). The text says expected and got, without user data.
 */
export class Failure extends Error {
  readonly code: string;
  /** Plain values that help a program react. */
  readonly details: PlainError["details"];

  constructor(code: string, text: string, details: PlainError["details"] = {}, cause?: unknown) {
    super(text, cause === undefined ? undefined : { cause });
    this.name = "Failure";
    this.code = code;
    this.details = details;
  }

  /** As it crosses to the page. */
  plain(): PlainError {
    return { code: this.code, text: this.message, details: this.details };
  }
}

/** An error as a failure of ours; of what is none, only its kind is told. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const name = error instanceof Error ? error.name : typeof error;
  return new Failure("internal-error", `expected no failure but those that have codes, got ${name}`, {}, error);
}
