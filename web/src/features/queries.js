// Queries: what others, and the exchange, ask this page or tell it by iq.
// Spec: RFC 6120 8.2.3 (each is answered); RFC 6121 2.1.6 (roster pushes); XEP-0191, 0199, 0030, 0092.
// Not here: answers to what we asked (`xmpp/connection`).

import { NS } from "../xmpp/ns.js";
import { x } from "../xmpp/xml.js";
import { makeInfo } from "./presence.js";

/** Answers an iq of type get or set. Returns what it changed: "roster", "blocked", or undefined. */
export function answerQuery(stanza, connection, { roster, blocking }) {
  const to = stanza.getAttribute("from");
  const id = stanza.getAttribute("id");
  const payload = stanza.firstElementChild;
  const answer = (...inner) => void connection.send(x("iq", { xmlns: NS.client, type: "result", to, id }, ...inner));
  if (stanza.getAttribute("type") === "set") {
    if (roster.push(stanza)) {
      answer();
      return "roster";
    }
    if (blocking.push(stanza)) {
      answer();
      return "blocked";
    }
  } else if (payload?.namespaceURI === NS.ping) return answer();
  else if (payload?.namespaceURI === NS.info) return answer(makeInfo(payload.getAttribute("node")));
  else if (payload?.namespaceURI === NS.version) {
    return answer(x("query", { xmlns: NS.version }, x("name", null, "Switchboard Web"), x("version", null, "0.1")));
  }
  const error = x("error", { type: "cancel" }, x("service-unavailable", { xmlns: NS.stanzas }));
  connection.send(x("iq", { xmlns: NS.client, type: "error", to, id }, error));
  return undefined;
}
