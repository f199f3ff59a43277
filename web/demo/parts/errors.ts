// A failure as the page shows it: one sentence and a stable code.

import { RoomkeyError } from "roomkey";
import type { PlainError } from "./story.js";

/** What the person or the browser said no to: no failure of Roomkey's, and to be tried again. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string, sentence: string) {
    super(sentence);
    this.code = code;
  }
}

export function explained(error: unknown): PlainError {
  if (RoomkeyError.is(error)) return { code: error.code, sentence: error.sentence, retryable: error.retryable };
  if (error instanceof Refusal) return { code: error.code, sentence: error.message, retryable: true };
  console.error(error); // a mistake of this page's own: the console is where its maker looks
  return { code: "unexpected", sentence: "Something unexpected went wrong on this page; nothing was lost.", retryable: true };
}
