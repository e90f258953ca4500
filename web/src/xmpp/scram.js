// SCRAM: one log-in by password, which never leaves the page.
// Spec: RFC 5802, RFC 7677 (SHA-256); XEP-0474 (what the server offered is proved with the log-in).
// Invariants: the server proves that it has the keys before anything it says is believed; an iteration count is bounded.
// Not here: the elements around the messages (`login`).

import { base64, digest, hmac, randomWord, same, unbase64, utf8 } from "./octets.js";

/** The mechanisms we can do, best first. A browser sees no channel binding, so there is no -PLUS. */
export const MECHANISMS = { "SCRAM-SHA-256": "SHA-256", "SCRAM-SHA-1": "SHA-1" };
/** RFC 7677 4 asks for 4096 at least; past ten million a server would only burn the battery. */
const ITERATIONS_MIN = 4096;
const ITERATIONS_MAX = 10_000_000;

export class Scram {
  #hash;
  #password;
  #bareFirst;
  #nonce = randomWord();
  #serverSignature;

  /** A log-in as `name`. Throws nothing yet: mistakes show in the server's messages. */
  constructor(mechanism, name, password) {
    this.mechanism = mechanism;
    this.#hash = MECHANISMS[mechanism];
    this.#password = password;
    this.#bareFirst = `n=${name.replace(/=/g, "=3D").replace(/,/g, "=2C")},r=${this.#nonce}`;
  }

  /** client-first-message, in base64. */
  first() {
    return base64(utf8(`n,,${this.#bareFirst}`));
  }

  /** client-final-message for the server's first, in base64. `offer` is what XEP-0474 hashes, if the server names it. */
  async final(challenge, offer) {
    const serverFirst = new TextDecoder().decode(unbase64(challenge));
    const fields = attributes(serverFirst);
    const iterations = Number(fields.i);
    if (fields.m !== undefined) throw new ScramError("an extension is asked for that is not known");
    if (!fields.r?.startsWith(this.#nonce) || fields.r.length <= this.#nonce.length) {
      throw new ScramError("the server's nonce does not continue ours");
    }
    if (!fields.s || !(iterations >= ITERATIONS_MIN && iterations <= ITERATIONS_MAX)) {
      throw new ScramError("the server's salt or iteration count cannot be");
    }
    if (fields.h !== undefined && offer !== undefined) {
      const expected = base64(await digest(this.#hash, utf8(offer)));
      if (expected !== fields.h) throw new ScramError("what the server offered was changed on its way");
    }
    const withoutProof = `c=${base64(utf8("n,,"))},r=${fields.r}`;
    const signed = utf8(`${this.#bareFirst},${serverFirst},${withoutProof}`);
    const salted = await this.#salted(unbase64(fields.s), iterations);
    const clientKey = await hmac(this.#hash, salted, utf8("Client Key"));
    const signature = await hmac(this.#hash, await digest(this.#hash, clientKey), signed);
    const proof = clientKey.map((byte, at) => byte ^ signature[at]);
    this.#serverSignature = await hmac(this.#hash, await hmac(this.#hash, salted, utf8("Server Key")), signed);
    this.#password = "";
    return base64(utf8(`${withoutProof},p=${base64(proof)}`));
  }

  /** Checks the server's final message. Throws when the server has not proved itself. */
  verify(data) {
    const fields = attributes(new TextDecoder().decode(unbase64(data)));
    if (!this.#serverSignature || !fields.v || !same(unbase64(fields.v), this.#serverSignature)) {
      throw new ScramError("the server could not prove that it knows this number");
    }
  }

  async #salted(salt, iterations) {
    // RFC 5802 2.2 asks for SASLprep; NFKC is what it comes to for what people type.
    const password = utf8(this.#password.normalize("NFKC"));
    const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
    const bits = this.#hash === "SHA-256" ? 256 : 160;
    const derived = await crypto.subtle.deriveBits({ name: "PBKDF2", hash: this.#hash, salt, iterations }, key, bits);
    return new Uint8Array(derived);
  }
}

const attributes = (message) => Object.fromEntries(message.split(",").map((part) => [part[0], part.slice(2)]));

/** The exchange of messages is not what SCRAM allows. */
export class ScramError extends Error {}
