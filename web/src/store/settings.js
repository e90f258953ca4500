// Settings: small values of an account by name: the FAST token, the roster, what was read how far.
// Owns: the store `settings`. Invariants: a password is never among them.

import { settled } from "./database.js";

export class Settings {
  #db;

  constructor(db) {
    this.#db = db;
  }

  /** The value of a name, or undefined. */
  get(name) {
    return this.#db.read(["settings"], ({ settings }) => settled(settings.get(name)));
  }

  set(name, value) {
    return this.#db.change(["settings"], ({ settings }) => settled(settings.put(value, name)));
  }

  delete(name) {
    return this.#db.change(["settings"], ({ settings }) => settled(settings.delete(name)));
  }
}
