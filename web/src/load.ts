import { fetchAsset } from "./assets.js";
import { Connection } from "./connection.js";
import { publicError } from "./errors.js";
import { Failure } from "./failure.js";
import { MediaLink } from "./media_link.js";
import { checkPage, missingFeatures } from "./preconditions.js";
import type { Manifest, PlainError, Report, Request } from "./protocol.js";
import { Roomkey } from "./roomkey.js";
import { startWorker, watchViolations } from "./start_worker.js";

/** What has been loaded so far. */
export interface LoadProgress {
  /** The file that made this step, or "python" and "roomkey" while they start. */
  readonly asset: string;
  /** Bytes loaded, of all files together, uncompressed. */
  readonly loaded: number;
  /** Bytes to load. */
  readonly total: number;
}

/** What `load` takes. */
export interface LoadOptions {
  /** Address of the asset folder, on this page's own origin. */
  readonly assets: string | URL;
  /** Lets this page ask for key material by `srtpKeys` and `exportSecret`. Default false. */
  readonly exportKeys?: boolean;
  /** Called as files arrive. */
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Gives up waiting; the work itself ends when nobody else waits for it. */
  readonly signal?: AbortSignal;
  /** Milliseconds without any progress after which loading has failed. Default 30,000. */
  readonly stallTimeout?: number;
}

const DEFAULT_STALL_MILLISECONDS = 30_000;
/** The worker watches over its downloads itself and knows which one stalls: it speaks first. */
const GRACE_MILLISECONDS = 2_000;
const MANIFEST = "assets-manifest.json";
const MANIFEST_FORMAT = 1;
const WORKER = "worker.js";
const MEDIA_WORKER = "media-worker.js";
const SCRIPTS = [WORKER, MEDIA_WORKER, "pyodide.mjs", "pyodide.asm.mjs"];
const DATA = ["pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "roomkey.zip"];
const SCRIPT_TYPE = /^(text|application)\/(x-)?javascript\s*(;|$)/i;

interface Shared {
  readonly roomkey: Promise<Roomkey>;
  readonly exportKeys: boolean;
  readonly listeners: Set<(progress: LoadProgress) => void>;
  readonly controller: AbortController;
  waiting: number;
}

const running = new Map<string, Shared>();

/**
 * Starts the worker with Python and roomkey, once per address of the asset folder: later calls with the same address get the same
 * `Roomkey` until it is closed. A load that failed can be tried again.
 *
 * Rejects with "insecure-context", "browser-too-old" (`details.missing`), "assets-cross-origin", "asset-not-found", "asset-altered",
 * "asset-wrong-type", "load-timeout" (these four: `details.asset`), "blocked-by-csp" (`details.origin`, `details.directive`),
 * "worker-blocked", "worker-not-protected", "trusted-types-blocked", or the signal's reason.
 */
export async function load(options: LoadOptions): Promise<Roomkey> {
  options.signal?.throwIfAborted();
  try {
    checkPage();
    const missing = await missingFeatures();
    if (missing.length > 0) {
      throw new Failure("browser-too-old", `expected ${missing.join(", ")}`, { missing: missing.join(", ") });
    }
    const shared = join(folderAddress(options.assets), options);
    return await wait(shared, options);
  } catch (error) {
    throw error instanceof Failure ? publicError(error) : error;
  }
}

/** The folder's absolute address, with a slash at its end. */
function folderAddress(assets: string | URL): string {
  if (!(typeof assets === "string" || assets instanceof URL) || !URL.canParse(String(assets), document.baseURI)) {
    throw new Failure("bad-argument", "assets: expected an address", { field: "assets" });
  }
  const url = new URL(assets, document.baseURI);
  if (url.origin !== location.origin) {
    throw new Failure("assets-cross-origin", `expected assets on ${location.origin}, got ${url.origin}`, { origin: url.origin });
  }
  url.search = "";
  url.hash = "";
  return url.href.endsWith("/") ? url.href : `${url.href}/`;
}

function join(assets: string, options: LoadOptions): Shared {
  const exportKeys = options.exportKeys ?? false;
  const present = running.get(assets);
  if (present !== undefined) {
    if (present.exportKeys === exportKeys) return present;
    throw new Failure("bad-argument", `expected exportKeys as in the first load of these assets, ${present.exportKeys}`);
  }
  const controller = new AbortController();
  const listeners = new Set<(progress: LoadProgress) => void>();
  const onProgress = (progress: LoadProgress): void => listeners.forEach((listener) => listener(progress));
  const stallTimeout = options.stallTimeout ?? DEFAULT_STALL_MILLISECONDS;
  const forget = (): void => {
    if (running.get(assets) === shared) running.delete(assets);
  };
  const roomkey = start({ assets, exportKeys, stallTimeout, signal: controller.signal, onProgress, onEnd: forget });
  const shared: Shared = { roomkey, exportKeys, listeners, controller, waiting: 0 };
  running.set(assets, shared);
  roomkey.catch(forget);
  return shared;
}

/** Waits for the shared load; the last one that gives up ends it. */
async function wait(shared: Shared, { signal, onProgress }: LoadOptions): Promise<Roomkey> {
  shared.waiting += 1;
  if (onProgress !== undefined) shared.listeners.add(onProgress);
  let stop: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal?.reason);
    signal?.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([shared.roomkey, aborted]);
  } finally {
    signal?.removeEventListener("abort", stop);
    if (onProgress !== undefined) shared.listeners.delete(onProgress);
    shared.waiting -= 1;
    if (signal?.aborted === true && shared.waiting === 0) shared.controller.abort(signal.reason);
  }
}

interface Start {
  readonly assets: string;
  readonly exportKeys: boolean;
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly onEnd: () => void;
}

async function start(options: Start): Promise<Roomkey> {
  const { assets, exportKeys, stallTimeout, signal } = options;
  const violations = watchViolations();
  const started: Worker[] = [];
  try {
    const manifest = await fetchManifest(assets, { stallTimeout, signal });
    const progress = counter(manifest, options.onProgress);
    await Promise.all(SCRIPTS.map((name) => checkScript(assets, name, manifest, { stallTimeout, signal, progress })));
    const life = `roomkey-worker-${crypto.randomUUID()}`;
    const begin = async (name: string): Promise<Worker> => {
      const worker = await startWorker(assets, { name, stallTimeout, signal, violations });
      started.push(worker);
      return worker;
    };
    const media = new MediaLink(await begin(MEDIA_WORKER));
    const worker = await begin(WORKER);
    const request: Request = { kind: "start", assets, manifest, settings: { exportKeys }, stallTimeout, life, media: media.connect() };
    await ready(worker, request, { stallTimeout, signal, progress });
    return new Roomkey(new Connection(worker, life, media), options.onEnd);
  } catch (error) {
    for (const worker of started) worker.terminate();
    const blocked = error instanceof Failure && error.code === "asset-not-found" ? await violations.first() : undefined;
    if (blocked !== undefined) {
      const { origin, directive } = blocked;
      throw new Failure("blocked-by-csp", `expected ${directive} to allow ${origin}`, { origin, directive }, error);
    }
    throw error;
  } finally {
    violations.stop();
  }
}

async function fetchManifest(assets: string, watch: { stallTimeout: number; signal: AbortSignal }): Promise<Manifest> {
  const sha256 = hexOfIntegrity(__ROOMKEY_MANIFEST_INTEGRITY__);
  const { bytes } = await fetchAsset(assets, MANIFEST, { sha256 }, watch);
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as Manifest; // ours: the hash is in this file
  if (manifest.format !== MANIFEST_FORMAT) {
    throw new Failure("asset-altered", `expected format ${MANIFEST_FORMAT}, got ${manifest.format}`, { asset: MANIFEST });
  }
  return manifest;
}

function hexOfIntegrity(integrity: string): string {
  const binary = atob(integrity.replace(/^sha256-/, ""));
  return Array.from(binary, (character) => character.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

/** Says how much of everything has come. */
function counter(manifest: Manifest, onProgress: (progress: LoadProgress) => void): (asset: string, bytes: number) => void {
  const total = [...SCRIPTS, ...DATA].reduce((sum, name) => sum + (manifest.assets[name]?.bytes ?? 0), 0);
  let loaded = 0;
  return (asset, bytes) => {
    loaded += bytes;
    onProgress({ asset, loaded, total });
  };
}

interface Watching {
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
  readonly progress: (asset: string, bytes: number) => void;
}

/** Fetches a script as the worker will get it, and checks hash, type and, for workers, their policy. */
async function checkScript(assets: string, name: string, manifest: Manifest, { progress, ...watch }: Watching): Promise<void> {
  const entry = manifest.assets[name];
  if (entry === undefined) throw new Failure("asset-not-found", `expected ${name} in the manifest`, { asset: name });
  const { headers } = await fetchAsset(assets, name, entry, { ...watch, onBytes: (bytes) => progress(name, bytes) });
  const type = headers.get("Content-Type") ?? "none";
  if (!SCRIPT_TYPE.test(type)) {
    throw new Failure("asset-wrong-type", `expected ${name} as text/javascript, got ${type}`, { asset: name });
  }
  if (name === WORKER || name === MEDIA_WORKER) checkPolicy(name, headers.get("Content-Security-Policy"));
}

/** A worker is bound by the policy that its own script came with, not by its page's. */
function checkPolicy(name: string, policy: string | null): void {
  const directives = new Map<string, string[]>();
  for (const part of (policy ?? "").split(";")) {
    const [name = "", ...values] = part.trim().toLowerCase().split(/\s+/);
    if (!directives.has(name)) directives.set(name, values); // the first one counts
  }
  const fallback = directives.get("default-src");
  const scripts = directives.get("script-src") ?? fallback;
  const unsafe = scripts?.filter((value) => value === "'unsafe-eval'" || value === "'unsafe-inline'" || value === "*") ?? [];
  const text = (expected: string): string => `expected ${name} with a Content-Security-Policy that ${expected}`;
  if (scripts === undefined) throw new Failure("worker-not-protected", text("has script-src"), { directive: "script-src" });
  if (unsafe.length > 0) throw new Failure("worker-not-protected", text(`leaves out ${unsafe.join(" ")}`), { directive: "script-src" });
  if (!directives.has("connect-src") && fallback === undefined) {
    throw new Failure("worker-not-protected", text("has connect-src"), { directive: "connect-src" });
  }
}

/** Has the worker boot; resolves when it is ready. Ends it when that fails. */
function ready(worker: Worker, request: Request, { stallTimeout, signal, progress }: Watching): Promise<void> {
  const listening = new AbortController();
  let stage = WORKER;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const done = new Promise<void>((resolve, reject) => {
    const touch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        reject(new Failure("load-timeout", `expected ${stage} to go on within ${stallTimeout} ms`, { asset: stage }));
      }, stallTimeout + GRACE_MILLISECONDS);
    };
    const hear = ({ data }: MessageEvent<Report>): void => {
      touch();
      if (data.kind === "ready") resolve();
      else if (data.kind === "failed") reject(failure(data.error));
      else if (data.kind === "progress") {
        stage = data.asset;
        progress(data.asset, data.bytes);
      }
    };
    const fail = (event: ErrorEvent): void => {
      event.preventDefault();
      reject(new Failure("worker-blocked", "expected the worker to start, got an error in its script"));
    };
    worker.addEventListener("message", hear, listening);
    worker.addEventListener("error", fail, listening);
    signal.addEventListener("abort", () => reject(signal.reason), listening);
    touch();
    worker.postMessage(request, request.kind === "start" ? [request.media] : []);
  });
  return done
    .catch((error: unknown) => {
      worker.terminate();
      throw error;
    })
    .finally(() => {
      clearTimeout(timer);
      listening.abort();
    });
}

function failure({ code, text, details }: PlainError): Failure {
  return new Failure(code, text, details);
}

