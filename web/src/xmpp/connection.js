// Connection: one session with the exchange, through as many streams as it takes.
// Spec: RFC 6120 3.3 (reconnecting), 8.2.3 (IQ); XEP-0198 (acknowledging, resuming); XEP-0199 (is anyone there?).
// Owns: the stream, the acks, the requests under way, the timers. Tells: `onStanza` (may return a promise: the stanza
// counts as dealt with only then), `onState`, `onConfirmed(tags)`, `onReady(jid)` before the first stanza, `onToken`,
// `onSession({ resumed, carbons })`, `onRefused(error)`.
// Invariants: stanzas are dealt with one after the other, in order; an IQ is answered, refused or times out, once.
// Not here: what stanzas mean (`engine`).

import { Acks } from "./acks.js";
import { LogInRefused, logIn } from "./login.js";
import { NS } from "./ns.js";
import { randomWord } from "./octets.js";
import { Stream, StreamEnded } from "./stream.js";
import { childText, condition, is, x } from "./xml.js";

/** Between attempts, in milliseconds: doubled each time, with chance, up to the most. RFC 6120 3.3 asks for chance. */
const WAIT_LEAST = 500;
const WAIT_MOST = 30_000;
/** A line that was silent this long is asked whether it lives, and given this long to answer. */
const SILENCE = 45_000;
const ANSWER_WITHIN = 12_000;
/** How long an IQ may take. */
const REQUEST_WITHIN = 30_000;

export class Connection {
  #url;
  #domain;
  #agent;
  #stream = null;
  #acks = new Acks();
  #chain = Promise.resolve();
  #requests = new Map();
  #online = false;
  #stopped = true;
  #wake = () => {};
  #heard = 0;
  #asked = 0;
  #watch;

  constructor({ url, domain, agent }) {
    this.#url = url;
    this.#domain = domain;
    this.#agent = agent;
    this.jid = null;
    for (const name of ["onStanza", "onState", "onConfirmed", "onReady", "onSession", "onToken", "onRefused"]) this[name] = () => {};
  }

  /** Whether stanzas can be sent now. */
  get online() {
    return this.#online;
  }

  /** Whether the exchange says what it has dealt with (XEP-0198). */
  get confirms() {
    return this.#acks.on;
  }

  /** Connects and stays connected until `stop`. `who()` returns the credentials of the moment. */
  async start(who, saved) {
    if (saved) {
      this.#acks = Acks.restore(saved.acks);
      this.jid = saved.jid;
    }
    this.#stopped = false;
    this.#watch = setInterval(() => this.#look(), 5_000);
    for (let wait = WAIT_LEAST; !this.#stopped; ) {
      this.onState("connecting");
      try {
        await this.#live(who, () => (wait = WAIT_LEAST));
      } catch (error) {
        if (error instanceof LogInRefused || !(error instanceof StreamEnded)) {
          if (!temporary(error)) {
            this.#stopped = true;
            clearInterval(this.#watch);
            this.onRefused(error);
            return;
          }
        }
      }
      if (this.#stopped) break;
      this.onState("offline");
      await this.#pause(wait * (0.5 + Math.random()));
      wait = Math.min(wait * 2, WAIT_MOST);
    }
    this.onState("stopped");
  }

  /** Tries now instead of later, or asks whether the line lives. */
  nudge() {
    if (this.#online) this.#ask();
    else this.#wake();
  }

  /** Sends an element; `tag` is what `onConfirmed` will name. False: there is no session, so nothing was sent. */
  send(markup, tag) {
    if (!this.#online) return false;
    this.#acks.sent(markup, tag);
    this.#stream.send(markup);
    if (this.#acks.on && tag !== undefined) this.#stream.send(x("r", { xmlns: NS.sm }));
    return true;
  }

  /** Sends an IQ and returns its answer; an error is thrown as `RequestFailed`. */
  request(type, to, ...payload) {
    const id = randomWord();
    const markup = x("iq", { xmlns: NS.client, type, to, id }, ...payload);
    return new Promise((resolve, reject) => {
      if (!this.send(markup)) return reject(new RequestFailed("offline"));
      const timer = setTimeout(() => this.#settle(id, new RequestFailed("remote-server-timeout")), REQUEST_WITHIN);
      this.#requests.set(id, { resolve, reject, timer, to });
    });
  }

  /** Logs out: a polite end, after which nothing can be resumed. */
  async stop() {
    this.#stopped = true;
    clearInterval(this.#watch);
    this.#wake();
    const stream = this.#stream;
    if (!stream) return;
    await new Promise((resolve) => {
      const before = stream.onEnd;
      stream.onEnd = (how) => {
        before(how);
        resolve();
      };
      stream.close();
    });
  }

  /** What a later page needs to go on with this session, or null. The session is left as it is, unfinished. */
  leave() {
    const acks = this.#acks.save();
    return acks && this.jid ? { acks, jid: this.jid } : null;
  }

  async #live(who, onGood) {
    // What the last stream brought is dealt with before this one says how much that was.
    await this.#chain;
    const stream = new Stream(this.#url, this.#domain);
    this.#stream = stream;
    const ended = new Promise((resolve) => {
      stream.onEnd = (how) => {
        this.#online = false;
        this.#stream = null;
        resolve(how);
      };
    });
    const resumable = this.#acks.id ? this.#acks : null;
    let session;
    try {
      session = await logIn(stream, await who(), this.#agent, resumable);
    } catch (error) {
      stream.close();
      throw error;
    }
    onGood();
    const again = this.#settleSession(session);
    await this.onReady(this.jid);
    if (session.token) await this.onToken(session.token);
    this.#online = true;
    this.#heard = Date.now();
    this.#asked = 0;
    stream.flow((element) => this.#element(element));
    for (const markup of again) stream.send(markup);
    if (again.length > 0) stream.send(x("r", { xmlns: NS.sm }));
    this.onState("online");
    await this.onSession({ resumed: Boolean(session.resumed), carbons: session.carbons });
    await ended;
  }

  /** Settles what the last stream left open; returns what is to be sent again. */
  #settleSession(session) {
    const told = session.resumed ?? session.failed;
    if (this.#acks.on && told?.hasAttribute("h")) this.#confirm(Number(told.getAttribute("h")));
    if (session.resumed) return this.#acks.unconfirmed();
    this.jid = session.jid;
    // A new session answers no question of the old one.
    for (const id of [...this.#requests.keys()]) this.#settle(id, new RequestFailed("offline"));
    this.#acks = new Acks();
    if (session.enabled) {
      const resumable = ["true", "1"].includes(session.enabled.getAttribute("resume"));
      this.#acks.enable(resumable ? session.enabled.getAttribute("id") : null, Number(session.enabled.getAttribute("max") ?? 300));
    }
    return [];
  }

  #element(element) {
    this.#heard = Date.now();
    this.#asked = 0;
    if (is(element, "a", NS.sm)) return this.#confirm(Number(element.getAttribute("h")));
    const acks = this.#acks;
    if (is(element, "r", NS.sm)) {
      // Behind everything that came before it.
      this.#chain = this.#chain.then(() => this.#stream?.send(x("a", { xmlns: NS.sm, h: acks.inbound })));
      return;
    }
    if (element.namespaceURI !== NS.client) return;
    this.#chain = this.#chain
      .then(() => this.#stanza(element))
      .catch((error) => console.error("a stanza could not be dealt with", error))
      .then(() => acks.handled());
  }

  #stanza(stanza) {
    const type = stanza.getAttribute("type");
    if (stanza.localName === "iq" && (type === "result" || type === "error")) {
      const id = stanza.getAttribute("id");
      const request = this.#requests.get(id);
      // RFC 6120 8.1.2.1: without `from` it is our own account's; another's answer is none.
      const from = stanza.getAttribute("from");
      const own = this.jid?.split("/")[0];
      const asked = request && (request.to ?? own);
      if (!request || (from && from !== asked && from !== this.jid && !(asked === own && from === this.#domain))) return undefined;
      this.#settle(id, type === "error" ? new RequestFailed(condition(stanza), stanza) : null, stanza);
      return undefined;
    }
    return this.onStanza(stanza);
  }

  #settle(id, error, stanza) {
    const request = this.#requests.get(id);
    if (!request) return;
    this.#requests.delete(id);
    clearTimeout(request.timer);
    if (error) request.reject(error);
    else request.resolve(stanza);
  }

  #confirm(h) {
    const tags = this.#acks.confirm(h);
    if (tags === null) return;
    const named = tags.filter((tag) => tag !== undefined);
    if (named.length > 0) this.onConfirmed(named);
  }

  /** Every few seconds: a line that says nothing is asked, and dropped if it does not answer. */
  #look() {
    if (!this.#online) return;
    const now = Date.now();
    if (this.#asked && now - this.#asked > ANSWER_WITHIN) this.#stream?.drop();
    else if (!this.#asked && (now - this.#heard > SILENCE || this.#acks.waiting > 0)) this.#ask();
  }

  #ask() {
    if (this.#asked) return;
    this.#asked = Date.now();
    if (this.#acks.on) this.#stream?.send(x("r", { xmlns: NS.sm }));
    else this.request("get", this.#domain, x("ping", { xmlns: NS.ping })).catch(() => {});
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Whether trying again could help. */
function temporary(error) {
  return error instanceof LogInRefused && ["temporary-auth-failure", "aborted", "no-resource"].includes(error.reason);
}

/** An IQ was answered by an error, or not at all. */
export class RequestFailed extends Error {
  constructor(reason, stanza) {
    super(childText(stanza && [...stanza.children].find((node) => node.localName === "error"), "text", NS.stanzas) ?? reason);
    this.reason = reason;
    this.stanza = stanza;
  }
}
