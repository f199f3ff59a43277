/**
 * Files of the asset folder, fetched and compared with the hash that the build recorded, by page and worker alike. This catches stale
 * and damaged deployments, not a lying server, which could replace the page too.
 */
import { Failure } from "./failure.js";
import type { AssetEntry } from "./protocol.js";

/** How to watch over one download. */
export interface Watch {
  /** Milliseconds without a byte after which it has failed. */
  readonly stallTimeout: number;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: (bytes: number) => void;
}

/** A file that is what the build made. */
export interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly headers: Headers;
}

/**
 * Fetches `name` from the folder `base` (absolute, with a slash at its end).
 *
 * Rejects with "asset-not-found", "asset-altered", "load-timeout", each naming the asset, or the signal's reason.
 */
export async function fetchAsset(base: string, name: string, expected: Pick<AssetEntry, "sha256">, watch: Watch): Promise<Asset> {
  const stall = new AbortController();
  const stalled = new Failure("load-timeout", `expected ${name} to go on arriving, got nothing for ${watch.stallTimeout} ms`, {
    asset: name,
  });
  let timer = setTimeout(() => stall.abort(stalled), watch.stallTimeout);
  const touch = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => stall.abort(stalled), watch.stallTimeout);
  };
  const signal = watch.signal === undefined ? stall.signal : AbortSignal.any([stall.signal, watch.signal]);
  try {
    const response = await fetch(base + name, { mode: "same-origin", redirect: "error", referrerPolicy: "no-referrer", signal });
    if (!response.ok) throw new Failure("asset-not-found", `expected ${name}, got status ${response.status}`, { asset: name });
    const bytes = await readAll(response, (size) => {
      touch();
      watch.onBytes?.(size);
    });
    const got = await sha256(bytes);
    if (got !== expected.sha256) {
      throw new Failure("asset-altered", `expected ${name} with hash ${expected.sha256}, got ${got}`, { asset: name });
    }
    return { bytes, headers: response.headers };
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (signal.aborted) throw signal.reason;
    throw new Failure("asset-not-found", `expected ${name}, got no answer`, { asset: name }, error);
  } finally {
    clearTimeout(timer);
  }
}

async function readAll(response: Response, onBytes: (size: number) => void): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for (const reader = response.body?.getReader(); reader !== undefined; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    size += value.length;
    onBytes(value.length);
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  return bytes;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
