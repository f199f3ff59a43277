/** What the Python core gets from JavaScript: host/browser.py wraps this object. */
import { supportedAlgorithms } from "./crypto.js";
import { request, stream } from "./http.js";
import type { MediaPort } from "./media_port.js";
import { deleteStore, identities, openStore } from "./storage.js";

/** Makes the host of this worker; asks once which algorithms the browser has. */
export async function createHost(media: MediaPort) {
  return { algorithms: await supportedAlgorithms(), request, stream, identities, openStore, deleteStore, media };
}
