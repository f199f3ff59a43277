// The page of the test worker: `run(code)` resolves to what the code's last expression gives, a plain value.
const policy = trustedTypes.createPolicy("roomkey", { createScriptURL: (url) => url });
const worker = new Worker(policy.createScriptURL("/python_worker.js"), { type: "module" });
const pending = new Map();
let last = 0;
worker.onmessage = ({ data }) => {
  const { resolve, reject } = pending.get(data.id);
  pending.delete(data.id);
  if ("error" in data) reject(new Error(data.error));
  else resolve(data.value);
};
worker.onerror = (event) => {
  for (const { reject } of pending.values()) reject(new Error(`worker: ${event.message}`));
};
globalThis.run = (code) =>
  new Promise((resolve, reject) => {
    last += 1;
    pending.set(last, { resolve, reject });
    worker.postMessage({ id: last, code });
  });
