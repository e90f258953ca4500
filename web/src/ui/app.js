// App: the page as a whole: which part is seen, where the address leads, what the window's title says.
// Owns: the routes (`#/`, `#/c/ADDRESS`, `#/invite/TOKEN`, `#/lines`, `#/lines/ID`).
// Not here: what any part shows.

import { t } from "../i18n.js";
import { typed } from "../xmpp/jid.js";
import { fill, h } from "./dom.js";
import { sign } from "./icons.js";
import { List, walkList } from "./list.js";
import { dismiss, notify } from "./notifications.js";
import { listenToKeys, showShortcuts } from "./shortcuts.js";
import { invitePage, logInPage } from "./welcome.js";

// What few want, or late, is fetched when it is wanted.
const contact = () => import("./contact.js");
const conversation = () => import("./conversation.js");
const lines = () => import("./lines.js");
const palette = () => import("./palette.js");
const settings = () => import("./settings.js");
const share = () => import("./share.js");

/** One pane at a time, as `style/shell.css` has it. */
const NARROW = matchMedia("(max-width: 760px)");

export class App {
  #model;
  #root = document.getElementById("app");
  #list;
  #conversation = null;
  #lines = null;
  #routes;
  #pane;
  #strip;
  #shell;
  #page = "";
  #asked = null;

  constructor(model) {
    this.#model = model;
    this.#build();
    window.addEventListener("hashchange", () => this.show());
    NARROW.addEventListener("change", () => this.show());
    document.addEventListener("visibilitychange", () => this.#attend());
    window.addEventListener("focus", () => this.#attend());
    window.addEventListener("blur", () => this.#attend());
    window.addEventListener("pagehide", () => model.attend(null));
    model.on("account", () => this.show());
    model.on("phase", () => this.#phase());
    model.on("list", () => this.#title());
    model.on("arrived", (event) => this.#arrived(event).catch(console.error));
    document.addEventListener("keydown", walkList);
    listenToKeys({
      palette: () => model.jid && this.palette(),
      sheet: showShortcuts,
      next: (step) => {
        const peer = this.#list.neighbour(step);
        if (peer) this.go(peer);
      },
      search: () => this.#search(),
      compose: () => this.#conversation?.composer.focus(),
      back: () => this.#escape(),
      page: (step) => {
        const view = document.querySelector(".messages");
        view?.scrollBy({ top: step * view.clientHeight * 0.9 });
      },
    });
  }

  /** The parts of the page, in the language of the moment. */
  #build() {
    const model = this.#model;
    const routes = {
      back: () => (location.hash = "#/"),
      details: (peer) => contact().then(({ showContact }) => showContact(model, peer)),
      address: (text) => {
        const jid = typed(text, model.home);
        if (jid) this.go(jid);
      },
      open: (id) => (location.hash = id ? `#/lines/${encodeURIComponent(id)}` : "#/lines"),
    };
    this.#list = new List(model, {
      go: (peer) => this.go(peer),
      addSomeone: () => this.#add(),
      settings: () => this.#settings(),
      lines: () => (location.hash = "#/lines"),
    });
    this.#conversation = null;
    this.#routes = routes;
    this.#pane = h("main", { class: "pane" });
    this.#strip = h("div", { class: "strip", role: "status" });
    this.#shell = h("div", { class: "shell" }, this.#list.element, this.#pane);
  }

  async #add() {
    const { addSomeone } = await contact();
    addSomeone(this.#model, (peer) => this.go(peer));
  }

  async #settings() {
    const { openSettings } = await settings();
    openSettings(this.#model, () => this.#relabel());
  }

  #relabel() {
    this.#lines?.stop();
    this.#lines = null;
    this.#conversation?.turnAway();
    this.#build();
    this.#page = "";
    this.show();
  }

  go(peer) {
    const hash = `#/c/${encodeURIComponent(peer)}`;
    if (location.hash === hash) this.#conversation?.composer.focus();
    else location.hash = hash;
  }

  async palette() {
    const { openPalette } = await palette();
    const model = this.#model;
    const commands = [
      { name: t("list.new"), icon: "plus", run: () => this.#add() },
      { name: t("list.settings"), icon: "settings", run: () => this.#settings() },
      { name: t("settings.invite"), icon: "invite", run: () => share().then(({ shareInvite }) => shareInvite(model)) },
      { name: t("settings.shortcuts"), icon: "keyboard", run: showShortcuts },
      model.can.lines && { name: t("lines.title"), icon: "lines", run: () => (location.hash = "#/lines") },
    ];
    openPalette(model, commands.filter(Boolean), (peer) => this.go(peer));
  }

  /** Shows what the address says. */
  show() {
    const model = this.#model;
    const [, name = "", argument = ""] = location.hash.split("/");
    const asked = safely(argument);
    if (!model.jid) {
      if (name === "invite") return this.#swap(`invite ${asked}`, () => invitePage(model, asked));
      return this.#swap("login", () => logInPage(model));
    }
    if (model.phase === "refused") {
      return this.#swap("refused", () => logInPage(model, { reason: model.reason, number: model.number(model.jid) }));
    }
    this.#swap("shell", () => {
      // Behind the first paint, so that the first conversation opens at once.
      setTimeout(conversation, 300);
      return h("div", { class: "frame" }, this.#strip, this.#shell);
    });
    if (name !== "lines") this.#lines?.stop();
    const peer = name === "c" ? typed(asked, model.home) : null;
    const pane = peer || name === "lines" ? "main" : "list";
    this.#shell.dataset.pane = pane;
    // On a narrow screen the list is all there is, so it is the page's main part then.
    const alone = pane === "list" && NARROW.matches;
    this.#list.element.setAttribute("role", alone ? "main" : "navigation");
    this.#list.title.hidden = !alone;
    this.#asked = peer;
    this.#list.select(peer);
    if (!peer) this.#conversation?.turnAway();
    if (peer) this.#showConversation(peer).catch(console.error);
    else if (name === "lines") this.#showLines(asked || null).catch(console.error);
    else this.#fillPane(this.#nothing());
    this.#attend();
    this.#title();
    return undefined;
  }

  async #showConversation(peer) {
    const { Conversation } = await conversation();
    if (this.#asked !== peer) return;
    this.#conversation ??= new Conversation(this.#model, this.#routes);
    this.#fillPane(this.#conversation.element);
    const fine = matchMedia("(pointer: fine)").matches;
    const turned = this.#conversation.turnTo(peer);
    if (fine && !document.querySelector("dialog[open]")) this.#conversation.composer.focus();
    this.#attend();
    this.#title();
    await turned;
  }

  async #showLines(open) {
    const { Lines } = await lines();
    if (!location.hash.startsWith("#/lines")) return;
    this.#lines ??= new Lines(this.#model, this.#routes);
    this.#fillPane(this.#lines.element);
    this.#lines.start(open);
  }

  #fillPane(element) {
    if (this.#pane.firstChild !== element) fill(this.#pane, element);
  }

  #nothing() {
    return h(
      "div",
      { class: "nothing" },
      sign(88),
      h("h1", null, t("chat.none")),
      h("p", null, t("chat.noneHint", { key: "Ctrl K" })),
    );
  }

  #swap(page, make) {
    if (this.#page === page) return;
    this.#page = page;
    fill(this.#root, make());
    this.#root.querySelector("[autofocus]")?.focus();
    this.#phase();
    this.#title();
  }

  #phase() {
    const { phase } = this.#model;
    if ((phase === "refused") !== (this.#page === "refused") && this.#model.jid) this.show();
    const words = phase === "connecting" || phase === "offline" ? t(`phase.${phase}`) : "";
    this.#strip.className = `strip strip-${phase}`;
    // Most connections are there before anyone could read that they are being made.
    clearTimeout(this.stripTimer);
    if (!words) fill(this.#strip);
    else this.stripTimer = setTimeout(() => fill(this.#strip, words), phase === "offline" ? 0 : 900);
  }

  #title() {
    const count = this.#model.jid ? this.#model.unread() : 0;
    const peer = this.#page === "shell" ? this.#asked : null;
    document.title = `${count > 0 ? `(${count}) ` : ""}${peer ? `${this.#model.name(peer)} · ` : ""}${t("app.name")}`;
    if (count > 0) navigator.setAppBadge?.(count).catch(() => {});
    else navigator.clearAppBadge?.().catch(() => {});
  }

  #attend() {
    const visible = document.visibilityState === "visible" && document.hasFocus();
    if (this.#model.jid) this.#model.attend({ visible, peer: this.#asked });
    if (visible && this.#asked) dismiss(this.#asked).catch(console.error);
  }

  async #arrived({ peer, key, quiet }) {
    // Of all tabs the one that leads says it, once.
    if (quiet || !this.#model.leads || this.#model.blocked.has(peer)) return;
    const [record] = await this.#model.history.records([key]);
    if (record) await notify(this.#model.name(peer), record, peer);
  }

  #search() {
    this.#list.search.focus();
    this.#list.search.select();
  }

  #escape() {
    const composer = this.#conversation?.composer;
    if (composer?.cancel()) return;
    if (location.hash !== "#/" && NARROW.matches) location.hash = "#/";
    else if (document.activeElement !== composer?.field) composer?.focus();
  }
}

function safely(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

