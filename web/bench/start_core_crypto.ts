/** From navigation to the first answered call: the module compiled, one client with its credential in memory. */
import { createCoreCrypto } from "./core_crypto.js";

await createCoreCrypto();
Object.assign(globalThis, { ready: performance.now() });
