/**
 * Identities in IndexedDB.
 *
 * Database "roomkey": object store "identities", key a random database name, value `Sealed` (the identity's name).
 * One database of that random name per identity: "records", key a record's name, value `Sealed`; "keys", key a handle, value a
 * non-extractable private `CryptoKey`, or of a hybrid key both halves, ML-KEM's `Sealed` where WebCrypto cannot hold it.
 *
 * Each record is sealed by AES-GCM under a non-extractable key of its own, made for this one writing and stored beside it: when a
 * record is replaced or deleted, its key goes with it. The associated data binds identity and name, so records cannot change places.
 * This keeps state from application code and from casual reading, not from who has the disk: browsers store CryptoKeys unwrapped.
 *
 * A store is open under the Web Lock of its database name, so that one tab writes.
 */
import { CryptoHost, randomHex } from "./crypto.js";
import { type HeldKey, isHybrid } from "./crypto_hybrid.js";
import { commit, openDatabase, result, storageFailed } from "./database.js";
import { Failure } from "../failure.js";
import { pack, unpack } from "./packing.js";

type Bytes = Uint8Array<ArrayBuffer>;

const REGISTRY = "roomkey";
const REGISTRY_STORES = ["identities"];
const IDENTITY_STORES = ["records", "keys"];
const NAME_BYTES = 16;
const NONCE_BYTES = 12; // one use per key, so it could be constant; random costs nothing
/** A page that reloads finds its own lock held until the old worker has ended. */
const LOCK_MILLISECONDS = 2_000;

interface Sealed {
  readonly key: CryptoKey;
  readonly nonce: Bytes;
  readonly text: ArrayBuffer;
}

type StoredKey = CryptoKey | { readonly mlKem: CryptoKey | Sealed; readonly x25519: CryptoKey };

/** The identities that have a store here. */
export async function identities(): Promise<string[]> {
  return [...(await readRegistry()).keys()].sort();
}

/** Opens an identity's store and takes its lock. An empty store, left by a creation that was cut short, counts as none. */
export async function openStore(identity: string, create: boolean): Promise<IdentityStore> {
  return exclusively(async () => {
    const known = (await readRegistry()).get(identity);
    if (known === undefined && !create) throw new Failure("no-such-identity", "expected an identity that is stored here");
    const name = known ?? `${REGISTRY}-${randomHex(NAME_BYTES)}`;
    const unlock = await lock(name);
    try {
      if (known === undefined) await register(name, identity);
      const database = await openDatabase(name, IDENTITY_STORES);
      const store = await IdentityStore.load(database, identity, unlock);
      if (create && !store.empty) {
        database.close();
        throw new Failure("identity-exists", "expected an identity that is not stored here yet");
      }
      return store;
    } catch (error) {
      unlock();
      throw error;
    }
  });
}

/** Deletes an identity's store with all its keys; no error when there is none. */
export async function deleteStore(identity: string): Promise<void> {
  await exclusively(async () => {
    const name = (await readRegistry()).get(identity);
    if (name === undefined) return;
    const unlock = await lock(name);
    try {
      await result(indexedDB.deleteDatabase(name));
      const registry = await openDatabase(REGISTRY, REGISTRY_STORES);
      await commit(registry, REGISTRY_STORES, (transaction) => transaction.objectStore("identities").delete(name));
      registry.close();
    } finally {
      unlock();
    }
  });
}

/** One identity's records and kept keys. Reads and writes happen in the order of the calls. */
export class IdentityStore {
  readonly crypto = new CryptoHost();
  empty = true;
  readonly #database: IDBDatabase;
  readonly #identity: string;
  readonly #unlock: () => void;
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(database: IDBDatabase, identity: string, unlock: () => void) {
    this.#database = database;
    this.#identity = identity;
    this.#unlock = unlock;
  }

  static async load(database: IDBDatabase, identity: string, unlock: () => void): Promise<IdentityStore> {
    const store = new IdentityStore(database, identity, unlock);
    const transaction = database.transaction(IDENTITY_STORES);
    const [handles, keys, records] = await Promise.all([
      result(transaction.objectStore("keys").getAllKeys()),
      result(transaction.objectStore("keys").getAll()),
      result(transaction.objectStore("records").count()),
    ]);
    const held = await Promise.all(keys.map((key, index) => openKey(key as StoredKey, identity, String(handles[index]))));
    handles.forEach((handle, index) => store.crypto.keys.set(String(handle), held[index] as HeldKey));
    store.empty = records === 0 && keys.length === 0;
    return store;
  }

  /** A record, undefined where there is none (null would be no None in Python). */
  get(name: string): Promise<Bytes | undefined> {
    return this.#inOrder(async () => {
      const sealed = await result<Sealed | undefined>(this.#records().get(name));
      return sealed === undefined ? undefined : openSealed(sealed, this.#identity, name);
    });
  }

  /** Packed names and values, in turn, of all records whose name starts with `prefix`. */
  list(prefix: string): Promise<Bytes> {
    return this.#inOrder(async () => {
      const records = this.#records();
      const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`);
      const [names, values] = await Promise.all([result(records.getAllKeys(range)), result<Sealed[]>(records.getAll(range))]);
      const opened = await Promise.all(values.map((sealed, index) => openSealed(sealed, this.#identity, String(names[index]))));
      return pack(opened.flatMap((value, index) => [new TextEncoder().encode(String(names[index])), value]));
    });
  }

  /**
   * Writes all or nothing; durable when it resolves.
   *
   * @param puts - packed names and values, in turn
   * @param deletes - names of records
   * @param keep - handles whose keys are to last
   * @param drop - handles whose keys are to end
   */
  write(puts: Bytes, deletes: string[], keep: string[], drop: string[]): Promise<void> {
    return this.#inOrder(async () => {
      const fields = unpack(puts);
      const sealed: [string, Sealed][] = [];
      for (let index = 0; index < fields.length; index += 2) {
        const name = new TextDecoder().decode(fields[index] ?? undefined);
        sealed.push([name, await seal(fields[index + 1] ?? new Uint8Array(), this.#identity, name)]);
      }
      const kept: [string, StoredKey][] = [];
      for (const handle of keep) {
        const key = this.crypto.keys.get(handle);
        if (key === undefined) throw new Failure("key-not-found", "expected a private key that this host holds");
        kept.push([handle, await sealKey(key, this.#identity, handle)]);
      }
      // Only requests from here on: a transaction ends when it is left alone.
      await commit(this.#database, IDENTITY_STORES, (transaction) => {
        const records = transaction.objectStore("records");
        const keys = transaction.objectStore("keys");
        for (const [name, value] of sealed) records.put(value, name);
        for (const name of deletes) records.delete(name);
        for (const [handle, key] of kept) keys.put(key, handle);
        for (const handle of drop) keys.delete(handle);
      });
      this.crypto.forget(drop);
    });
  }

  /** Lets go of the lock, after what was asked before. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#last;
    this.#database.close();
    this.#unlock();
  }

  #records(): IDBObjectStore {
    return this.#database.transaction("records").objectStore("records");
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Failure("closed", "expected an open store"));
    const done = this.#last.then(work).catch((error: unknown) => {
      throw storageFailed(error);
    });
    this.#last = done.catch(() => undefined); // the caller gets the failure; the next call only waits
    return done;
  }
}

async function readRegistry(): Promise<Map<string, string>> {
  const registry = await openDatabase(REGISTRY, REGISTRY_STORES);
  try {
    const rows = registry.transaction("identities").objectStore("identities");
    const [names, values] = await Promise.all([result(rows.getAllKeys()), result<Sealed[]>(rows.getAll())]);
    const opened = await Promise.all(values.map((value, index) => openSealed(value, String(names[index]), REGISTRY)));
    return new Map(opened.map((identity, index) => [new TextDecoder().decode(identity), String(names[index])]));
  } finally {
    registry.close();
  }
}

async function register(name: string, identity: string): Promise<void> {
  const sealed = await seal(new TextEncoder().encode(identity), name, REGISTRY);
  const registry = await openDatabase(REGISTRY, REGISTRY_STORES);
  await commit(registry, REGISTRY_STORES, (transaction) => transaction.objectStore("identities").put(sealed, name));
  registry.close();
}

async function seal(value: Bytes, owner: string, name: string): Promise<Sealed> {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]);
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  return { key, nonce, text: await crypto.subtle.encrypt(parameters(nonce, owner, name), key, value) };
}

async function openSealed(sealed: Sealed, owner: string, name: string): Promise<Bytes> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(sealed.nonce, owner, name), sealed.key, sealed.text));
  } catch (error) {
    throw new Failure("storage-altered", "expected a record as it was written, authentication failed", {}, error);
  }
}

/** A key as it is stored: a half that JavaScript can read is sealed as records are. */
async function sealKey(key: HeldKey, owner: string, handle: string): Promise<StoredKey> {
  if (!isHybrid(key) || key.mlKem instanceof CryptoKey) return key as StoredKey;
  return { mlKem: await seal(key.mlKem, owner, `key ${handle}`), x25519: key.x25519 };
}

async function openKey(key: StoredKey, owner: string, handle: string): Promise<HeldKey> {
  if (key instanceof CryptoKey || key.mlKem instanceof CryptoKey) return key as HeldKey;
  return { mlKem: await openSealed(key.mlKem, owner, `key ${handle}`), x25519: key.x25519 };
}

function parameters(iv: Bytes, owner: string, name: string): AesGcmParams {
  const encode = (text: string): Bytes => new TextEncoder().encode(text);
  return { name: "AES-GCM", iv, additionalData: pack([encode("roomkey record"), encode(owner), encode(name)]) };
}

/** Takes the lock `name`, waiting a moment for a worker that is going away. Resolves to the function that lets go of it. */
function lock(name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const taken = new Promise<void>((release) => {
      const signal = AbortSignal.timeout(LOCK_MILLISECONDS);
      navigator.locks
        .request(name, { signal }, () => {
          resolve(release);
          return taken;
        })
        .catch((error: unknown) => {
          const failure = new Failure("in-use-in-another-tab", "expected nobody else to have this identity open", {}, error);
          reject(signal.aborted ? failure : storageFailed(error));
        });
    });
  });
}

/** Runs alone among all tabs: what looks up or changes the list of identities. */
function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks.request(REGISTRY, work).catch((error: unknown) => {
    throw storageFailed(error);
  }) as Promise<T>;
}
