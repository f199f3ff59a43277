// What the peers share: one request a line on stdin, one answer a line on stdout, in order; bytes as base64.
//
//   -> {"op": "process", "state": 7, "message": "<base64>"}
//   <- {"ok": {"state": 8, "kind": "commit"}}   or   {"error": {"name": "ValidationError", "message": "..."}}

import { createInterface } from "node:readline";

export const b64 = (bytes) => Buffer.from(bytes).toString("base64");
export const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

const held = new Map();
let last = 0;

/** Keeps a value here; its number stands for it in requests. */
export const hold = (value) => (held.set(++last, value), last);

export function get(number) {
  if (!held.has(number)) throw new Error(`nothing is held under ${number}`);
  return held.get(number);
}

/** What core-crypto's errors say beside their names. */
const details = ({ inner }) =>
  JSON.stringify(inner, (_, value) => (typeof value === "bigint" ? value.toString() : value)) ?? "";

/** Answers requests until stdin ends. */
export async function serve(operations) {
  const all = { ...operations, drop: async ({ numbers }) => (numbers.forEach((number) => held.delete(number)), {}) };
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const { op, ...request } = JSON.parse(line);
    let answer;
    try {
      if (!(op in all)) throw new Error(`no operation ${op}`);
      answer = { ok: await all[op](request) };
    } catch (error) {
      answer = { error: { name: error.constructor.name, message: `${error.message} ${details(error)}`.trim() } };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}
