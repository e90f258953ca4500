// History: every message this browser has seen, the conversations they make, and the outbox.
// Owns: the stores `messages`, `conversations`, `outbox`. Units: times in milliseconds since 1970.
// Invariants: a message stands here once, whatever brought it (live, carbon, archive, our own hand); a message of ours
// and its place in the outbox are written together; unread counts are those of messages behind `readAt`.
// Not here: sending (`engine`), showing (`ui/conversation`).

import { settled } from "./database.js";

const ALL = ["messages", "conversations", "outbox"];
/** How states of a message of ours follow each other; a later one is never taken back by an earlier. */
const ORDER = ["failed", "sending", "sent", "delivered", "read"];
/** Characters of the last message that the list shows. */
const PREVIEW_MAX = 200;

const fresh = (peer) => ({
  peer,
  lastAt: 0,
  preview: null,
  unread: 0,
  readAt: 0,
  readSid: null,
  draft: "",
  oldest: null,
  complete: false,
});

const previewOf = (record) => ({
  body: record.body.slice(0, PREVIEW_MAX),
  out: record.out,
  state: record.state,
  kind: record.retracted ? "retracted" : record.encrypted ? "encrypted" : "text",
});

export class History {
  #db;

  constructor(db) {
    this.#db = db;
  }

  /** Every conversation. */
  conversations() {
    return this.#db.read(["conversations"], ({ conversations }) => settled(conversations.getAll()));
  }

  conversation(peer) {
    return this.#db.read(["conversations"], async ({ conversations }) => (await settled(conversations.get(peer))) ?? fresh(peer));
  }

  /** Up to `count` messages of a conversation that lie before `before` (`{ at, key }`, or the end), oldest first. */
  page(peer, before, count) {
    return this.#db.read(["messages"], ({ messages }) => {
      const upper = before ? [peer, before.at] : [peer, Infinity];
      const range = IDBKeyRange.bound([peer, -Infinity], upper);
      return new Promise((resolve, reject) => {
        const found = [];
        const request = messages.index("place").openCursor(range, "prev");
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const cursor = request.result;
          if (!cursor || found.length >= count) return resolve(found.reverse());
          const record = cursor.value;
          if (!before || record.at < before.at || record.key < before.key) found.push(record);
          cursor.continue();
        };
      });
    });
  }

  /** The archive id of the oldest message of a conversation that has one, or null. */
  oldest(peer) {
    return this.#db.read(["messages"], ({ messages }) => {
      const range = IDBKeyRange.bound([peer, -Infinity], [peer, Infinity]);
      return new Promise((resolve, reject) => {
        const request = messages.index("place").openCursor(range);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => {
          const cursor = request.result;
          if (!cursor || cursor.value.sid) return resolve(cursor?.value.sid ?? null);
          cursor.continue();
        };
      });
    });
  }

  /** The message that an id (its own, or the archive's) names in a conversation, or undefined. */
  named(peer, id) {
    return this.#db.read(["messages"], async ({ messages }) => {
      const found = await settled(messages.index("oid").get([peer, id]));
      if (found) return found;
      const archived = await settled(messages.index("sid").get(id));
      return archived?.peer === peer ? archived : undefined;
    });
  }

  /** The messages with these keys. */
  records(keys) {
    return this.#db.read(["messages"], async ({ messages }) => {
      const found = await Promise.all(keys.map((key) => settled(messages.get(key))));
      return found.filter(Boolean);
    });
  }

  /** A message of ours: kept, shown as sending, and in the outbox. Returns its record. */
  compose(message, at) {
    return this.#db.change(ALL, async ({ messages, conversations, outbox }) => {
      const { id, peer, body } = message;
      await settled(outbox.put({ ...message, at }));
      if (message.replaces || message.retracts) {
        const target = await byOid(messages, peer, message.replaces ?? message.retracts, true);
        if (!target) return null;
        return this.#alter({ messages, conversations }, target, message.retracts ? { retracted: true } : { body, edited: at });
      }
      const record = { peer, out: true, at, body, oid: id, sid: null, state: "sending", reply: message.reply ?? null };
      record.key = await settled(messages.add(record));
      const conversation = (await settled(conversations.get(peer))) ?? fresh(peer);
      Object.assign(conversation, { lastAt: at, preview: previewOf(record), draft: "", unread: 0, readAt: at });
      await settled(conversations.put(conversation));
      return record;
    });
  }

  /** What waits to be sent, in order. */
  outbox() {
    return this.#db.read(["outbox"], ({ outbox }) => settled(outbox.index("at").getAll()));
  }

  /** The exchange has these messages of ours. Returns the records that changed. */
  confirm(ids) {
    return this.#db.change(ALL, async ({ messages, conversations, outbox }) => {
      const changed = [];
      for (const id of ids) {
        const entry = await settled(outbox.get(id));
        if (!entry) continue;
        await settled(outbox.delete(id));
        const record = await byOid(messages, entry.peer, id, true);
        if (record) changed.push(await this.#advance({ messages, conversations }, record, "sent"));
      }
      return changed.filter(Boolean);
    });
  }

  /** A message of ours came back with an error. */
  fail(peer, id, reason) {
    return this.#db.change(ALL, async ({ messages, conversations, outbox }) => {
      await settled(outbox.delete(id));
      const record = await byOid(messages, peer, id, true);
      return record ? this.#alter({ messages, conversations }, record, { state: "failed", error: reason }) : null;
    });
  }

  /** Sends a failed message again: back into the outbox under its own id. */
  retry(key) {
    return this.#db.change(ALL, async ({ messages, conversations, outbox }) => {
      const record = await settled(messages.get(key));
      if (!record?.out || record.state !== "failed") return null;
      await settled(outbox.put({ id: record.oid, peer: record.peer, body: record.body, reply: record.reply, at: Date.now() }));
      return this.#alter({ messages, conversations }, record, { state: "sending", error: null });
    });
  }

  /**
   * Takes a message as `features/message` read it. `{ peer, out, sid, unread }`: whose conversation, who wrote it, its
   * archive id, and whether it counts as unread. Returns `{ kind: "new"|"changed"|"known"|"none", record }`.
   */
  take(value, { peer, out, sid, unread }) {
    return this.#db.change(ALL, async ({ messages, conversations, outbox }) => {
      const stores = { messages, conversations };
      const oid = value.origin ?? value.id;
      const target = value.replaces ?? value.retracts;
      if (target) {
        if (out && oid) await settled(outbox.delete(oid));
        const found = await byOid(messages, peer, target, out);
        if (!found || (value.replaces && found.retracted)) return { kind: "none" };
        const change = value.retracts ? { retracted: true, body: "" } : { body: value.body ?? "", edited: value.at };
        return { kind: "changed", record: await this.#alter(stores, found, change) };
      }
      if (value.body === null && !value.encrypted) return { kind: "none" };
      const known =
        (sid && (await settled(messages.index("sid").get(sid)))) ||
        (oid ? await byOid(messages, peer, oid, out) : sid && (await twin(messages, peer, out, value)));
      if (known && known.peer === peer && known.out === out) {
        if (out && oid) await settled(outbox.delete(oid));
        if (sid && !known.sid) {
          known.sid = sid;
          await settled(messages.put(known));
        }
        const record = out ? await this.#advance(stores, known, "sent") : null;
        return record ? { kind: "changed", record } : { kind: "known", record: known };
      }
      const record = {
        peer,
        out,
        at: value.at,
        body: value.body ?? "",
        oid: oid ?? null,
        sid: sid ?? null,
        state: out ? "sent" : null,
        reply: value.reply,
        encrypted: value.encrypted || undefined,
        markable: value.markable || undefined,
        from: out ? undefined : value.from,
        mid: value.id ?? undefined,
      };
      record.key = await settled(messages.add(record));
      const conversation = (await settled(conversations.get(peer))) ?? fresh(peer);
      if (record.at >= conversation.lastAt) Object.assign(conversation, { lastAt: record.at, preview: previewOf(record) });
      if (out) {
        conversation.unread = record.at >= conversation.readAt ? 0 : conversation.unread;
        conversation.readAt = Math.max(conversation.readAt, record.at);
      } else if (unread && record.at > conversation.readAt) conversation.unread += 1;
      await settled(conversations.put(conversation));
      return { kind: "new", record };
    });
  }

  /** The other side says that a message came (or, for `read`, that it and all before it were read). */
  mark(peer, id, state) {
    return this.#db.change(ALL, async ({ messages, conversations }) => {
      const found = (await byOid(messages, peer, id, true)) ?? (await bySid(messages, peer, id, true));
      if (!found) return [];
      const changed = [];
      const range = IDBKeyRange.bound([peer, state === "read" ? found.at - MARK_BACK : found.at], [peer, found.at]);
      for (const record of await settled(messages.index("place").getAll(range))) {
        const meant = record.key === found.key || state === "read";
        if (record.out && meant) changed.push(await this.#advance({ messages, conversations }, record, state));
      }
      return changed.filter(Boolean);
    });
  }

  /** Reads a conversation to its end. Returns `{ last }`, the last message of the other side, if anything was unread. */
  readAll(peer) {
    return this.#db.change(["messages", "conversations"], async ({ messages, conversations }) => {
      const conversation = await settled(conversations.get(peer));
      if (!conversation) return null;
      const last = await lastIncoming(messages, peer);
      if (!last || (conversation.unread === 0 && conversation.readSid === (last.sid ?? last.oid))) return null;
      Object.assign(conversation, { unread: 0, readAt: Math.max(conversation.readAt, last.at), readSid: last.sid ?? last.oid });
      await settled(conversations.put(conversation));
      return { last };
    });
  }

  /** Another device has read a conversation up to the message with this archive id or id. Returns whether that is news. */
  readUntil(peer, id) {
    return this.#db.change(["messages", "conversations"], async ({ messages, conversations }) => {
      const record = (await settled(messages.index("sid").get(id))) ?? (await byOid(messages, peer, id, false));
      const conversation = (await settled(conversations.get(peer))) ?? fresh(peer);
      if (!record || record.peer !== peer || record.at < conversation.readAt) return false;
      const behind = IDBKeyRange.bound([peer, record.at], [peer, Infinity], true);
      const later = await settled(messages.index("place").getAll(behind));
      Object.assign(conversation, { readAt: record.at, readSid: record.sid ?? id, unread: later.filter((m) => !m.out).length });
      await settled(conversations.put(conversation));
      return true;
    });
  }

  /** Changes fields of a conversation, such as its draft. */
  change(peer, fields) {
    return this.#db.change(["conversations"], async ({ conversations }) => {
      const conversation = (await settled(conversations.get(peer))) ?? fresh(peer);
      Object.assign(conversation, fields);
      await settled(conversations.put(conversation));
      return conversation;
    });
  }

  /** Makes a state of a message of ours later, never earlier. */
  async #advance(stores, record, state) {
    if (ORDER.indexOf(record.state) >= ORDER.indexOf(state)) return null;
    return this.#alter(stores, record, { state });
  }

  async #alter({ messages, conversations }, record, fields) {
    Object.assign(record, fields);
    if (record.retracted) record.body = "";
    await settled(messages.put(record));
    const conversation = await settled(conversations.get(record.peer));
    if (conversation && conversation.lastAt === record.at) {
      conversation.preview = previewOf(record);
      await settled(conversations.put(conversation));
    }
    return record;
  }
}

/** How far apart two clocks may be for the same message, in milliseconds. */
const TWIN_WITHIN = 60_000;
/** How far back a "read" reaches, in milliseconds: thirty days. */
const MARK_BACK = 30 * 24 * 3600 * 1000;

async function byOid(messages, peer, oid, out) {
  const found = await settled(messages.index("oid").getAll([peer, oid]));
  return found.find((record) => record.out === out);
}

/** A message without an id of its own that came before its archive id was known: the same words at about the same time. */
async function twin(messages, peer, out, value) {
  const range = IDBKeyRange.bound([peer, value.at - TWIN_WITHIN], [peer, value.at + TWIN_WITHIN]);
  const near = await settled(messages.index("place").getAll(range));
  return near.find((r) => r.out === out && !r.oid && !r.sid && r.body === (value.body ?? "") && Boolean(r.encrypted) === value.encrypted);
}

async function bySid(messages, peer, sid, out) {
  const found = await settled(messages.index("sid").get(sid));
  return found && found.peer === peer && found.out === out ? found : undefined;
}

function lastIncoming(messages, peer) {
  return new Promise((resolve, reject) => {
    const request = messages.index("place").openCursor(IDBKeyRange.bound([peer, -Infinity], [peer, Infinity]), "prev");
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      const cursor = request.result;
      if (!cursor || !cursor.value.out) return resolve(cursor?.value);
      cursor.continue();
    };
  });
}
