// Inbox: what becomes of a chat message, whatever way it came.
// Spec: RFC 6121 5; XEP-0280, 0313, 0184, 0333, 0085, 0490.
// Owns: how far the archive has been read. Invariants: a message is shown once; a receipt answers only what came to this
// account; how far the archive was read moves only over what is stored.
// Not here: reading stanzas (`features/message`), the connection (`engine`).

import { makeDisplayed, makeReceipt, readMessage } from "./features/message.js";
import { readCarbon } from "./features/forwarded.js";
import { bare } from "./xmpp/jid.js";

/** Pages of the archive that the first log-in of a browser reads; older ones come as one scrolls. */
const FIRST_PAGES = 4;

export class Inbox {
  #own;
  #history;
  #settings;
  #archive;
  #connection;
  #tell;
  #catching = false;
  #later = null;

  constructor({ own, history, settings, archive, connection, tell }) {
    this.#own = own;
    this.#history = history;
    this.#settings = settings;
    this.#archive = archive;
    this.#connection = connection;
    this.#tell = tell;
  }

  /** Takes a live `<message/>` that is no page of the archive and no event. */
  async take(stanza) {
    const carbon = readCarbon(stanza, this.#own, Date.now());
    if (carbon === null) return;
    if (carbon) return this.#deliver(carbon.message, { out: carbon.sent, live: true, carbon: true });
    const value = readMessage(stanza, Date.now());
    const from = bare(value.from);
    if (value.type === "error") {
      const record = value.id && (await this.#history.fail(from, value.id, value.error));
      if (record) this.#tell({ kind: "messages", peer: from, keys: [record.key] });
      return;
    }
    if (value.type === "groupchat" || value.type === "headline") return;
    await this.#deliver(value, { out: from === this.#own && bare(value.to) !== this.#own, live: true });
  }

  /** Reads the archive from where it was last read, or its newest pages at first. */
  async catchUp() {
    this.#catching = true;
    this.#later = null;
    try {
      const last = await this.#settings.get("archive");
      if (last) await this.#after(last);
      else await this.#newest();
    } finally {
      this.#catching = false;
      if (this.#later) await this.#settings.set("archive", this.#later);
    }
  }

  async #after(last) {
    for (let after = last; ; ) {
      let page;
      try {
        page = await this.#archive.page({ after, max: 100 });
      } catch (error) {
        // XEP-0059 2.6: the archive no longer holds what we read last.
        if (error.reason === "item-not-found") return this.#newest();
        throw error;
      }
      await this.#store(page.items, true);
      if (page.last) await this.#settings.set("archive", (after = page.last));
      if (page.complete) return;
    }
  }

  async #newest() {
    let newest = null;
    for (let before = "", pages = 0; pages < FIRST_PAGES; pages += 1) {
      const page = await this.#archive.page({ before });
      await this.#store(page.items, false);
      newest ??= page.last;
      before = page.first;
      if (page.complete || !before) break;
    }
    if (newest) await this.#settings.set("archive", newest);
  }

  /** One page of a conversation further back. Returns `{ added, complete }`. */
  async older(peer) {
    const conversation = await this.#history.conversation(peer);
    if (conversation.complete) return { added: 0, complete: true };
    const before = conversation.oldest ?? (await this.#history.oldest(peer)) ?? "";
    const page = await this.#archive.page({ with: peer, before });
    const added = await this.#store(page.items, false);
    await this.#history.change(peer, { oldest: page.first ?? conversation.oldest, complete: page.complete });
    return { added, complete: page.complete };
  }

  /** Everything of this conversation has been seen: told to the other side and to our other devices. */
  async seen(peer, pep) {
    const read = await this.#history.readAll(peer);
    if (!read) return;
    this.#tell({ kind: "conversation", peer });
    const { last } = read;
    if (last.markable && last.mid) this.#connection.send(makeDisplayed(peer, last.mid));
    // Without PEP the read state stays in this browser.
    if (last.sid && pep) await pep.setRead(this.#own, peer, last.sid).catch(() => {});
  }

  async #store(items, unread) {
    let added = 0;
    const keys = new Map();
    for (const { message } of items) {
      if (message.type === "groupchat" || message.type === "error") continue;
      const out = bare(message.from) === this.#own;
      const record = await this.#deliver(message, { out, live: false, unread });
      if (!record) continue;
      added += 1;
      const peer = record.peer;
      keys.set(peer, [...(keys.get(peer) ?? []), record.key]);
    }
    for (const [peer, found] of keys) this.#tell({ kind: "messages", peer, keys: found, bulk: true });
    return added;
  }

  /** Files a message; returns its record if it was new. */
  async #deliver(value, { out, live, carbon = false, unread = live }) {
    const peer = bare(out ? value.to : value.from) || this.#own;
    // What the sender wrote stands before what our archive added, wherever a server leaves it standing.
    const sid = value.sids.findLast(([by]) => by === this.#own)?.[1] ?? null;
    if (live && !out && value.state) this.#tell({ kind: "typing", peer, on: value.state === "composing" });
    if (!out && value.received) await this.#marked(peer, value.received, "delivered", live);
    if (!out && value.displayed) await this.#marked(peer, value.displayed, "read", live);
    if (out && value.displayed && (await this.#history.readUntil(peer, value.displayed))) {
      this.#tell({ kind: "conversation", peer });
    }
    const result = await this.#history.take(value, { peer, out, sid, unread });
    const wanted = !out && !carbon && value.wantsReceipt && value.id && peer !== this.#own;
    if (wanted && (live || (unread && result.kind === "new"))) this.#connection.send(makeReceipt(bare(value.from), value.id));
    if (live && sid) await this.#reached(sid);
    if (result.record && result.kind !== "known" && (live || result.kind === "changed")) {
      this.#tell({ kind: "messages", peer, keys: [result.record.key] });
    }
    if (live && result.kind === "new" && !out) this.#tell({ kind: "arrived", peer, key: result.record.key });
    return result.kind === "new" ? result.record : null;
  }

  async #marked(peer, id, state, live) {
    const changed = await this.#history.mark(peer, id, state);
    if (changed.length > 0) this.#tell({ kind: "messages", peer, keys: changed.map((record) => record.key), bulk: !live });
  }

  /** The archive is known up to here, unless a page before it is still on its way. */
  async #reached(sid) {
    if (this.#catching) this.#later = sid;
    else await this.#settings.set("archive", sid);
  }
}
