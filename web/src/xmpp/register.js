// Register: from an invite to a number of one's own.
// Spec: XEP-0077 (in-band registration), XEP-0445 (preauth), XEP-0401 (invites).
// Owns: a stream of its own until the number exists. Not here: logging in with it (`login`).

import { NS } from "./ns.js";
import { Stream } from "./stream.js";
import { child, childText, condition, x } from "./xml.js";

/** Registration was refused, with the condition of the stanza error. */
export class RegisterRefused extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

export class Registration {
  #stream;
  #domain;
  #count = 0;

  constructor(url, domain) {
    this.#domain = domain;
    this.#stream = new Stream(url, domain);
  }

  /** Shows the invite; returns `{ number }`, the number that it reserves, or null where any may be had. */
  async begin(token) {
    const features = await this.#stream.next();
    if (features.localName !== "features") throw new RegisterRefused("not-allowed");
    if (token) await this.#ask("set", x("preauth", { xmlns: NS.preauth, token }), this.#domain);
    const form = child(await this.#ask("get", x("query", { xmlns: NS.register })), "query", NS.register);
    return { number: childText(form, "username", NS.register)?.trim() || null };
  }

  /** Registers; returns the number. */
  async finish(number, password) {
    const answer = await this.#ask(
      "set",
      x("query", { xmlns: NS.register }, x("username", null, number ?? ""), x("password", null, password)),
    );
    const told = childText(child(answer, "query", NS.register), "username", NS.register);
    return told?.trim() || number;
  }

  /** Ends the stream; the number is logged in over one of its own. */
  end() {
    this.#stream.close();
  }

  async #ask(type, payload, to = this.#domain) {
    const id = `r${++this.#count}`;
    this.#stream.send(x("iq", { xmlns: NS.client, type, id, to }, payload));
    for (;;) {
      const answer = await this.#stream.next();
      if (answer.getAttribute("id") !== id) continue;
      if (answer.getAttribute("type") === "error") throw new RegisterRefused(condition(answer));
      return answer;
    }
  }
}
