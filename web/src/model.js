// Model: what one tab knows, as its parts show it: asked of the leader once, then kept by events.
// Owns: the maps below and who listens. Invariants: it changes only by what the leader tells and what lies on disk.
// Not here: the stream (`engine`), how anything looks (`ui`).

import { openDatabase, settled } from "./store/database.js";
import { History } from "./store/history.js";
import { Pictures } from "./store/pictures.js";
import { takeDraft } from "./place.js";
import { spoken } from "./xmpp/jid.js";

/** How long "is typing" is believed without news, in milliseconds. */
const TYPING_FOR = 30_000;
/** A tab that looks at nothing. */
const NOWHERE = { visible: false, peer: null };

export class Model {
  #tabs;
  #listeners = new Map();
  #db = null;
  #me = crypto.randomUUID();
  #attending = NOWHERE;
  #urls = new Map();

  constructor(tabs, home) {
    this.#tabs = tabs;
    this.home = home;
    this.#clear();
    tabs.listen((event) => this.#heard(event).catch((error) => console.error(event.kind, error)));
  }

  #clear() {
    this.jid = null;
    this.phase = "out";
    this.reason = null;
    this.me = {};
    this.roster = new Map();
    this.requests = new Map();
    this.presence = new Map();
    this.profiles = new Map();
    this.blocked = new Set();
    this.can = {};
    this.conversations = new Map();
    this.typing = new Map();
    this.history = null;
    this.pictures = null;
  }

  /** Calls `listener(detail)` when `topic` changes: account, phase, list, messages, person, me, arrived. */
  on(topic, listener) {
    if (!this.#listeners.has(topic)) this.#listeners.set(topic, new Set());
    this.#listeners.get(topic).add(listener);
    return () => this.#listeners.get(topic).delete(listener);
  }

  #emit(topic, detail) {
    for (const listener of this.#listeners.get(topic) ?? []) listener(detail);
  }

  /** Whether this tab is the one that leads. */
  get leads() {
    return this.#tabs.leads;
  }

  /** Asks the leader for something. */
  ask(method, ...args) {
    return this.#tabs.call(method, ...args);
  }

  /** Opens the account's history before the leader has said anything, so that something is shown at once. */
  async open(jid) {
    if (this.jid === jid && this.#db) return;
    this.#db?.close();
    this.#clear();
    this.#db = null;
    if (jid) {
      this.#db = await openDatabase(jid);
      this.history = new History(this.#db);
      this.pictures = new Pictures(this.#db);
      const left = takeDraft(jid);
      if (left) await this.history.change(left.peer, { draft: left.draft });
      const [conversations, roster, profiles, me] = await Promise.all([
        this.history.conversations(),
        ...["roster", "profiles", "me"].map((name) => this.#db.read(["settings"], ({ settings }) => settled(settings.get(name)))),
      ]);
      this.jid = jid;
      this.phase = "connecting";
      for (const conversation of conversations) this.conversations.set(conversation.peer, conversation);
      if (roster) this.#takeRoster(roster);
      this.profiles = new Map(profiles ?? []);
      this.me = me ?? {};
    }
    this.#emit("account", jid);
  }

  /** Asks the leader for all that is not on disk. */
  async refresh() {
    const state = await this.ask("state");
    if (state.jid !== this.jid) await this.open(state.jid);
    Object.assign(this, { phase: state.phase, me: state.me, can: state.can });
    this.#takeRoster(state.roster);
    this.presence = new Map(state.presence);
    this.profiles = new Map(state.profiles);
    this.blocked = new Set(state.blocked);
    this.#emit("phase");
    this.#emit("list");
    this.#emit("person", null);
    this.#emit("me");
    this.attend(this.#attending);
  }

  /** Sends a message of ours: on disk first, so that nothing is lost. Returns its record. */
  async send(peer, body, { reply, replaces, retracts } = {}) {
    const id = crypto.randomUUID();
    const record = await this.history.compose({ id, peer, body, reply, replaces, retracts }, Date.now());
    await this.#conversation(peer);
    this.#emit("list");
    this.ask("flush", peer, record?.key).catch(console.error);
    return record;
  }

  /** Keeps what is being written. */
  async keepDraft(peer, draft) {
    const before = this.conversations.get(peer);
    if ((before?.draft ?? "") === draft) return;
    this.conversations.set(peer, await this.history.change(peer, { draft }));
    this.#emit("list");
  }

  /** Says what this tab shows: `{ visible, peer }`, or null when it goes. */
  attend(what) {
    this.#attending = what ?? NOWHERE;
    this.ask("attend", this.#me, what).catch(() => {});
  }

  // What is read of people.

  /** The name to show. */
  name(jid) {
    if (jid === this.jid && this.me.nick) return this.me.nick;
    return this.roster.get(jid)?.name || this.profiles.get(jid)?.nick || spoken(jid, this.home);
  }

  /** The number or address to show beside a name. */
  number = (jid) => spoken(jid, this.home);

  /** Someone's picture as an address for `<img>`, or null. */
  async picture(jid) {
    const hash = jid === this.jid ? this.me.picture : this.profiles.get(jid)?.picture;
    if (!hash || !this.pictures) return null;
    if (!this.#urls.has(hash)) {
      const found = await this.pictures.get(hash);
      if (!found) return null;
      this.#urls.set(hash, URL.createObjectURL(new Blob([found.bytes], { type: found.type })));
    }
    return this.#urls.get(hash);
  }

  /** "here", "away", "xa", "dnd" or "none". */
  availability(jid) {
    const found = this.presence.get(jid);
    if (!found) return "none";
    return found.show === "" || found.show === "chat" ? "here" : found.show;
  }

  isContact(jid) {
    const item = this.roster.get(jid);
    return Boolean(item && (item.subscription !== "none" || item.asking));
  }

  /** Conversations, latest first. */
  sorted() {
    return [...this.conversations.values()]
      .filter((c) => c.lastAt > 0 || c.draft)
      .sort((a, b) => (b.lastAt || Infinity) - (a.lastAt || Infinity));
  }

  /** Unread messages of all conversations that are not blocked. */
  unread() {
    let count = 0;
    for (const c of this.conversations.values()) if (!this.blocked.has(c.peer)) count += c.unread;
    return count;
  }

  // What the leader tells.

  async #heard(event) {
    switch (event.kind) {
      case "leader":
      case "state":
        return this.refresh();
      case "account":
        await this.open(event.jid);
        return event.jid ? this.refresh() : undefined;
      case "phase":
        this.phase = event.phase;
        this.reason = event.reason ?? null;
        return this.#emit("phase");
      case "roster":
        this.#takeRoster(event.roster);
        this.#emit("list");
        return this.#emit("person", null);
      case "presence":
        if (event.presence) this.presence.set(event.jid, event.presence);
        else this.presence.delete(event.jid);
        return this.#person(event.jid);
      case "profile":
        this.profiles.set(event.jid, event.profile);
        return this.#person(event.jid);
      case "me":
        this.me = event.me;
        return this.#emit("me");
      case "blocked":
        this.blocked = new Set(event.jids);
        this.#emit("list");
        return this.#emit("person", null);
      case "typing":
        return this.#types(event.peer, event.on);
      case "conversation":
      case "messages":
        await this.#conversation(event.peer);
        this.#emit("list");
        if (event.kind === "messages") this.#emit("messages", event);
        else this.#emit("person", event.peer);
        return undefined;
      case "arrived":
        this.#types(event.peer, false);
        return this.#emit("arrived", event);
    }
    return undefined;
  }

  #person(jid) {
    this.#emit("list");
    this.#emit("person", jid);
  }

  #types(peer, on) {
    const before = this.typing.get(peer);
    clearTimeout(before);
    if (on) this.typing.set(peer, setTimeout(() => this.#types(peer, false), TYPING_FOR));
    else this.typing.delete(peer);
    if (on || before !== undefined) this.#person(peer);
  }

  #takeRoster({ items, requests }) {
    this.roster = new Map(items);
    this.requests = new Map(requests);
  }

  async #conversation(peer) {
    if (!this.history) return;
    const found = await this.history.conversation(peer);
    if (found.lastAt > 0 || found.draft) this.conversations.set(peer, found);
  }
}
