/** Scripts of the asset folder that only some pages need: fetched when first used, compared with the manifest like all others. */
import { fetchAsset } from "../assets.js";
import { Failure } from "../failure.js";
import type { BootOptions } from "./boot.js";
import type { MlKemLibrary } from "./crypto_ml_kem.js";

const ML_KEM = "ml-kem.js";

/** ML-KEM-768 of the library. Rejects with "asset-not-found", "asset-altered", "load-timeout" (`details.asset`). */
export async function mlKemLibrary(options: Omit<BootOptions, "onProgress">): Promise<MlKemLibrary> {
  const { ml_kem768 } = (await checkedImport(ML_KEM, options)) as { ml_kem768: MlKemLibrary };
  return ml_kem768;
}

async function checkedImport(name: string, { assets, manifest, stallTimeout }: Omit<BootOptions, "onProgress">): Promise<unknown> {
  const entry = manifest.assets[name];
  if (entry === undefined) throw new Failure("asset-not-found", `expected ${name} in the manifest`, { asset: name });
  await fetchAsset(assets, name, entry, { stallTimeout });
  try {
    return await import(`${assets}${name}`);
  } catch (error) {
    throw new Failure("asset-not-found", `expected ${name} as a module`, { asset: name }, error);
  }
}
