// Discovery: what the exchange and our account understand.
// Spec: XEP-0030. Not here: what we understand (`presence`).

import { NS } from "../xmpp/ns.js";
import { child, children, x } from "../xmpp/xml.js";

/** The features of both, as a set; "pep" stands for an account that people can publish at (XEP-0163 6.1). */
export async function understood(connection, domain, own) {
  const ask = async (to) => {
    const answer = await connection.request("get", to, x("query", { xmlns: NS.info }));
    const query = child(answer, "query", NS.info);
    const features = children(query, "feature", NS.info).map((node) => node.getAttribute("var"));
    const pep = children(query, "identity", NS.info).some((node) => node.getAttribute("category") === "pubsub");
    return pep && to === own ? [...features, "pep"] : features;
  };
  const found = await Promise.all([domain, own].map((to) => ask(to).catch(() => [])));
  return new Set(found.flat());
}
