// Pictures: what people look like, by the hash of the bytes.
// Spec: XEP-0084. Owns: the store `pictures`. Bound: [`PICTURES_MAX`], the rest is fetched again.

import { settled } from "./database.js";

const PICTURES_MAX = 500;

export class Pictures {
  #db;

  constructor(db) {
    this.#db = db;
  }

  /** `{ hash, type, bytes }`, or undefined. */
  get(hash) {
    return this.#db.read(["pictures"], ({ pictures }) => settled(pictures.get(hash)));
  }

  async put(hash, { type, bytes }) {
    await this.#db.change(["pictures"], async ({ pictures }) => {
      if ((await settled(pictures.count())) >= PICTURES_MAX) await settled(pictures.clear());
      await settled(pictures.put({ hash, type, bytes }));
    });
  }
}
