// A failure as the page shows it: one sentence and a stable code.

import { RoomkeyError } from "roomkey";
import type { PlainError } from "./story.js";

export function explained(error: unknown): PlainError {
  if (RoomkeyError.is(error)) return { code: error.code, sentence: error.sentence, retryable: error.retryable };
  console.error(error); // a mistake of this page's own: the console is where its maker looks
  return { code: "unexpected", sentence: "Something unexpected went wrong on this page; nothing was lost.", retryable: true };
}
