/** What tests run in a person's page: the API as the page gets it, results and errors as plain values, and what was heard. */
import { load, RoomkeyError } from "/roomkey/index.js";

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** JSON's kinds of values only: bytes in hex, epochs as numbers, dates as ISO text, errors as their parts. */
function plain(value) {
  if (RoomkeyError.is(value)) {
    const { code, fault, retryable, sentence, message, details } = value;
    return { code, fault, retryable, sentence, message, details: { ...details } };
  }
  if (value instanceof Error) return { code: value.name, message: value.message, sentence: "", details: {} };
  if (value instanceof Uint8Array) return hex(value);
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
  }
  return value ?? null;
}

/** What was heard, in order: [who, type, detail]. */
const heard = [];
const listening = new WeakSet();

function listen(target, who, types) {
  if (listening.has(target)) return target;
  listening.add(target);
  for (const type of types) target.addEventListener(type, ({ detail }) => heard.push([who, type, detail]));
  return target;
}

/** Remembers the conference, so that later steps find it by name, and reads its messages from the first on. */
function join(conference) {
  const { name } = conference;
  if (globalThis.calls[name] === conference) return;
  globalThis.calls[name] = conference;
  listen(conference, name, ["epoch", "members", "message", "successor", "upgrade", "ended", "error"]);
  const texts = (globalThis.texts[name] = []);
  void (async () => {
    for await (const message of conference.messages()) texts.push(new TextDecoder().decode(message.data));
    heard.push([name, "read", texts.length]);
  })().catch((error) => heard.push([name, "reader", error]));
}

function became(identity) {
  identity.addEventListener("conference", ({ detail }) => join(detail));
  globalThis.me = listen(identity, identity.identity, ["invitation", "stock", "error"]);
}

Object.assign(globalThis, {
  RoomkeyError,
  calls: {},
  texts: {},
  heard,
  /** Loads the library. */
  start: async (options) => {
    globalThis.roomkey = await load({ assets: "/roomkey/", exportKeys: true, ...options });
    listen(globalThis.roomkey, "roomkey", ["error"]);
  },
  became,
  create: async (name, enrolment, suites) => became(await globalThis.roomkey.createIdentity(name, { enrolment, suites })),
  open: async (name) => {
    became(await globalThis.roomkey.openIdentity(name));
    (await globalThis.me.conferences()).forEach(join);
  },
  fetchAll: async (names) => {
    const { keys, missing } = await globalThis.me.fetchInitKeys(names);
    if (missing.length > 0) throw missing[0].error;
    return keys;
  },
  /** What a conference looks like now; what it holds in keys, if it goes on. */
  look: async (name) => {
    const { epoch, status, members, verification, suite, ordering } = globalThis.calls[name];
    const state = { epoch, status, members: members.map(({ identity }) => identity).sort(), digits: verification.digits };
    return { ...state, suite, ordering };
  },
  keysOf: async (name) => {
    const { epoch, keys } = await globalThis.calls[name].srtpKeys({ profile: "SRTP_AEAD_AES_128_GCM" });
    return { epoch, keys: Object.fromEntries(keys.map((key) => [key.identity, [key.masterKey, key.masterSalt]])) };
  },
  say: (name, text) => globalThis.calls[name].send(new TextEncoder().encode(text)),
  attempt: async (work) => {
    try {
      return { value: plain(await work()) };
    } catch (error) {
      return { error: plain(error) };
    }
  },
});
globalThis.ready = true;
