/** The roomkey worker: boots Python, then passes calls to bridge.py and its answers and events back. */
import type { PyProxy } from "pyodide/ffi";
import { Failure } from "../failure.js";
import type { Answer, BridgeEvent, Report, Request, Settings } from "../protocol.js";
import { boot } from "./boot.js";
import { offerLibrary } from "./crypto_ml_kem.js";
import { createHost } from "./host.js";
import { mlKemLibrary } from "./later.js";
import { MediaPort } from "./media_port.js";

/** What bridge.start gives. */
interface Engine {
  call(id: number, method: string, args: object): Promise<Answer>;
  cancel(id: number): void;
  close(): Promise<void>;
}

type Start = Extract<Request, { kind: "start" }>;

let engine: Engine | "starting" | undefined;

const report = (message: Report): void => self.postMessage(message);

self.addEventListener("message", (message: MessageEvent<unknown>) => {
  const request = message.data;
  if (!isRequest(request)) return; // nobody to answer
  if (request.kind === "start") {
    if (engine === undefined) void start(request);
  } else if (engine !== undefined && engine !== "starting") {
    void serve(engine, request);
  }
});
report({ kind: "alive" });

async function start(request: Start): Promise<void> {
  engine = "starting";
  void navigator.locks.request(request.life, () => new Promise(() => undefined)); // held until this worker ends, however it ends
  try {
    const { assets, manifest, stallTimeout } = request;
    const onProgress = (asset: string, bytes: number): void => report({ kind: "progress", asset, bytes });
    offerLibrary(() => mlKemLibrary({ assets, manifest, stallTimeout }));
    const media = new MediaPort(request.media);
    const [pyodide, host] = await Promise.all([boot({ assets, manifest, stallTimeout, onProgress }), createHost(media)]);
    const bridge = pyodide.pyimport("roomkey.bridge") as PyProxy & {
      start(host: object, emit: (event: BridgeEvent) => void, settings: Settings): Engine;
    };
    const running = bridge.start(host, (event) => report({ kind: "event", event }), request.settings);
    let mediaCalls = 0;
    media.serve((method, args) => running.call(--mediaCalls, method, args)); // the page counts upwards
    engine = running;
    report({ kind: "ready" });
  } catch (error) {
    report({ kind: "failed", error: plain(error) });
    self.close();
  }
}

async function serve(running: Engine, request: Exclude<Request, Start>): Promise<void> {
  try {
    if (request.kind === "cancel") {
      running.cancel(request.id);
    } else if (request.kind === "close") {
      await running.close();
      report({ kind: "closed" });
    } else {
      report({ kind: "answer", id: request.id, answer: await call(running, request) });
    }
  } catch (error) {
    // The bridge never throws: Python itself is dead, and the page learns it by the lock.
    report({ kind: "failed", error: plain(error) });
    self.close();
  }
}

async function call(running: Engine, { id, method, args }: Extract<Request, { kind: "call" }>): Promise<Answer> {
  if (Array.isArray(args)) return refusal("bad-argument", "expected arguments by name, got a list");
  // Media keys go to the media worker over a port of its own, never to the page.
  if (method.startsWith("media.")) return refusal("no-such-method", "expected a method that pages may call");
  return running.call(id, method, args);
}

function refusal(code: string, text: string): Answer {
  return { ok: false, error: new Failure(code, text).plain() };
}

function isRequest(value: unknown): value is Request {
  if (typeof value !== "object" || value === null) return false;
  const { kind, id, method, args } = value as Record<string, unknown>;
  if (kind === "call") return typeof id === "number" && typeof method === "string" && typeof args === "object" && args !== null;
  if (kind === "cancel") return typeof id === "number";
  return kind === "close" || kind === "start"; // a start comes from our own page code, before any other code has the port
}

function plain(error: unknown) {
  if (error instanceof Failure) return error.plain();
  // Python's tracebacks may quote values: only the kind of error goes out.
  const name = error instanceof Error ? error.name : typeof error;
  return new Failure("internal-error", `expected the worker to go on, got ${name}`).plain();
}
