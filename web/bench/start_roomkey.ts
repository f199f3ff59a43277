/** From navigation to the first answered call: `load()`, then one call into Python and back. */
import { load } from "roomkey";

const roomkey = await load({ assets: "/roomkey/" });
await roomkey.identities();
Object.assign(globalThis, { ready: performance.now() });
