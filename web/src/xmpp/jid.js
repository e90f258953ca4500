// JID: addresses, as far as a client needs to take them apart.
// Spec: RFC 7622 3; a number is a localpart of decimal digits without a leading zero.
// Not here: normalising (the exchange does that).

/** The address without its resource. */
export function bare(jid) {
  const slash = jid.indexOf("/");
  return (slash < 0 ? jid : jid.slice(0, slash)).toLowerCase();
}

/** The part behind the slash, or "". */
export function resource(jid) {
  const slash = jid.indexOf("/");
  return slash < 0 ? "" : jid.slice(slash + 1);
}

/** The part before the @, or "". */
export function local(jid) {
  const at = bare(jid).indexOf("@");
  return at < 0 ? "" : bare(jid).slice(0, at);
}

/** The part behind the @. */
export function domain(jid) {
  const at = bare(jid).indexOf("@");
  return bare(jid).slice(at + 1);
}

/** Whether this is a number as the exchange gives them. */
export const isNumber = (text) => /^[1-9][0-9]{0,18}$/.test(text);

/** What someone typed, as a bare address: a number is one of `home`. Null: it is no address. */
export function typed(text, home) {
  const trimmed = text.trim().replace(/^xmpp:/i, "").replace(/[?].*$/s, "");
  if (isNumber(trimmed)) return `${trimmed}@${home}`;
  const found = /^[^\s@/<>"'&:]{1,256}@[^\s@/<>"'&]{1,256}$/.exec(trimmed);
  return found ? trimmed.toLowerCase() : null;
}

/** What people read: the number alone for those of our own exchange, else the whole address. */
export const spoken = (jid, home) => (domain(jid) === home && local(jid) ? local(jid) : bare(jid));
