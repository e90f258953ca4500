// Conversation: one conversation as it is read and written.
// Owns: the messages that are loaded of it. Invariants: they are in order of time, each once; what is read while the page
// is looked at is said to be read, and nothing else is.
// Not here: a message's look (`bubble`), what exists of the list (`scroller`), writing (`composer`).

import { dayText, reasonText, t } from "../i18n.js";
import { actionsFor, openMenu } from "./actions.js";
import { avatar, updateAvatar } from "./avatar.js";
import { makeBubble, updateBubble } from "./bubble.js";
import { Composer } from "./composer.js";
import { ask, toast } from "./dialog.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { Scroller } from "./scroller.js";
import { merge, sequence } from "./sequence.js";

/** Messages loaded at first, and at a time from disk. */
const FIRST = 60;
const MORE = 300;

export class Conversation {
  #model;
  #peer = null;
  #records = [];
  #quotes = new Map();
  #started = false;
  /** Keys of messages that came while the first page was read from disk. */
  #early = [];
  #loading = false;
  #exhausted = false;
  #unreadFrom = null;
  #below = 0;
  #scroller;
  #head = h("header", { class: "chat-head" });
  #bar = h("div", { class: "chat-bar" });
  #top = h("div", { class: "chat-top", "aria-live": "polite" });
  #canvas;
  #view;
  #jump;
  #announce = h("div", { class: "spoken", "aria-live": "polite" });
  #bubbles;

  /** `routes`: `{ back, details(peer), address(text) }`. */
  constructor(model, routes) {
    this.#model = model;
    this.routes = routes;
    this.composer = new Composer(model, { onSent: () => this.#sent(), onEditLast: () => this.#editLast() });
    this.#canvas = h("div", { class: "canvas", role: "list" });
    this.#view = h("div", { class: "messages", tabindex: "0", onkeydown: (event) => this.#key(event) }, this.#top, this.#canvas);
    this.#view.addEventListener("contextmenu", (event) => this.#context(event));
    this.#jump = h("button", { type: "button", class: "jump", hidden: true, onclick: () => this.#scroller.toEnd() }, icon("down"), h("span", { class: "jump-count" }));
    this.element = h(
      "section",
      { class: "chat" },
      this.#head,
      this.#bar,
      h("div", { class: "messages-box" }, this.#view, this.#jump),
      this.composer.element,
      this.#announce,
    );
    this.composer.dropOn(this.element);
    this.#bubbles = {
      name: () => model.name(this.#peer),
      quoted: (id) => this.#quoted(id),
      show: (key) => this.#show(key),
      openActions: (record, anchor) => openMenu(actionsFor(record, this), anchor),
      openAddress: (text) => routes.address(text),
      retry: (record) => this.#retry(record),
    };
    this.#scroller = new Scroller(this.#view, this.#canvas, {
      render: (item) => this.#render(item),
      update: (element, item) => this.#update(element, item),
      estimate: (item) => (item.record ? (item.first ? 44 : 37) + Math.floor(item.record.body.length / 60) * 22 : 44),
    });
    this.#scroller.onStart = () => this.#loadOlder();
    this.#scroller.onEnd = (atEnd) => this.#ended(atEnd);
    model.on("messages", (event) => this.#changed(event).catch(console.error));
    model.on("person", (jid) => (jid === null || jid === this.#peer) && this.#renderHead());
    model.on("phase", () => this.#peer && this.#renderHead());
    document.addEventListener("visibilitychange", () => this.#look());
    window.addEventListener("focus", () => this.#look());
  }

  get peer() {
    return this.#peer;
  }

  /** Messages that are loaded, and elements that exist: for those who measure. */
  get loaded() {
    return { messages: this.#records.length, elements: this.#scroller.shown };
  }

  /** Shows another conversation. */
  async turnTo(peer) {
    if (peer === this.#peer) return this.#look();
    this.#peer = peer;
    this.#records = [];
    this.#quotes.clear();
    this.#started = this.#loading = this.#exhausted = false;
    this.#early = [];
    this.#below = 0;
    this.#scroller.clear();
    this.#view.setAttribute("aria-label", t("chat.messages", { name: this.#model.name(peer) }));
    fill(this.#top);
    this.#renderHead();
    this.composer.turnTo(peer);
    this.element.dataset.peer = peer;
    const conversation = this.#model.conversations.get(peer);
    const records = await this.#model.history.page(peer, null, Math.max(FIRST, (conversation?.unread ?? 0) + 20));
    if (peer !== this.#peer) return undefined;
    const unread = conversation?.unread ?? 0;
    this.#unreadFrom = unread > 0 ? (records.filter((r) => !r.out).at(-unread)?.key ?? null) : null;
    this.#records = merge(records, this.#records);
    this.#started = true;
    await this.#loadQuotes(records);
    this.#layout();
    this.#scroller.toEnd();
    if (this.#unreadFrom !== null) this.#scroller.toItem("unread");
    this.#look();
    if (this.#early.length > 0) await this.#changed({ peer, keys: this.#early.splice(0) });
    if (records.length < FIRST) await this.#loadOlder();
    if (!this.#model.profiles.has(peer) && this.#model.phase === "online") this.#model.ask("profile", peer).catch(() => {});
    return undefined;
  }

  /** Shows no conversation any more; what was written stays as a draft. */
  turnAway() {
    if (!this.#peer) return;
    this.composer.turnAway();
    this.#peer = null;
    delete this.element.dataset.peer;
    this.#started = false;
    this.#records = [];
    this.#scroller.clear();
  }

  // What is done with a message.

  reply(record) {
    this.composer.reply(record, record.out ? t("message.you") : this.#model.name(this.#peer));
  }

  edit(record) {
    this.composer.edit(record);
  }

  async copy(record) {
    await navigator.clipboard.writeText(record.body);
    toast(t("message.copied"));
  }

  async retract(record) {
    if (await ask(t("message.retractAsk"), t("message.retract"), { danger: true })) {
      await this.#model.send(this.#peer, "", { retracts: record.oid });
    }
  }

  async #retry(record) {
    const again = await this.#model.history.retry(record.key);
    if (again) this.#model.ask("flush", again.peer, again.key).catch(console.error);
  }

  /** Who writes has read. */
  #sent() {
    this.#unreadFrom = null;
    this.#layout();
    this.#scroller.toEnd();
  }

  #editLast() {
    const last = this.#records.findLast((r) => r.out && !r.retracted && r.state !== "failed");
    if (last) this.edit(last);
  }

  // What changes.

  async #changed({ peer, keys }) {
    if (peer !== this.#peer) return;
    if (!this.#started) return void this.#early.push(...keys);
    const records = await this.#model.history.records(keys);
    if (peer !== this.#peer) return;
    const known = new Set(this.#records.map((r) => r.key));
    const oldest = this.#records[0]?.at ?? -Infinity;
    // What lies before all that is loaded is loaded when one gets there.
    const mine = records.filter((r) => known.has(r.key) || r.at >= oldest || this.#exhausted);
    if (mine.length === 0) return;
    const fresh = mine.filter((r) => !known.has(r.key));
    await this.#loadQuotes(fresh);
    this.#records = merge(this.#records, mine);
    for (const record of mine) if (this.#quotes.has(record.oid)) this.#quotes.set(record.oid, record);
    const atEnd = this.#scroller.atEnd;
    const arrived = fresh.filter((r) => !r.out);
    if (!atEnd) this.#below += arrived.length;
    if (!looks() && arrived.length > 0) this.#unreadFrom ??= arrived[0].key;
    this.#layout();
    this.#renderJump();
    for (const record of arrived.slice(-1)) {
      this.#announce.textContent = `${this.#model.name(peer)}: ${record.encrypted ? t("message.encrypted") : record.body.slice(0, 300)}`;
    }
    this.#look();
  }

  async #loadOlder() {
    if (this.#loading || !this.#started) return;
    if (this.#exhausted) return;
    const peer = this.#peer;
    this.#loading = true;
    try {
      let older = await this.#model.history.page(peer, this.#records[0] ?? null, MORE);
      if (older.length === 0 && this.#model.phase === "online" && this.#model.can.archive) {
        fill(this.#top, h("span", null, t("chat.loading")));
        const { added, complete } = await this.#model.ask("older", peer);
        if (peer !== this.#peer) return;
        older = added > 0 ? await this.#model.history.page(peer, this.#records[0] ?? null, MORE) : [];
        this.#exhausted = complete && older.length === 0;
      } else if (older.length === 0) this.#exhausted = this.#model.phase === "online";
      if (peer !== this.#peer) return;
      await this.#loadQuotes(older);
      this.#records = merge(older, this.#records);
    } catch (error) {
      if (error.reason !== "offline") console.error(error);
    } finally {
      if (peer === this.#peer) {
        this.#loading = false;
        this.#renderTop();
        this.#layout();
        if (!this.#exhausted && this.#records.length > 0 && this.#scroller.nearStart) this.#loadOlder();
      }
    }
  }

  /** Messages that others quote and that are not loaded. */
  async #loadQuotes(records) {
    const wanted = records.filter((r) => r.reply && !this.#quotes.has(r.reply.id)).map((r) => r.reply.id);
    for (const id of new Set(wanted)) {
      const found = await this.#model.history.named(this.#peer, id);
      if (found) this.#quotes.set(id, found);
    }
  }

  #quoted(id) {
    return this.#quotes.get(id);
  }

  /** Whoever looks at the end of the conversation has read it. */
  #look() {
    const peer = this.#peer;
    if (!peer || !looks() || !this.#started || !this.#scroller.atEnd || !this.element.isConnected) return;
    const last = this.#records.findLast((r) => !r.out);
    const unread = this.#model.conversations.get(peer)?.unread ?? 0;
    if (!last || (unread === 0 && this.#model.conversations.get(peer)?.readSid === (last.sid ?? last.oid))) return;
    this.#model.ask("seen", peer).catch(() => {});
  }

  #ended(atEnd) {
    if (atEnd && this.#below > 0) this.#below = 0;
    this.#renderJump();
    if (atEnd) this.#look();
  }

  // What is seen.

  #layout() {
    this.#scroller.set(sequence(this.#records, this.#unreadFrom, this.#quotes));
  }

  #render(item) {
    if (item.record) {
      const element = makeBubble(item, this.#bubbles);
      return element;
    }
    if (item.day) return h("div", { class: "day", role: "listitem" }, h("span", null, dayText(item.day)));
    return h("div", { class: "day unread-line", role: "listitem" }, h("span", null, t("chat.unread")));
  }

  #update(element, item) {
    if (item.record) updateBubble(element, item, this.#bubbles);
  }

  #renderTop() {
    const empty = this.#records.length === 0;
    const name = this.#model.name(this.#peer);
    if (empty) fill(this.#top, h("div", { class: "chat-start" }, avatar(this.#model, this.#peer, { size: 72 }), h("p", null, t("chat.empty", { name }))));
    else if (this.#exhausted) fill(this.#top, h("span", null, t("chat.start")));
    else fill(this.#top);
  }

  #renderHead() {
    const model = this.#model;
    const peer = this.#peer;
    if (!peer) return;
    if (!this.#head.firstChild) {
      const back = h("button", { type: "button", class: "round back", "aria-label": t("chat.back"), onclick: () => this.routes.back() }, icon("back"));
      const who = h("button", { type: "button", class: "who", onclick: () => this.routes.details(this.#peer) });
      const details = h("button", { type: "button", class: "round", "aria-label": t("chat.details"), title: t("chat.details"), onclick: () => this.routes.details(this.#peer) }, icon("info"));
      who.append(avatar(model, peer, { size: 40, dot: true }), h("span", { class: "who-text" }, h("h1"), h("span", { class: "who-state" })));
      this.#head.append(back, who, details);
    }
    const who = this.#head.children[1];
    updateAvatar(who.firstChild, model, peer, true);
    const [name, state] = who.lastChild.children;
    name.textContent = model.name(peer);
    state.textContent = this.#stateText();
    state.classList.toggle("typing", model.typing.has(peer));
    this.#renderBar();
    if (this.#started) this.#renderTop();
  }

  #stateText() {
    const model = this.#model;
    const peer = this.#peer;
    if (model.typing.has(peer)) return t("chat.typing");
    const item = model.roster.get(peer);
    const number = model.name(peer) === model.number(peer) ? "" : `${model.number(peer)} · `;
    if (item?.asking && !["to", "both"].includes(item.subscription)) return `${number}${t("presence.asked")}`;
    const status = model.presence.get(peer)?.status;
    if (!model.presence.has(peer) && !["to", "both"].includes(item?.subscription)) return number.replace(" · ", "");
    return `${number}${t(`presence.${model.availability(peer)}`)}${status ? ` · ${status}` : ""}`;
  }

  /** Blocked, or a stranger: said above the messages, with what can be done. */
  #renderBar() {
    const model = this.#model;
    const peer = this.#peer;
    const name = model.name(peer);
    const blocked = model.blocked.has(peer);
    this.composer.element.hidden = blocked;
    this.#bar.hidden = !blocked && (model.isContact(peer) || peer === model.jid || model.phase !== "online");
    if (this.#bar.hidden) return;
    const act = (label, method, ...more) =>
      h("button", { type: "button", class: "quiet small", onclick: () => model.ask(method, peer, ...more).catch((error) => toast(reasonText(error))) }, label);
    if (blocked) fill(this.#bar, h("span", null, t("chat.blocked", { name })), act(t("chat.unblock"), "block", false));
    else fill(this.#bar, h("span", null, t("chat.stranger", { name })), act(t("chat.add"), "add", ""), model.can.block && act(t("contact.block"), "block", true));
  }

  #renderJump() {
    this.#jump.hidden = this.#scroller.atEnd;
    this.#jump.lastChild.textContent = this.#below > 0 ? String(this.#below) : "";
    this.#jump.setAttribute("aria-label", this.#below > 0 ? t("chat.latestCount", { count: this.#below }) : t("chat.latest"));
  }

  // Keys and pointer.

  /** Shows a message that is quoted, loading back to it. */
  async #show(key) {
    for (let turn = 0; turn < 40 && !this.#records.some((r) => r.key === key) && !this.#exhausted; turn += 1) await this.#loadOlder();
    const element = this.#scroller.toItem(`m${key}`);
    element?.focus({ preventScroll: true });
    element?.classList.add("found");
    setTimeout(() => element?.classList.remove("found"), 1500);
  }

  #record(element) {
    const key = Number(element?.closest?.(".message")?.dataset.message);
    return this.#records.find((r) => r.key === key);
  }

  #key(event) {
    const record = this.#record(document.activeElement);
    const at = record ? this.#records.indexOf(record) : this.#records.length;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const next = this.#records[at + (event.key === "ArrowUp" ? -1 : 1)];
      event.preventDefault();
      if (next) this.#scroller.toItem(`m${next.key}`)?.focus({ preventScroll: true });
      else if (event.key === "ArrowDown") this.composer.focus();
      return;
    }
    if (event.key === "End") {
      event.preventDefault();
      this.#scroller.toEnd();
      return;
    }
    if (!record || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && event.target.classList.contains("message")) {
      event.preventDefault();
      return openMenu(actionsFor(record, this), event.target);
    }
    const action = actionsFor(record, this).find(({ key }) => key.toLowerCase() === event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action.run();
  }

  #context(event) {
    const record = this.#record(event.target);
    if (!record || event.target.closest("a") || !getSelection().isCollapsed) return;
    event.preventDefault();
    openMenu(actionsFor(record, this), event.target.closest(".bubble") ?? event.target);
  }
}

const looks = () => document.visibilityState === "visible" && document.hasFocus();
