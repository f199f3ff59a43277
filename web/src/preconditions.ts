/** What a page and its browser must have before anything is fetched. */
import { Failure } from "./failure.js";

/** Refuses pages that have no WebCrypto and no locks, because they came over plain http. */
export function checkPage(): void {
  if (!isSecureContext) throw new Failure("insecure-context", `expected https or localhost, got ${location.protocol}`);
}

/** Names of what this browser lacks; empty where it will do. */
export async function missingFeatures(): Promise<string[]> {
  const needed: [string, boolean][] = [
    ["WebAssembly", typeof WebAssembly === "object" && typeof WebAssembly.instantiateStreaming === "function"],
    ["WebAssembly exceptions", typeof WebAssembly === "object" && "Tag" in WebAssembly],
    ["Worker", typeof Worker === "function"],
    ["IndexedDB", typeof indexedDB === "object"],
    ["Web Locks", "locks" in navigator],
    ["Web Cryptography", typeof crypto === "object" && "subtle" in crypto],
    ["AbortSignal.any", "any" in AbortSignal],
    ["URL.canParse", "canParse" in URL],
  ];
  const missing = needed.filter(([, present]) => !present).map(([name]) => name);
  if (missing.includes("Web Cryptography")) return missing;
  for (const [name, usage] of [["X25519", "deriveBits"], ["Ed25519", "sign"]] as const) {
    if (!(await has(name, usage))) missing.push(name);
  }
  return missing;
}

/** Suite 1 is every conference's common ground, so a browser must have both its curves. */
async function has(name: string, usage: KeyUsage): Promise<boolean> {
  try {
    await crypto.subtle.generateKey({ name }, false, [usage]);
    return true;
  } catch {
    return false; // the answer to the question
  }
}
