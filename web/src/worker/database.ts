/** IndexedDB in promises. A transaction lasts only while requests of it are pending, so nothing else may be awaited inside one. */
import { Failure } from "../failure.js";

const VERSION = 1;

/** Opens a database, made with these object stores when it is new. */
export function openDatabase(name: string, stores: readonly string[]): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = () => {
    for (const store of stores) request.result.createObjectStore(store);
  };
  return result(request);
}

/** A request's result. */
export function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(storageFailed(request.error));
  });
}

/** Makes the requests of `work` in one transaction; resolves when it is on disk, rejects when nothing has changed. */
export function commit(database: IDBDatabase, stores: readonly string[], work: (transaction: IDBTransaction) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction([...stores], "readwrite", { durability: "strict" });
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(storageFailed(transaction.error));
    try {
      work(transaction);
    } catch (error) {
      transaction.abort();
      reject(storageFailed(error));
    }
  });
}

/** A failure of storage as ours; one that is ours already stays. */
export function storageFailed(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const name = error instanceof Error ? error.name : "no reason";
  return new Failure("storage-failed", `expected the browser to store, got ${name}`, { reason: name }, error);
}
