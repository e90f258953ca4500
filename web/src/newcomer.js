// Newcomer: someone with an invite and no number yet.
// Spec: XEP-0445, XEP-0077. Owns: the stream that the invite is shown on, until the number is taken.
// Not here: the stanzas (`xmpp/register`), logging in (`engine`).

import { RequestFailed } from "./xmpp/connection.js";

export class Newcomer {
  #place;
  #registration = null;

  /** `place`: `{ url, domain }`. */
  constructor(place) {
    this.#place = place;
  }

  /** Shows an invite; returns `{ number }`, the number that it reserves, or null where any may be had. */
  async show(token) {
    this.#registration?.end();
    const { Registration } = await import("./xmpp/register.js");
    this.#registration = new Registration(this.#place.url, this.#place.domain);
    return this.#registration.begin(token);
  }

  /** Takes the number; returns it. */
  async take(number, password) {
    if (!this.#registration) throw new RequestFailed("offline");
    const given = await this.#registration.finish(number, password);
    this.#registration.end();
    this.#registration = null;
    return given;
  }
}
