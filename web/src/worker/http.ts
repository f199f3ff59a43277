/**
 * Requests to delivery services by fetch: no cookies, no redirects, no cache, a time limit, and failures told apart. Aborting is the
 * caller's; a body that grows beyond the limit is refused while it comes.
 */
import { Failure } from "../failure.js";
import { type Violations, watchViolations } from "./violations.js";

/** Largest body read whole: a claim of sets for a hundred people, with room; larger answers are hostile. */
const MAX_BODY_BYTES = 32 * 1024 * 1024;
/** The second look at a service that refused us; it only decides which error is told. */
const PROBE_MILLISECONDS = 5_000;

type Bytes = Uint8Array<ArrayBuffer>;

/** An exchange under way: its answer, and the way to give it up. */
export interface Exchange<T> {
  readonly answer: Promise<T>;
  abort(): void;
}

/** An answer read whole; header names in lower case. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Bytes;
}

/** An answer whose body is still coming. */
export interface HttpStream {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** The next piece of the body, undefined at its end (null would be no None in Python). */
  next(): Promise<Bytes | undefined>;
  close(): void;
}

/** Sends a request and reads the answer whole, within `timeout` seconds. */
export function request(
  method: string,
  url: string,
  headers: Record<string, string>,
  body: Bytes | undefined,
  timeout: number,
): Exchange<HttpAnswer> {
  return exchange(timeout, async (signal, disarm) => {
    const response = await send(method, url, headers, body, signal);
    const answer = { status: response.status, headers: Object.fromEntries(response.headers), body: await readBody(response, url) };
    disarm();
    return answer;
  });
}

/** Sends a request and answers as soon as the head is there, within `timeout` seconds. */
export function stream(method: string, url: string, headers: Record<string, string>, timeout: number): Exchange<HttpStream> {
  return exchange(timeout, async (signal, disarm, abort) => {
    const response = await send(method, url, headers, undefined, signal);
    disarm(); // from here on the caller watches over the silence
    const reader = response.body?.getReader();
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      next: async () => {
        try {
          const piece = await reader?.read();
          return piece?.value;
        } catch (error) {
          if (signal.aborted) return undefined;
          throw new Failure("service-unreachable", "expected the stream to go on, it broke", { service: origin(url) }, error);
        }
      },
      close: abort,
    };
  });
}

type Work<T> = (signal: AbortSignal, disarm: () => void, abort: () => void) => Promise<T>;

function exchange<T>(timeout: number, work: Work<T>): Exchange<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(new Failure("timeout", `expected an answer within ${timeout} seconds`));
  }, timeout * 1000);
  const disarm = (): void => clearTimeout(timer);
  const abort = (): void => {
    disarm();
    controller.abort();
  };
  const answer = work(controller.signal, disarm, abort).catch((error: unknown) => {
    disarm();
    throw controller.signal.reason instanceof Failure ? controller.signal.reason : error;
  });
  return { answer, abort };
}

async function send(
  method: string,
  url: string,
  headers: Record<string, string>,
  body: Bytes | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const violations = watchViolations();
  try {
    return await fetch(url, {
      method,
      headers,
      body: body ?? null,
      signal,
      mode: "cors",
      credentials: "omit",
      redirect: "error",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw await explain(url, violations, error);
  } finally {
    violations.stop();
  }
}

/** Why a fetch was refused without a status: the page's own policy, the service's answer to this origin, or nobody there. */
async function explain(url: string, violations: Violations, cause: unknown): Promise<Failure> {
  const service = origin(url);
  if (await violations.seen(service)) {
    return new Failure("blocked-by-csp", `expected connect-src to allow ${service}`, { origin: service }, cause);
  }
  if (await answers(service, "cors")) {
    // It lets us read: so this one request or its answer got lost, and nobody knows whether it was done.
    return new Failure("service-unreachable", "expected an answer, the connection broke", { service }, cause);
  }
  if (await answers(service, "no-cors")) {
    return new Failure("origin-not-allowed", `expected the service to allow ${self.location.origin}`, { service }, cause);
  }
  return new Failure("service-unreachable", "expected an answer, got none", { service }, cause);
}

/** Whether anything comes back from the service's root: with "cors" something that we may read, with "no-cors" anything at all. */
async function answers(service: string, mode: "cors" | "no-cors"): Promise<boolean> {
  try {
    await fetch(service, { mode, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(PROBE_MILLISECONDS) });
    return true;
  } catch {
    return false;
  }
}

async function readBody(response: Response, url: string): Promise<Bytes> {
  const pieces: Bytes[] = [];
  let size = 0;
  try {
    for (const reader = response.body?.getReader(); reader !== undefined; ) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > MAX_BODY_BYTES) {
        await reader.cancel();
        throw new Failure("too-large", `expected an answer of at most ${MAX_BODY_BYTES} bytes`, { service: origin(url) });
      }
      pieces.push(value);
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure("service-unreachable", "expected the whole answer, it broke off", { service: origin(url) }, error);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    body.set(piece, offset);
    offset += piece.length;
  }
  return body;
}

function origin(url: string): string {
  return new URL(url).origin;
}
