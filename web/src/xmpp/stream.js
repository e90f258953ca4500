// Stream: one XMPP stream over a WebSocket, an element a message.
// Spec: RFC 7395 (framing); RFC 6120 4.2 (opening), 4.4 (closing), 4.9 (errors).
// Owns: the WebSocket. Gives: one element at a time by `next()` while negotiating, then all of them by `flow(handler)`.
// Tells: once, `onEnd({ clean, condition })`.
// Invariants: nothing is told after `onEnd`; what is not one well-formed element ends the stream.
// Not here: what the elements mean (`connection`, `login`).

import { NS } from "./ns.js";
import { childText, is, parse, x } from "./xml.js";

/** How long a socket may take to open, or to say goodbye, in milliseconds. */
const OPEN_WITHIN = 15_000;
const CLOSE_WITHIN = 2_000;
/** Elements that may come before they are asked for: a negotiation goes step by step. */
const EARLY_MAX = 100;

export class Stream {
  #socket;
  #domain;
  #ended = false;
  #opened = false;
  #timer;
  #waiting;
  #handler;
  /** Elements that came before anyone asked. Bounded by [`EARLY_MAX`]. */
  #early = [];

  /** Connects to `url` and opens a stream to `domain`. */
  constructor(url, domain) {
    this.onEnd = () => {};
    this.#domain = domain;
    this.#socket = new WebSocket(url, ["xmpp"]);
    this.#timer = setTimeout(() => this.#end({ clean: false, condition: "connection-timeout" }), OPEN_WITHIN);
    this.#socket.onopen = () => this.open();
    this.#socket.onmessage = (event) => this.#message(event.data);
    this.#socket.onclose = () => this.#end({ clean: false, condition: this.#opened ? "connection-lost" : "unreachable" });
  }

  /** Sends the opening element: at the start, and again after classic SASL (RFC 6120 6.4.6). */
  open() {
    this.send(x("open", { xmlns: NS.framing, to: this.#domain, version: "1.0" }));
  }

  /** Sends an element that `x` made. */
  send(markup) {
    this.#sendText(String(markup));
  }

  /** The next element, for negotiation, which goes step by step. Rejects when the stream ends. */
  next() {
    if (this.#early.length > 0) return Promise.resolve(this.#early.shift());
    if (this.#ended) return Promise.reject(new StreamEnded("connection-lost"));
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }

  /** From now on every element goes to `handler`. */
  flow(handler) {
    this.#handler = handler;
    for (const element of this.#early.splice(0)) handler(element);
  }

  /** Ends the stream politely: our closing element, theirs, then the socket. */
  close() {
    if (this.#ended) return;
    try {
      this.#sendText(`<close xmlns="${NS.framing}"/>`);
    } catch {
      return this.#end({ clean: true });
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#end({ clean: true }), CLOSE_WITHIN);
  }

  /** Drops the socket without a word, so that the session stays resumable. */
  drop() {
    this.#end({ clean: false, condition: "connection-lost" });
  }

  #sendText(text) {
    if (!this.#ended && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(text);
  }

  #message(data) {
    if (this.#ended) return;
    const element = typeof data === "string" ? parse(data) : null;
    if (!element) {
      this.#sendText(`<close xmlns="${NS.framing}"/>`);
      return this.#end({ clean: false, condition: "not-well-formed" });
    }
    if (is(element, "open", NS.framing)) {
      clearTimeout(this.#timer);
      this.#opened = true;
      return;
    }
    if (is(element, "close", NS.framing)) {
      this.#sendText(`<close xmlns="${NS.framing}"/>`);
      return this.#end({ clean: true });
    }
    if (is(element, "error", NS.stream)) {
      const found = [...element.children].find((node) => node.namespaceURI === NS.streams && node.localName !== "text");
      const text = childText(element, "text", NS.streams);
      return this.#end({ clean: false, condition: found?.localName ?? "undefined-condition", text });
    }
    if (this.#handler) return this.#handler(element);
    if (this.#waiting) {
      const { resolve } = this.#waiting;
      this.#waiting = undefined;
      return resolve(element);
    }
    this.#early.push(element);
    if (this.#early.length > EARLY_MAX) this.#end({ clean: false, condition: "policy-violation" });
  }

  #end(how) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket.onclose = this.#socket.onmessage = this.#socket.onopen = null;
    this.#socket.close();
    this.#waiting?.reject(new StreamEnded(how.condition ?? "closed"));
    this.#waiting = undefined;
    this.onEnd(how);
  }
}

/** The stream ended while something was waited for. */
export class StreamEnded extends Error {
  constructor(condition) {
    super(`the stream ended: ${condition}`);
    this.condition = condition;
  }
}
