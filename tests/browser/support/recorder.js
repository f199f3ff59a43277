/** Before any other script of a page: writes down all that the page says to workers and ports, and all that it hears of them. */
(() => {
  const record = (globalThis.recorded = { on: true, messages: 0, bytes: [], keys: 0 });

  /** All bytes and keys in a value, however deep. */
  function note(value, seen = new Set()) {
    if (value instanceof CryptoKey) record.keys += 1;
    if (typeof value === "string") record.bytes.push(new TextEncoder().encode(value));
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof ArrayBuffer) record.bytes.push(new Uint8Array(value.slice(0)));
    else if (ArrayBuffer.isView(value)) record.bytes.push(new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice());
    else if (value instanceof Map || value instanceof Set) for (const item of [...value].flat()) note(item, seen);
    else for (const name of Reflect.ownKeys(value)) noteProperty(value, name, seen);
  }

  function noteProperty(value, name, seen) {
    const { get, value: plain } = Reflect.getOwnPropertyDescriptor(value, name);
    note(get === undefined ? plain : undefined, seen);
  }

  function heard(value) {
    if (!record.on) return;
    record.messages += 1;
    note(value);
  }

  const watched = new WeakSet();
  function watch(target) {
    if (watched.has(target)) return;
    watched.add(target);
    EventTarget.prototype.addEventListener.call(target, "message", ({ data }) => heard(data));
  }

  for (const Kind of [Worker, MessagePort]) {
    const { postMessage } = Kind.prototype;
    Kind.prototype.postMessage = function (message, ...rest) {
      watch(this);
      heard(message);
      return postMessage.call(this, message, ...rest);
    };
    const { addEventListener } = EventTarget.prototype;
    Kind.prototype.addEventListener = function (...args) {
      watch(this);
      return addEventListener.apply(this, args);
    };
  }

  /** Whether these bytes stand anywhere in what was written down, as they are or in hex. */
  globalThis.isRecorded = (hex) => {
    const wanted = [Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16)), new TextEncoder().encode(hex)];
    const contains = (bytes, part) => {
      for (let at = 0; at + part.length <= bytes.length; at += 1) if (part.every((byte, place) => bytes[at + place] === byte)) return true;
      return false;
    };
    return record.bytes.some((bytes) => wanted.some((part) => contains(bytes, part)));
  };
  /** Writes down all that can be reached from a value, too. */
  globalThis.recordReachable = (...values) => values.forEach((value) => note(value));
})();
