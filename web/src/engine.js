// Engine: the tab that leads: the account, its connection, and who hears of what. Other tabs ask it through `tabs`.
// Spec: RFC 6121 (what a client does once it is bound); XEP-0280, 0313, 0191, 0163, 0490.
// Owns: the connection and the rooms of one account. Invariants: the password is held in memory until the exchange has
// answered, and never stored; a stanza is dealt with once what it brought is on disk.
// Not here: chat messages (`inbox`), anything that is seen (`ui`).

import { Blocking } from "./features/blocking.js";
import { Archive } from "./features/forwarded.js";
import { understood } from "./features/discovery.js";
import { makeMessage, makeState } from "./features/message.js";
import { Pep } from "./features/pep.js";
import { People } from "./people.js";
import { Presence, makePresence } from "./features/presence.js";
import { answerQuery } from "./features/queries.js";
import { Roster } from "./features/roster.js";
import { Inbox } from "./inbox.js";
import { Newcomer } from "./newcomer.js";
import { account, agent, forget, remember, takeSession } from "./place.js";
import { deleteDatabase, openDatabase } from "./store/database.js";
import { History } from "./store/history.js";
import { Pictures } from "./store/pictures.js";
import { Settings } from "./store/settings.js";
import { Connection, RequestFailed } from "./xmpp/connection.js";
import { local } from "./xmpp/jid.js";
import { dropToken } from "./xmpp/login.js";
import { NS } from "./xmpp/ns.js";
import { x } from "./xmpp/xml.js";

export class Engine {
  #place;
  #tell;
  #connection = null;
  #jid = null;
  #phase = "out";
  #rooms = null;
  #password;
  #newcomer;
  #features = new Set();
  #inFlight = new Set();
  #tabs = new Map();

  /** `place`: `{ url, domain }`; `tell(event)` reaches every tab. */
  constructor(place, tell) {
    this.#place = place;
    this.#newcomer = new Newcomer(place);
    this.#tell = tell;
  }

  /** Goes on with the account that this browser is logged in to, if there is one. */
  async begin() {
    const jid = account();
    if (jid) await this.#open(jid).then(() => this.#connect(jid), console.error);
  }

  // What tabs ask.

  /** Everything that is not on disk. */
  state() {
    const rooms = this.#rooms;
    return {
      jid: this.#jid,
      phase: this.#phase,
      me: rooms?.people.me ?? {},
      roster: rooms?.roster.save() ?? { items: [], requests: [] },
      presence: rooms?.presence.all() ?? [],
      profiles: [...(rooms?.people.profiles ?? [])],
      blocked: rooms ? [...rooms.blocking.jids] : [],
      can: this.#can(),
    };
  }

  /** Logs in by password. Resolves once logged in; rejects with the reason. */
  logIn({ name, password }) {
    this.#connection?.stop();
    this.#password = password;
    return new Promise((resolve, reject) => this.#connect(`${name}@${this.#place.domain}`, { resolve, reject }));
  }

  /** Shows an invite; returns `{ number }`, the number that it reserves. */
  invited(token) {
    return this.#newcomer.show(token);
  }

  /** Takes the number of the invite, logs in, and says our name. */
  async register({ number, nick, password }) {
    const given = await this.#newcomer.take(number, password);
    await this.logIn({ name: given, password });
    if (nick) await this.setMe({ nick }).catch(() => {});
    return given;
  }

  /** Logs out: the token is worth nothing from now on, and what this browser knows is deleted. `everywhere`: on every device. */
  async logOut({ everywhere }) {
    const jid = this.#jid;
    const token = await this.#rooms?.settings.get("token");
    if (everywhere) await this.#connection.request("set", undefined, x("revoke", { xmlns: NS.tokens }));
    await this.#connection?.stop();
    this.#close();
    forget();
    this.#tell({ kind: "account", jid: null });
    await deleteDatabase(jid);
    if (!everywhere && token) await dropToken(this.#place, { name: local(jid), ...token }, agent()).catch(() => {});
  }

  /** Sends what waits. Called after a tab has put something into the outbox. */
  async flush(peer, key) {
    if (peer) this.#tell({ kind: "messages", peer, keys: key ? [key] : [] });
    if (this.#phase === "online") await this.#flush();
  }

  typing(peer, state) {
    this.#connection?.send(makeState(peer, state));
  }

  seen(peer) {
    return this.#rooms?.inbox.seen(peer, this.#features.has("pep") && this.#rooms.pep);
  }

  older(peer) {
    if (!this.#features.has(NS.mam)) throw new RequestFailed(this.#phase === "online" ? "feature-not-implemented" : "offline");
    return this.#rooms.inbox.older(peer);
  }

  async add(jid, name) {
    await this.#needed().roster.add(jid, name, this.#rooms.people.me.nick);
  }

  async rename(jid, name) {
    await this.#needed().roster.set(jid, name);
  }

  async remove(jid) {
    await this.#needed().roster.remove(jid);
  }

  async accept(jid) {
    await this.#needed().roster.accept(jid, this.#rooms.people.me.nick);
    this.#tellRoster();
  }

  async refuse(jid) {
    this.#needed().roster.refuse(jid);
    this.#tellRoster();
  }

  async block(jid, on) {
    const { blocking } = this.#needed();
    await (on ? blocking.block(jid) : blocking.unblock(jid));
    this.#tell({ kind: "blocked", jids: [...blocking.jids] });
  }

  /** Changes what others see of us: `{ nick, show, status, picture }`; what is left out stays. */
  setMe(changes) {
    return this.#needed().people.setMe(changes, this.#connection);
  }

  /** Asks what someone publishes about themselves. */
  profile(jid) {
    return this.#needed().people.fetch(jid);
  }

  /** Every line of the exchange, for an administrator. `open`: the name of one whose facts are wanted too. */
  async lines(open) {
    this.#needed();
    const { readLines } = await import("./features/admin.js");
    return readLines(this.#connection, this.#place.domain, open);
  }

  /** The latest packets of a line, for an administrator: `{ shown, cursor, svg }`, `svg` only if something is new behind `after`. */
  async trace(line, after) {
    this.#needed();
    const { readTrace } = await import("./features/admin.js");
    return readTrace(this.#connection, this.#place.domain, line, after);
  }

  /** Makes an invite: `{ uri, link, expires }`. */
  async invite() {
    this.#needed();
    const { invitation } = await import("./features/admin.js");
    return invitation(this.#connection, this.#place.domain);
  }

  /** What a tab is looking at: `{ visible, peer }`, or null when it goes. */
  attend(tab, what) {
    if (what) this.#tabs.set(tab, what);
    else this.#tabs.delete(tab);
    if (what?.visible) this.#connection?.nudge();
  }

  // What is not asked by tabs.

  /** Whether some tab shows this conversation to someone who looks. */
  attended(peer) {
    return [...this.#tabs.values()].some((tab) => tab.visible && tab.peer === peer);
  }

  /** The network came back, or the machine woke up. */
  nudge() {
    this.#connection?.nudge();
  }

  /** What the page after this one needs to go on with the session. */
  leave() {
    const session = this.#phase === "out" ? null : this.#connection?.leave();
    return session ? { ...session, features: [...this.#features], presence: this.#rooms?.presence.save() } : null;
  }

  #needed() {
    if (!this.#rooms || !this.#connection) throw new RequestFailed("offline");
    return this.#rooms;
  }

  #can() {
    const can = (ns) => this.#features.has(ns);
    return { archive: can(NS.mam), block: can(NS.blocking), lines: can(NS.lines), invite: can(NS.invite), tokens: can(NS.tokens) };
  }

  async #open(jid) {
    if (this.#jid === jid && this.#rooms) return;
    this.#close();
    const db = await openDatabase(jid);
    const settings = new Settings(db);
    const [me, roster, profiles] = await Promise.all(["me", "roster", "profiles"].map((name) => settings.get(name)));
    this.#jid = jid;
    this.#rooms = { db, settings, history: new History(db), pictures: new Pictures(db), saved: { me, roster, profiles } };
    this.#attach();
  }

  /** Gives the rooms the connection of the moment; what they know stays. */
  #attach() {
    const rooms = this.#rooms;
    const connection = this.#connection;
    const own = this.#jid;
    const tell = this.#tell;
    const { me, roster, profiles } = rooms.saved;
    rooms.roster = new Roster(connection, own, rooms.roster?.save() ?? roster);
    rooms.presence = new Presence();
    rooms.blocking = new Blocking(connection, own);
    rooms.pep = new Pep(connection);
    rooms.people ??= new People({ own, rooms, tell, me, profiles });
    rooms.archive = new Archive(connection, own);
    rooms.inbox = new Inbox({ ...rooms, own, connection, tell });
  }

  #close() {
    this.#rooms?.db.close();
    this.#rooms = null;
    this.#jid = null;
    this.#features.clear();
    this.#inFlight.clear();
    this.#setPhase("out");
  }

  #setPhase(phase, reason) {
    this.#phase = phase;
    this.#tell({ kind: "phase", phase, reason });
  }

  /** Connects. `first`, for a log-in by password, is told how the first attempt went. */
  #connect(jid, first) {
    const connection = new Connection({ ...this.#place, agent: agent() });
    this.#connection = connection;
    const saved = first ? null : takeSession(jid);
    if (this.#rooms) this.#attach();
    if (saved) {
      this.#features = new Set(saved.features);
      this.#rooms.presence.restore(saved.presence);
      for (const { tag } of saved.acks.queue) if (tag) this.#inFlight.add(tag);
    }
    connection.onReady = async () => {
      await this.#open(jid);
      if (!first) return;
      remember(jid);
      this.#tell({ kind: "account", jid });
    };
    connection.onState = (state) => {
      if (!first || state === "online") return this.#state(state);
      if (state !== "offline") return;
      connection.stop();
      first.reject(new RequestFailed("unreachable"));
    };
    connection.onStanza = (stanza) => this.#stanza(stanza);
    connection.onConfirmed = (ids) => this.#confirmed(ids);
    connection.onToken = async ({ token, expiry }) => {
      await this.#rooms.settings.set("token", { token, expiry, count: 0 });
      this.#password = undefined;
    };
    connection.onSession = (session) => {
      first?.resolve({ jid });
      first = null;
      return this.#session(session).catch((error) => console.error("the session could not be set up", error));
    };
    connection.onRefused = async (error) => {
      this.#password = undefined;
      error.reason ??= "not-authorized";
      if (first) return first.reject(error);
      await this.#rooms?.settings.delete("token");
      this.#setPhase("refused", error.reason);
    };
    connection.start(() => this.#who(jid), saved);
  }

  #state(state) {
    if (state !== "stopped") this.#setPhase(state);
  }

  async #who(jid) {
    const name = local(jid);
    if (this.#password !== undefined) return { name, password: this.#password };
    const saved = await this.#rooms?.settings.get("token");
    if (!saved) return { name };
    saved.count += 1;
    await this.#rooms.settings.set("token", saved);
    return { name, token: saved.token, count: saved.count };
  }

  async #session({ resumed, carbons }) {
    const rooms = this.#rooms;
    if (resumed) {
      if (this.#features.has(NS.blocking)) await rooms.blocking.load().catch(() => {});
      this.#tell({ kind: "state" });
      return this.#flush();
    }
    this.#inFlight.clear();
    rooms.presence.clear();
    const roster = rooms.roster.load();
    const features = understood(this.#connection, this.#place.domain, this.#jid).then((found) => (this.#features = found));
    await roster;
    this.#connection.send(await makePresence(rooms.people.me));
    this.#tellRoster();
    await features;
    // Who may is not told by discovery: an administrator is who gets an answer.
    this.#connection.request("get", this.#place.domain, x("lines", { xmlns: NS.lines })).then(
      () => {
        this.#features.add(NS.lines).add(NS.invite);
        this.#tell({ kind: "state" });
      },
      () => {},
    );
    if (!carbons && this.#features.has(NS.carbons)) {
      await this.#connection.request("set", undefined, x("enable", { xmlns: NS.carbons })).catch(() => {});
    }
    if (this.#features.has(NS.blocking)) await rooms.blocking.load().catch(() => {});
    this.#tell({ kind: "state" });
    if (this.#features.has(NS.mam)) await rooms.inbox.catchUp();
    await this.#flush();
    if (!this.#features.has("pep")) return;
    const read = await rooms.pep.fetch(this.#jid, NS.displayed);
    if (read) await rooms.people.published(read);
    await rooms.people.fetch(this.#jid);
  }

  async #flush() {
    const { history } = this.#rooms;
    for (const message of await history.outbox()) {
      if (this.#inFlight.has(message.id)) continue;
      if (!this.#connection.send(makeMessage(message), message.id)) return;
      this.#inFlight.add(message.id);
      // Without stream management sent is all that can be known.
      if (!this.#connection.confirms) await this.#confirmed([message.id]);
    }
  }

  async #confirmed(ids) {
    for (const id of ids) this.#inFlight.delete(id);
    const changed = await this.#rooms.history.confirm(ids);
    for (const record of changed) this.#tell({ kind: "messages", peer: record.peer, keys: [record.key] });
  }

  async #stanza(stanza) {
    const rooms = this.#rooms;
    if (!rooms) return;
    if (stanza.localName === "message") {
      if (rooms.archive.take(stanza)) return;
      const event = rooms.pep.event(stanza);
      if (event) await rooms.people.published(event);
      else await rooms.inbox.take(stanza);
    } else if (stanza.localName === "presence") {
      if (rooms.roster.subscription(stanza)) return this.#tellRoster();
      const jid = rooms.presence.take(stanza);
      if (jid) this.#tell({ kind: "presence", jid, presence: rooms.presence.of(jid) });
    } else {
      const changed = answerQuery(stanza, this.#connection, rooms);
      if (changed === "roster") this.#tellRoster();
      if (changed === "blocked") this.#tell({ kind: "blocked", jids: [...rooms.blocking.jids] });
    }
  }

  #tellRoster() {
    const saved = this.#rooms.roster.save();
    this.#rooms.settings.set("roster", saved).catch(console.error);
    this.#tell({ kind: "roster", roster: saved });
  }
}

