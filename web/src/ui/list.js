// List: the conversations, the requests, and whoever a search finds.
// Not here: what stands in a conversation (`conversation`).

import { shortTime, t } from "../i18n.js";
import { typed } from "../xmpp/jid.js";
import { avatar, updateAvatar } from "./avatar.js";
import { fill, h, reconcile, spokenOnly } from "./dom.js";
import { icon, sign } from "./icons.js";

/** The side of the page with the list. `go(peer)` opens a conversation; `open` holds what the buttons do. */
export class List {
  #model;
  #go;
  #selected = null;
  #frame = 0;
  #requests = h("div", { class: "requests" });
  #rows = h("ul", { class: "rows" });
  #note = h("div", { class: "list-note" });
  #me;
  #lines;

  constructor(model, { go, addSomeone, settings, lines }) {
    this.#model = model;
    this.#go = go;
    this.search = h("input", {
      type: "search",
      class: "search",
      "aria-label": t("list.search"),
      placeholder: t("list.search"),
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.render(),
      onkeydown: (event) => this.#searchKey(event),
    });
    this.#me = h("button", { type: "button", class: "me", title: t("list.settings"), onclick: settings });
    this.#lines = h("button", { type: "button", class: "round", "aria-label": t("list.lines"), title: t("list.lines"), onclick: lines }, icon("lines"));
    const plus = h("button", { type: "button", class: "round", "aria-label": t("list.new"), title: t("list.new"), onclick: addSomeone }, icon("plus"));
    // A navigation beside a conversation, the page's main part where it is alone (`app`).
    this.element = h(
      "div",
      { role: "navigation", class: "side", "aria-label": t("list.title") },
      (this.title = h("h1", { class: "spoken" }, t("list.title"))),
      h("div", { class: "side-head" }, this.#me, h("span", { class: "grow" }), this.#lines, plus),
      h("div", { class: "search-box" }, icon("search", 18), this.search, h("kbd", { "aria-hidden": "true" }, "Ctrl K")),
      h("div", { class: "side-scroll", tabindex: "-1" }, this.#requests, this.#rows, this.#note),
    );
    for (const topic of ["list", "account", "me", "phase"]) model.on(topic, () => this.#soon());
    this.render();
  }

  select(peer) {
    this.#selected = peer;
    this.render();
  }

  /** The conversation after or before the selected one. */
  neighbour(step) {
    const peers = [...this.#rows.querySelectorAll("[data-key]")].map((row) => row.dataset.key);
    if (peers.length === 0) return null;
    const at = peers.indexOf(this.#selected);
    return peers[(at + step + peers.length) % peers.length] ?? peers[0];
  }

  #soon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.render();
    });
  }

  render() {
    const model = this.#model;
    const words = this.search.value.trim().toLocaleLowerCase();
    this.#lines.hidden = !model.can.lines;
    this.#renderMe();
    this.#renderRequests(words);
    const items = words ? this.#found(words) : model.sorted().map((c) => ({ peer: c.peer, conversation: c }));
    reconcile(this.#rows, items, {
      key: (item) => item.peer,
      make: (item) => this.#row(item.peer),
      update: (row, item) => this.#update(row, item),
    });
    fill(this.#note, items.length === 0 ? this.#nothing(words) : null);
  }

  #renderMe() {
    const model = this.#model;
    if (!model.jid) return;
    if (!this.#me.firstChild) {
      this.#me.append(avatar(model, model.jid, { size: 38 }), h("span", { class: "me-text" }, h("b"), h("span", { class: "number" }), spokenOnly(t("list.settings"))));
    }
    updateAvatar(this.#me.firstChild, model, model.jid);
    const [name, number] = this.#me.lastChild.children;
    name.textContent = model.name(model.jid);
    number.textContent = model.me.nick ? model.number(model.jid) : t("app.tagline");
  }

  #renderRequests(words) {
    const items = words ? [] : [...this.#model.requests].filter(([jid]) => !this.#model.blocked.has(jid));
    reconcile(this.#requests, items, {
      key: ([jid]) => jid,
      make: ([jid]) => this.#request(jid),
      update: () => {},
    });
  }

  #request(jid) {
    const model = this.#model;
    const nick = model.requests.get(jid)?.nick;
    const name = model.roster.get(jid)?.name || nick || model.number(jid);
    const answer = (method, ...more) => () => model.ask(method, jid, ...more).catch(console.error);
    const text = nick ? `${nick} (${model.number(jid)})` : name;
    return h(
      "section",
      { class: "request", "aria-label": t("list.requests") },
      avatar(model, jid, { size: 36 }),
      h("p", null, t("request.text", { name: text })),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "primary small", onclick: answer("accept") }, t("request.accept")),
        h("button", { type: "button", class: "quiet small", onclick: answer("refuse") }, t("request.refuse")),
        model.can.block && h("button", { type: "button", class: "quiet small", onclick: answer("block", true) }, t("request.block")),
      ),
    );
  }

  /** Conversations and contacts whose name or number holds the words, and the number itself if it is one. */
  #found(words) {
    const model = this.#model;
    const holds = (jid) => model.name(jid).toLocaleLowerCase().includes(words) || jid.includes(words);
    const peers = model.sorted().map((c) => c.peer).filter(holds);
    const others = [...model.roster.keys()].filter((jid) => holds(jid) && !peers.includes(jid));
    const all = [...peers, ...others];
    const asked = typed(words, model.home);
    if (asked && asked !== model.jid && !all.includes(asked)) all.push(asked);
    return all.map((peer) => ({ peer, conversation: model.conversations.get(peer) }));
  }

  #nothing(words) {
    if (words) return h("p", null, t("list.nothing"));
    return [sign(56), h("p", null, h("b", null, t("list.empty"))), h("p", null, t("list.emptyHint"))];
  }

  #row(peer) {
    const link = h(
      "a",
      { class: "conversation-row", href: `#/c/${encodeURIComponent(peer)}`, onclick: (event) => this.#open(event, peer) },
      avatar(this.#model, peer, { dot: true }),
      h("span", { class: "row-name" }),
      h("span", { class: "row-time" }),
      h("span", { class: "row-preview" }),
      h("span", { class: "row-badge" }),
    );
    return h("li", null, link);
  }

  #update(row, { peer, conversation }) {
    const model = this.#model;
    const [picture, name, time, preview, badge] = row.firstChild.children;
    updateAvatar(picture, model, peer, true);
    name.textContent = model.name(peer);
    time.textContent = conversation?.lastAt ? shortTime(conversation.lastAt) : "";
    fill(preview, this.#preview(peer, conversation));
    const unread = peer === this.#selected && document.hasFocus() ? 0 : (conversation?.unread ?? 0);
    fill(badge, unread > 0 && [h("span", { "aria-hidden": "true" }, unread > 99 ? "99+" : String(unread)), spokenOnly(t("list.unread", { count: unread }))]);
    row.firstChild.classList.toggle("unread", unread > 0);
    row.firstChild.classList.toggle("blocked", model.blocked.has(peer));
    if (peer === this.#selected) row.firstChild.setAttribute("aria-current", "page");
    else row.firstChild.removeAttribute("aria-current");
  }

  #preview(peer, conversation) {
    if (this.#model.typing.has(peer)) return h("span", { class: "typing" }, t("chat.typing"));
    if (conversation?.draft && peer !== this.#selected) return h("span", { class: "draft" }, t("list.draft", { text: conversation.draft.slice(0, 100) }));
    const last = conversation?.preview;
    if (!last) return this.#model.isContact(peer) ? this.#model.number(peer) : t("list.write", { number: this.#model.number(peer) });
    const text = last.kind === "text" ? last.body : t(`message.${last.kind}`);
    const words = last.out ? t("list.you", { text }) : text;
    return [last.out && last.state === "failed" && icon("failed", 14), words];
  }

  #open(event, peer) {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    this.#clearSearch();
    this.#go(peer);
  }

  #clearSearch() {
    this.search.value = "";
    this.render();
  }

  #searchKey(event) {
    const rows = [...this.#rows.querySelectorAll("a")];
    if (event.key === "Enter" && rows.length > 0) rows[0].click();
    else if (event.key === "ArrowDown" && rows.length > 0) rows[0].focus();
    else if (event.key === "Escape" && this.search.value) this.#clearSearch();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Arrow keys walk through the list. Returns whether the key was one. */
export function walkList(event) {
  const rows = [...document.querySelectorAll(".rows a")];
  const at = rows.indexOf(document.activeElement);
  if (at < 0) return false;
  if (event.key === "ArrowDown") rows[Math.min(at + 1, rows.length - 1)].focus();
  else if (event.key === "ArrowUp" && at > 0) rows[at - 1].focus();
  else if (event.key === "ArrowUp") document.querySelector(".search")?.focus();
  else return false;
  event.preventDefault();
  return true;
}
