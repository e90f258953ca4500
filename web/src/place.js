// Place: where the page is and whose it is: the exchange's address, this browser's name, the account, the session to resume.
// Spec: RFC 7395 4 (host-meta would say the same); XEP-0388 2.2.1 (a name for the browser that stays).
// Owns: what lies in localStorage. Invariants: no password and no token is there; a session is taken once.
// Not here: what belongs to an account (`store/settings`).

const ACCOUNT = "switchboard-account";
const AGENT = "switchboard-agent";
const SESSION = "switchboard-session";
const DRAFT = "switchboard-draft";

const told = (name) => document.querySelector(`meta[name="switchboard-${name}"]`)?.content ?? "";

/** The exchange: `{ url, domain, https }`. `https` is its address for browsers on other hosts, or "". */
export function exchange() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const port = told("https");
  return {
    url: `${scheme}//${location.host}/xmpp-websocket`,
    domain: told("domain") || location.hostname,
    https: port ? `https://${location.hostname}${port === "443" ? "" : `:${port}`}/` : "",
  };
}

/** The account that this browser is logged in to, or null. */
export const account = () => localStorage.getItem(ACCOUNT);
export const remember = (jid) => localStorage.setItem(ACCOUNT, jid);

/** Forgets the account and the session; the browser keeps its name. */
export function forget() {
  localStorage.removeItem(ACCOUNT);
  localStorage.removeItem(SESSION);
  localStorage.removeItem(DRAFT);
}

/** This browser, as the exchange tells devices apart. */
export function agent() {
  let id = localStorage.getItem(AGENT);
  if (!id) localStorage.setItem(AGENT, (id = crypto.randomUUID()));
  const ua = navigator.userAgentData;
  const device = ua ? `${ua.brands.at(-1)?.brand ?? "Browser"}, ${ua.platform}` : navigator.platform;
  return { id, device };
}

/** Leaves a session for the page after this one. */
export function leaveSession(session) {
  if (session) localStorage.setItem(SESSION, JSON.stringify({ ...session, at: Date.now() }));
}

/** Takes the session that the page before this one left, if it may still be resumed. */
export function takeSession(jid) {
  const text = localStorage.getItem(SESSION);
  localStorage.removeItem(SESSION);
  if (!text) return null;
  const saved = JSON.parse(text);
  const young = Date.now() - saved.at < saved.acks.max * 1000;
  return young && saved.jid.startsWith(`${jid}/`) ? saved : null;
}

/** Leaves what was being written when the page went: a database takes longer than a page that goes has. */
export function leaveDraft(jid, peer, draft) {
  localStorage.setItem(DRAFT, JSON.stringify({ jid, peer, draft }));
}

/** Takes what the page before this one was writing: `{ peer, draft }`, or null. */
export function takeDraft(jid) {
  const text = localStorage.getItem(DRAFT);
  if (!text) return null;
  const saved = JSON.parse(text);
  if (saved.jid !== jid) return null;
  localStorage.removeItem(DRAFT);
  return saved;
}
