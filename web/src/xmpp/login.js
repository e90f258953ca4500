// Login: from an open stream to a bound or resumed session.
// Spec: RFC 6120 6 and 7; XEP-0388 (SASL2), XEP-0386 (Bind 2), XEP-0484 (FAST), XEP-0198 5 (resuming).
// Invariants: PLAIN is never spoken; the server's proof is checked before its success is believed.
// Not here: the arithmetic (`scram`, `token`), keeping the token (`store/settings`), registering (`register`).

import { NS } from "./ns.js";
import { MECHANISMS, Scram, ScramError } from "./scram.js";
import { Stream } from "./stream.js";
import { TOKEN_MECHANISM, tokenProved, tokenResponse } from "./token.js";
import { child, children, childText, is, x } from "./xml.js";

/** The server says no, for a reason of RFC 6120 6.5 or one of ours. */
export class LogInRefused extends Error {
  constructor(reason, text) {
    super(text ?? reason);
    this.reason = reason;
  }
}

/** Waits for the next element of a name, past features that nobody asked for. */
async function expect(stream, names) {
  for (;;) {
    const element = await stream.next();
    if (names.includes(element.localName)) return element;
    if (element.localName !== "features") throw new LogInRefused("unexpected", `<${element.localName}> was not expected`);
  }
}

/**
 * Logs in. `who` is `{ name, password }` or `{ name, token, count }`; `agent` names this browser for good;
 * `acks` is a session to resume, or null. Returns `{ jid, resumed, enabled, failed, token, features }`.
 */
export async function logIn(stream, who, agent, acks) {
  const features = await expect(stream, ["features"]);
  const modern = child(features, "authentication", NS.sasl2);
  const outcome = modern
    ? await modernLogIn(stream, who, agent, acks, modern, features)
    : await classicLogIn(stream, who, features);
  if (!outcome.jid && !outcome.resumed) await bindClassic(stream, outcome, acks);
  return outcome;
}

/** Tells the exchange that a token is worth nothing from now on (XEP-0484 3.4). `place`: `{ url, domain }`. */
export async function dropToken(place, who, agent) {
  const stream = new Stream(place.url, place.domain);
  try {
    await logIn(stream, { ...who, count: who.count + 1, invalidate: true }, agent, null);
  } finally {
    stream.close();
  }
}

/** The best password mechanism both sides know. */
function chosen(offered) {
  const best = Object.keys(MECHANISMS).find((name) => offered.includes(name));
  if (!best) throw new LogInRefused("no-mechanism");
  return best;
}

/** What XEP-0474 section 3 hashes: mechanisms, and channel bindings if there are any, each sorted. */
function offerOf(mechanisms, features) {
  const bindings = child(features, "sasl-channel-binding", "urn:xmpp:sasl-cb:0");
  const types = [...(bindings?.children ?? [])].map((node) => node.getAttribute("type"));
  const offer = [...mechanisms].sort().join("\u001e");
  return types.length > 0 ? `${offer}\u001f${types.sort().join("\u001e")}` : offer;
}

async function modernLogIn(stream, who, agent, acks, offer, features) {
  const mechanisms = children(offer, "mechanism", NS.sasl2).map((node) => node.textContent);
  const inline = child(offer, "inline", NS.sasl2);
  const fast = children(child(inline, "fast", NS.fast), "mechanism", NS.fast).map((node) => node.textContent);
  const canToken = fast.includes(TOKEN_MECHANISM);
  const byToken = Boolean(who.token) && canToken;
  if (!byToken && who.password === undefined) throw new LogInRefused("token-unknown");
  const mechanism = byToken ? TOKEN_MECHANISM : chosen(mechanisms);
  const scram = byToken ? null : new Scram(mechanism, who.name, who.password);
  const bind = child(inline, "bind", NS.bind2);
  const bindInline = children(child(bind, "inline", NS.bind2), "feature", NS.bind2).map((node) => node.getAttribute("var"));
  // XEP-0198 8 offers it beside the bind; where it can be enabled with the bind it is worth asking too.
  const manages = child(inline, "sm", NS.sm) || bindInline.includes(NS.sm);
  const previous = manages && acks?.id ? acks : null;
  stream.send(
    x(
      "authenticate",
      { xmlns: NS.sasl2, mechanism },
      x("initial-response", null, byToken ? await tokenResponse(who.name, who.token) : scram.first()),
      x("user-agent", { id: agent.id }, x("software", null, "Switchboard Web"), x("device", null, agent.device)),
      previous && x("resume", { xmlns: NS.sm, previd: previous.id, h: previous.inbound }),
      bind &&
        x(
          "bind",
          { xmlns: NS.bind2 },
          x("tag", null, "Web"),
          bindInline.includes(NS.carbons) && x("enable", { xmlns: NS.carbons }),
          bindInline.includes(NS.sm) && x("enable", { xmlns: NS.sm, resume: "true" }),
        ),
      canToken && !byToken && x("request-token", { xmlns: NS.fast, mechanism: TOKEN_MECHANISM }),
      byToken && x("fast", { xmlns: NS.fast, count: who.count, invalidate: who.invalidate ? "true" : null }),
    ),
  );
  const answer = await talk(stream, scram, NS.sasl2, offerOf(mechanisms, features));
  const data = childText(answer, "additional-data", NS.sasl2);
  if (scram) scram.verify(data ?? "");
  else if (data && !(await tokenProved(who.token, data))) throw new ScramError("the server does not know our token");
  const token = child(answer, "token", NS.fast);
  const bound = child(answer, "bound", NS.bind2);
  const identity = childText(answer, "authorization-identifier", NS.sasl2) ?? "";
  const enabled = child(bound, "enabled", NS.sm);
  return {
    jid: bound ? identity : null,
    resumed: child(answer, "resumed", NS.sm) ?? null,
    failed: child(answer, "failed", NS.sm) ?? null,
    enabled: enabled ?? null,
    carbons: Boolean(bound) && bindInline.includes(NS.carbons),
    token: token ? { token: token.getAttribute("token"), expiry: token.getAttribute("expiry") } : null,
  };
}

async function classicLogIn(stream, who, features) {
  if (who.password === undefined) throw new LogInRefused("token-unknown");
  const offered = children(child(features, "mechanisms", NS.sasl), "mechanism", NS.sasl).map((node) => node.textContent);
  const scram = new Scram(chosen(offered), who.name, who.password);
  stream.send(x("auth", { xmlns: NS.sasl, mechanism: scram.mechanism }, scram.first()));
  const answer = await talk(stream, scram, NS.sasl, offerOf(offered, features));
  scram.verify(answer.textContent);
  stream.open();
  return { jid: null, resumed: null, failed: null, enabled: null, carbons: false, token: null };
}

/** Challenges and responses until success; a failure is thrown. */
async function talk(stream, scram, ns, offer) {
  for (;;) {
    const element = await expect(stream, ["challenge", "success", "failure", "continue"]);
    if (element.localName === "success") return element;
    if (element.localName === "failure") {
      const reason = [...element.children].find((node) => node.namespaceURI === NS.sasl && node.localName !== "text");
      throw new LogInRefused(reason?.localName ?? "not-authorized", childText(element, "text", ns));
    }
    if (element.localName === "continue" || !scram) throw new LogInRefused("unexpected");
    stream.send(x("response", { xmlns: ns }, await scram.final(element.textContent, offer)));
  }
}

/** Resumes or binds the classic way, after the features that follow a log-in. */
async function bindClassic(stream, outcome, acks) {
  const features = await expect(stream, ["features"]);
  const manages = child(features, "sm", NS.sm);
  if (manages && acks?.id && !outcome.failed) {
    stream.send(x("resume", { xmlns: NS.sm, previd: acks.id, h: acks.inbound }));
    const answer = await expect(stream, ["resumed", "failed"]);
    if (is(answer, "resumed", NS.sm)) {
      outcome.resumed = answer;
      return;
    }
    outcome.failed = answer;
  }
  stream.send(x("iq", { xmlns: NS.client, type: "set", id: "bind" }, x("bind", { xmlns: NS.bind })));
  const answer = await expect(stream, ["iq"]);
  outcome.jid = childText(child(answer, "bind", NS.bind), "jid", NS.bind);
  if (!outcome.jid) throw new LogInRefused("no-resource");
  if (!manages) return;
  stream.send(x("enable", { xmlns: NS.sm, resume: "true" }));
  const enabled = await expect(stream, ["enabled", "failed"]);
  if (is(enabled, "enabled", NS.sm)) outcome.enabled = enabled;
}
