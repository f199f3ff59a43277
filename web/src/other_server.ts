/**
 * Tells a wrong address from a silent one. A worker that is fit for isolated pages (Cross-Origin-Embedder-Policy) cannot: to it, a web
 * server that knows nothing of us looks like nobody. The page can, unless it is isolated itself.
 */
import { RoomkeyError } from "./errors.js";

const PROBE_MILLISECONDS = 5_000;

/** The error to tell in place of "service-unreachable" when something answers there: every delivery service lets us read who it is. */
export async function otherServer(error: unknown, signal?: AbortSignal): Promise<RoomkeyError | undefined> {
  if (!(error instanceof RoomkeyError) || error.code !== "service-unreachable" || signal?.aborted === true) return undefined;
  const { service } = error.details;
  if (typeof service !== "string") return undefined;
  try {
    await fetch(service, {
      mode: "no-cors",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PROBE_MILLISECONDS),
    });
  } catch {
    return undefined;
  }
  const text = "expected an answer that this page may read";
  return new RoomkeyError({ code: "not-a-delivery-service", text, details: { service } }, error);
}
