// Token: staying logged in without a password in storage.
// Spec: XEP-0484 (FAST); draft-schmaus-kitten-sasl-ht (HT-SHA-256-NONE: a browser sees no channel binding).
// Invariants: the server proves that it knows the token too.
// Not here: where it is kept (`store/settings`).

import { base64, hmac, same, unbase64, utf8 } from "./octets.js";

/** The one mechanism a page can do. */
export const TOKEN_MECHANISM = "HT-SHA-256-NONE";

/** The initial response for `name`, in base64. */
export async function tokenResponse(name, token) {
  const proof = await hmac("SHA-256", utf8(token), utf8("Initiator"));
  const head = utf8(`${name}\0`);
  const whole = new Uint8Array(head.length + proof.length);
  whole.set(head);
  whole.set(proof, head.length);
  return base64(whole);
}

/** Whether the server's additional data proves that it knows the token. */
export async function tokenProved(token, data) {
  return same(unbase64(data), await hmac("SHA-256", utf8(token), utf8("Responder")));
}

