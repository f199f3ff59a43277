/** Starting a module worker under a strict Content Security Policy, and telling apart what can stop it. */
import { Failure } from "./failure.js";

/** A violation report may come a task or two after what it reports. */
const REPORT_MILLISECONDS = 100;

/** What the page's policy has blocked. */
export interface Violation {
  readonly origin: string;
  readonly directive: string;
}

/** The page's violations from now on. */
export interface Violations {
  /** The first one, if one comes within a moment. */
  first(): Promise<Violation | undefined>;
  stop(): void;
}

/** Listens for what the page's policy blocks. */
export function watchViolations(): Violations {
  const seen: Violation[] = [];
  const listener = ({ blockedURI, effectiveDirective }: SecurityPolicyViolationEvent): void => {
    const origin = URL.canParse(blockedURI) ? new URL(blockedURI).origin : blockedURI;
    seen.push({ origin, directive: effectiveDirective });
  };
  document.addEventListener("securitypolicyviolation", listener);
  return {
    first: async () => {
      if (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, REPORT_MILLISECONDS));
      return seen[0];
    },
    stop: () => document.removeEventListener("securitypolicyviolation", listener),
  };
}

interface Starting {
  /** The file's name in the asset folder. */
  readonly name: string;
  readonly stallTimeout: number;
  readonly signal: AbortSignal;
  readonly violations: Violations;
}

/**
 * Starts the worker; resolves at its first sign of life.
 *
 * Rejects with "trusted-types-blocked", "worker-blocked" (`details.directive` where the page's policy did it), "load-timeout", or the
 * signal's reason.
 */
export async function startWorker(assets: string, { name, stallTimeout, signal, violations }: Starting): Promise<Worker> {
  const url = assets + name;
  const worker = construct(url, name);
  const listening = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const late = new Failure("load-timeout", `expected ${name} to start within ${stallTimeout} ms`, { asset: name });
      timer = setTimeout(() => reject(late), stallTimeout);
      worker.addEventListener("message", () => resolve(), listening);
      worker.addEventListener(
        "error",
        (event) => {
          event.preventDefault();
          reject(new Failure("worker-blocked", "expected the worker to start, got an error"));
        },
        listening,
      );
      signal.addEventListener("abort", () => reject(signal.reason), listening);
      if (signal.aborted) reject(signal.reason);
    });
    return worker;
  } catch (error) {
    worker.terminate();
    if (!(error instanceof Failure) || error.code !== "worker-blocked") throw error;
    const violation = await violations.first();
    if (violation === undefined) throw error;
    const { directive } = violation;
    throw new Failure("worker-blocked", `expected the page's ${directive} to allow ${new URL(url).origin}`, { directive });
  } finally {
    clearTimeout(timer);
    listening.abort();
  }
}

function construct(url: string, name: string): Worker {
  const address = trusted(url);
  try {
    return new Worker(address as string, { type: "module", name: name === "worker.js" ? "roomkey" : "roomkey media" });
  } catch (error) {
    if (trustedTypes() !== undefined && error instanceof TypeError) {
      const text = "expected the page's trusted-types to allow the policy roomkey";
      throw new Failure("trusted-types-blocked", text, { policy: POLICY }, error);
    }
    throw new Failure("worker-blocked", "expected the worker to start, got an exception", {}, error);
  }
}

const POLICY = "roomkey";

// TypeScript's DOM library does not know Trusted Types yet.
interface TrustedTypePolicy {
  createScriptURL(url: string): unknown;
}
interface TrustedTypePolicyFactory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): TrustedTypePolicy;
}

function trustedTypes(): TrustedTypePolicyFactory | undefined {
  return (globalThis as { trustedTypes?: TrustedTypePolicyFactory }).trustedTypes;
}

// A policy's name can be used once per page, also by a second copy of this library: that one gets it from here.
const SHARED = Symbol.for("roomkey.trustedTypePolicy");

/** The worker's address as a TrustedScriptURL, or as it is where the page's policy lets us make none. */
function trusted(url: string): unknown {
  const factory = trustedTypes();
  if (factory === undefined) return url;
  const shared = globalThis as { [SHARED]?: TrustedTypePolicy };
  try {
    shared[SHARED] ??= factory.createPolicy(POLICY, { createScriptURL: ownWorker });
  } catch {
    return url; // enough where scripts need no trusted type; elsewhere `new Worker` refuses it, and that is told
  }
  return shared[SHARED].createScriptURL(url);
}

/** The only addresses that the policy blesses: files of the page's own origin with the names of our workers. */
function ownWorker(url: string): string {
  const { origin, pathname } = new URL(url);
  if (origin === location.origin && /\/(media-)?worker\.js$/.test(pathname)) return url;
  throw new TypeError("expected the address of a roomkey worker");
}
