// Acks: what the server has not confirmed, and how much of what it sent we have dealt with.
// Spec: XEP-0198 3, 4, 5.   Units: stanzas, modulo 2^32 (section 4).
// Owns: both counts and the queue of what was sent. Pure: no clock, no socket.
// Invariants: the queue holds exactly what was sent and is not confirmed; `inbound` counts only what is safely stored.
// Not here: sending again (`connection`), the outbox on disk (`store/outbox`).

const WRAP = 2 ** 32;

export class Acks {
  constructor() {
    /** The name under which the server lets us resume, or null. */
    this.id = null;
    /** How long it keeps the session, in seconds. */
    this.max = 0;
    this.on = false;
    this.inbound = 0;
    this.#confirmed = 0;
    this.#queue = [];
  }
  #confirmed;
  #queue;

  /** The server has switched it on. */
  enable(id, max) {
    this.on = true;
    this.id = id;
    this.max = max;
    this.inbound = 0;
    this.#confirmed = 0;
    this.#queue = [];
  }

  /** A stanza went out; `tag` is what `confirm` will name. */
  sent(markup, tag) {
    if (this.on) this.#queue.push({ markup: String(markup), tag });
  }

  /** A stanza of the server's is dealt with. */
  handled() {
    this.inbound = (this.inbound + 1) % WRAP;
  }

  /** The server has dealt with `h` stanzas: the tags of those newly confirmed. Null: it cannot have. */
  confirm(h) {
    const newly = (h - this.#confirmed + WRAP) % WRAP;
    if (!Number.isInteger(h) || newly > this.#queue.length) return null;
    this.#confirmed = h % WRAP;
    return this.#queue.splice(0, newly).map((entry) => entry.tag);
  }

  /** What is to be sent again after a resumption, in order. */
  unconfirmed() {
    return this.#queue.map((entry) => entry.markup);
  }

  /** How many stanzas are not confirmed. */
  get waiting() {
    return this.#queue.length;
  }

  /** Everything that a page after this one needs to resume, or null. */
  save() {
    if (!this.on || !this.id) return null;
    return { id: this.id, max: this.max, inbound: this.inbound, confirmed: this.#confirmed, queue: this.#queue };
  }

  /** What `save` of an earlier page returned. */
  static restore(saved) {
    const acks = new Acks();
    acks.on = true;
    acks.id = saved.id;
    acks.max = saved.max;
    acks.inbound = saved.inbound;
    acks.#confirmed = saved.confirmed;
    acks.#queue = saved.queue;
    return acks;
  }
}
