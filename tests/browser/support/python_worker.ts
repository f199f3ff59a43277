// A worker for tests: boots as the roomkey worker does, then runs the Python code it is given.
import type { Manifest } from "../../../web/src/protocol.js";
import { boot } from "../../../web/src/worker/boot.js";
import { CryptoHost, supportedAlgorithms } from "../../../web/src/worker/crypto.js";
import { offerLibrary } from "../../../web/src/worker/crypto_ml_kem.js";
import { createHost } from "../../../web/src/worker/host.js";
import { mlKemLibrary } from "../../../web/src/worker/later.js";
import { MediaPort } from "../../../web/src/worker/media_port.js";

const assets = new URL("/roomkey/", self.location.href).href;
const stallTimeout = 30_000;

async function start() {
  const manifest = (await (await fetch(`${assets}assets-manifest.json`)).json()) as Manifest;
  offerLibrary(() => mlKemLibrary({ assets, manifest, stallTimeout }));
  const [pyodide, host] = await Promise.all([
    boot({ assets, manifest, stallTimeout, onProgress: () => undefined }),
    createHost(new MediaPort(new MessageChannel().port1)),
  ]);
  pyodide.registerJsModule("test_host", { host, CryptoHost, supportedAlgorithms });
  return pyodide;
}

const started = start();

self.onmessage = async ({ data }: MessageEvent<{ id: number; code: string }>) => {
  try {
    const value: unknown = await (await started).runPythonAsync(data.code);
    self.postMessage({ id: data.id, value });
  } catch (error) {
    self.postMessage({ id: data.id, error: error instanceof Error ? error.message : String(error) });
  }
};
