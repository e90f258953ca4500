// Database: one IndexedDB for each account, and how to work in it.
// Spec: Indexed Database API 3.0.
// Owns: the schema and its versions. Invariants: a transaction does one thing whole or not at all; a password is in no
// store. Not here: what the rows mean (`history`, `settings`, `pictures`).

const VERSION = 1;

/** Opens the account's database, making it at first. */
export async function openDatabase(account) {
  const request = indexedDB.open(`switchboard:${account}`, VERSION);
  request.onupgradeneeded = () => {
    const db = request.result;
    const messages = db.createObjectStore("messages", { keyPath: "key", autoIncrement: true });
    messages.createIndex("place", ["peer", "at"]);
    messages.createIndex("sid", "sid");
    messages.createIndex("oid", ["peer", "oid"]);
    db.createObjectStore("conversations", { keyPath: "peer" });
    db.createObjectStore("outbox", { keyPath: "id" }).createIndex("at", "at");
    db.createObjectStore("settings");
    db.createObjectStore("pictures", { keyPath: "hash" });
  };
  return new Database(await settled(request));
}

/** Forgets an account's database. */
export function deleteDatabase(account) {
  return settled(indexedDB.deleteDatabase(`switchboard:${account}`));
}

/** The result of a request, as a promise. */
export function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => resolve(undefined);
  });
}

export class Database {
  #db;

  constructor(db) {
    this.#db = db;
    // Another tab logs out: let go, so that the data can be deleted.
    db.onversionchange = () => db.close();
  }

  close() {
    this.#db.close();
  }

  /**
   * Runs `work(stores)` in one transaction over the named stores and returns what it returned, once it is on disk.
   * `work` may await nothing but requests of these stores.
   */
  async change(names, work) {
    return this.#run(names, "readwrite", work);
  }

  /** The same, for reading. */
  async read(names, work) {
    return this.#run(names, "readonly", work);
  }

  async #run(names, mode, work) {
    const transaction = this.#db.transaction(names, mode);
    const stores = Object.fromEntries(names.map((name) => [name, transaction.objectStore(name)]));
    const done = new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("the transaction was given up"));
    });
    // An abort is reported through `done` below, or through the throw of `work`.
    done.catch(() => {});
    let value;
    try {
      value = await work(stores);
    } catch (error) {
      try {
        transaction.abort();
      } catch {
        // It has ended already.
      }
      throw error;
    }
    await done;
    return value;
  }
}
