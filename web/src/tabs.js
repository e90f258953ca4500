// Tabs: of all tabs of this page one leads and holds the stream; the others ask it.
// Spec: Web Locks, BroadcastChannel.
// Owns: the lock and the channel. Invariants: at most one tab leads; a call is answered or, when the leader goes, asked of
// the next; every event reaches every tab, the leader's own too.
// Not here: what is asked (`engine`).

const LOCK = "switchboard-stream";
const CHANNEL = "switchboard";
/** How long a call may take, in milliseconds; a leader that vanishes is replaced long before. */
const CALL_WITHIN = 60_000;

export class Tabs {
  #channel = new BroadcastChannel(CHANNEL);
  #me = crypto.randomUUID();
  #calls = new Map();
  #count = 0;
  #serve = null;
  #listeners = new Set();

  constructor() {
    this.#channel.onmessage = ({ data }) => this.#heard(data);
  }

  get leads() {
    return this.#serve !== null;
  }

  /** Waits for its turn to lead, then calls `makeServer()`, whose result is asked by `call`, until the tab is gone. */
  stand(makeServer) {
    navigator.locks.request(LOCK, async () => {
      this.#serve = await makeServer();
      for (const call of this.#calls.values()) this.#answer(call);
      this.#channel.postMessage({ kind: "leader" });
      // Every tab learns of the new leader, this one too.
      for (const listener of this.#listeners) listener({ kind: "leader" });
      await new Promise(() => {});
    });
  }

  /** Calls a method of the leader's server. Its error is thrown with its `reason`. */
  call(method, ...args) {
    const id = `${this.#me}:${++this.#count}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id, { error: { reason: "no-answer" } }), CALL_WITHIN);
      const call = { kind: "call", id, method, args };
      this.#calls.set(id, { ...call, resolve, reject, timer });
      if (this.#serve) this.#answer(call);
      else this.#channel.postMessage(call);
    });
  }

  /** Tells every tab. */
  tell(event) {
    this.#channel.postMessage({ kind: "event", event });
    for (const listener of this.#listeners) listener(event);
  }

  /** Hears events; `{ kind: "leader" }` says that there is a new one, so that what was known should be asked again. */
  listen(listener) {
    this.#listeners.add(listener);
  }

  async #answer({ id, method, args }) {
    let reply;
    try {
      reply = { value: await this.#serve[method](...args) };
    } catch (error) {
      reply = { error: { reason: error.reason ?? "failed", message: error.message } };
      if (!error.reason) console.error(`${method} failed`, error);
    }
    if (id.startsWith(this.#me)) this.#settle(id, reply);
    else this.#channel.postMessage({ kind: "reply", id, reply });
  }

  #heard(data) {
    switch (data.kind) {
      case "call":
        if (this.#serve) this.#answer(data);
        break;
      case "reply":
        this.#settle(data.id, data.reply);
        break;
      case "leader":
        for (const { id, method, args } of this.#calls.values()) this.#channel.postMessage({ kind: "call", id, method, args });
        for (const listener of this.#listeners) listener({ kind: "leader" });
        break;
      case "event":
        for (const listener of this.#listeners) listener(data.event);
        break;
    }
  }

  #settle(id, reply) {
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    clearTimeout(call.timer);
    if (reply.error) call.reject(Object.assign(new Error(reply.error.message ?? reply.error.reason), { reason: reply.error.reason }));
    else call.resolve(reply.value);
  }
}
