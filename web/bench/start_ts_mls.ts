/** From navigation to the first answered call: the suite, and a signature key made with it. */
import { createSuite } from "./ts_mls.js";

await (await createSuite()).signature.keygen();
Object.assign(globalThis, { ready: performance.now() });
