// Admin: what an administrator's account may ask of the exchange: its lines, the packets of one, and new invites.
// Spec: `urn:switchboard:lines:0` (docs/web-client.md); XEP-0401 4 by XEP-0050 (invites).
// Invariants: the exchange decides who may; here nothing is hidden for safety.

import { NS } from "../xmpp/ns.js";
import { RequestFailed } from "../xmpp/connection.js";
import { child, children, childText, x } from "../xmpp/xml.js";

/**
 * The lines, or the first of very many: `{ total, lines: [{ id, number, resource, carrier, network, remote, state, encrypted, since }], facts }`.
 * `facts`, of the line named `open`: `[{ name, rows: [[name, value]] }]`, groups as the exchange names them.
 */
export async function readLines(connection, domain, open) {
  const answer = await connection.request("get", domain, x("lines", { xmlns: NS.lines, open }));
  const found = child(answer, "lines", NS.lines);
  const number = (text) => (text === null ? null : Number(text));
  const lines = children(found, "line", NS.lines).map((node) => ({
    id: node.getAttribute("id"),
    number: node.getAttribute("number"),
    resource: node.getAttribute("resource"),
    carrier: node.getAttribute("carrier"),
    network: node.getAttribute("network"),
    remote: node.getAttribute("remote"),
    state: node.getAttribute("state"),
    encrypted: node.getAttribute("encrypted") === "true",
    since: number(node.getAttribute("since")),
  }));
  const facts = children(found, "facts", NS.lines).map((group) => ({
    name: group.getAttribute("of"),
    rows: children(group, "fact", NS.lines).map((fact) => [fact.getAttribute("name"), fact.textContent]),
  }));
  return { total: number(found.getAttribute("total")) ?? lines.length, lines, facts };
}

/**
 * The latest packets of a line: `{ shown, cursor, svg }`. `shown` is false where its network shows none; `svg` is null where
 * nothing is new behind `after`, the cursor of the answer before.
 */
export async function readTrace(connection, domain, line, after) {
  const answer = await connection.request("get", domain, x("trace", { xmlns: NS.lines, line, after }));
  const trace = child(answer, "trace", NS.lines);
  const svg = trace?.textContent ?? "";
  return { shown: trace?.getAttribute("shown") === "true", cursor: trace?.getAttribute("cursor") ?? null, svg: svg === "" ? null : svg };
}

/** A new invite: `{ uri, link, expires }`. */
export async function invitation(connection, domain) {
  const command = x("command", { xmlns: NS.commands, node: `${NS.invite}#invite`, action: "execute" });
  const answer = await connection.request("set", domain, command);
  const form = child(child(answer, "command", NS.commands), "x", NS.dataForm);
  const value = (name) =>
    childText(children(form, "field", NS.dataForm).find((field) => field.getAttribute("var") === name), "value", NS.dataForm);
  if (!value("uri")) throw new RequestFailed("feature-not-implemented");
  return { uri: value("uri"), link: value("landing-url") ?? null, expires: value("expire") ?? null };
}
