// Composer: where a message is written: its field, its emoji, what it answers or corrects.
// Owns: the words under way. Invariants: words are kept as a draft half a second after the last key, and when the page goes; a picture
// that is dropped or pasted is not lost in silence.
// Not here: sending (`model`), the messages above (`conversation`).

import { t } from "../i18n.js";
import { BODY_MAX } from "../features/message.js";
import { leaveDraft } from "../place.js";
import { toast } from "./dialog.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

/** How long after the last key a draft is kept, and typing is over (XEP-0085 5.3), in milliseconds. */
const DRAFT_AFTER = 400;
const PAUSED_AFTER = 5_000;

export class Composer {
  #model;
  #peer = null;
  #mode = null;
  #draftTimer;
  #typing = false;
  #typingTimer;
  #banner = h("div", { class: "banner" });

  /** `onSent()` after a message left; `onEditLast()` when the last one is to be edited. */
  constructor(model, { onSent, onEditLast }) {
    this.#model = model;
    this.onSent = onSent;
    this.onEditLast = onEditLast;
    this.field = h("textarea", {
      class: "composer-field",
      rows: "1",
      placeholder: t("chat.write"),
      autocomplete: "off",
      enterkeyhint: "send",
      dir: "auto",
      oninput: () => this.#changed(),
      onkeydown: (event) => this.#key(event),
      onpaste: (event) => this.#files(event, event.clipboardData),
      onblur: () => this.#stopTyping("paused"),
    });
    this.#banner.hidden = true;
    this.send = h("button", { type: "submit", class: "send", "aria-label": t("chat.send"), title: t("chat.send") }, icon("send"));
    const emoji = h(
      "button",
      {
        type: "button",
        class: "round",
        "aria-label": t("chat.emoji"),
        title: t("chat.emoji"),
        onclick: (event) => {
          const anchor = event.currentTarget;
          import("./emoji.js").then(({ chooseEmoji }) => chooseEmoji(anchor, (character) => this.#insert(character)));
        },
      },
      icon("emoji"),
    );
    this.element = h(
      "form",
      {
        class: "composer",
        onsubmit: (event) => {
          event.preventDefault();
          this.submit();
        },
      },
      this.#banner,
      h("div", { class: "composer-row" }, emoji, this.field, this.send),
    );
    window.addEventListener("pagehide", () => {
      if (this.#peer && this.#mode?.kind !== "edit") leaveDraft(model.jid, this.#peer, this.field.value);
    });
  }

  /** Takes dropped files for the pane around it. */
  dropOn(element) {
    element.addEventListener("dragover", (event) => event.preventDefault());
    element.addEventListener("drop", (event) => this.#files(event, event.dataTransfer));
  }

  /** Turns to a conversation, with its draft. */
  turnTo(peer) {
    this.keep();
    this.#stopTyping("active");
    this.#peer = peer;
    this.#mode = null;
    this.#showBanner();
    this.field.setAttribute("aria-label", t("chat.writeTo", { name: this.#model.name(peer) }));
    this.#set(this.#model.conversations.get(peer)?.draft ?? "");
  }

  /** Turns away from it; the draft stays. */
  turnAway() {
    this.keep();
    this.#stopTyping("active");
    this.#mode = null;
    this.#showBanner();
    this.#peer = null;
  }

  focus() {
    this.field.focus();
  }

  reply(record, name) {
    this.#mode = { kind: "reply", record, name };
    this.#showBanner();
    this.focus();
  }

  edit(record) {
    this.#mode = { kind: "edit", record };
    this.#showBanner();
    this.#set(record.body);
    this.focus();
  }

  /** Leaves replying or editing. Returns whether there was anything to leave. */
  cancel() {
    if (!this.#mode) return false;
    if (this.#mode.kind === "edit") this.#set("");
    this.#mode = null;
    this.#showBanner();
    return true;
  }

  /** Sends what is written. */
  async submit() {
    const body = this.field.value.trim();
    const peer = this.#peer;
    if (!body || !peer) return;
    if (body.length > BODY_MAX) return toast(t("chat.tooLong", { count: body.length, max: BODY_MAX }));
    const mode = this.#mode;
    this.#mode = null;
    this.#showBanner();
    this.#set("");
    clearTimeout(this.#draftTimer);
    this.#typing = false;
    clearTimeout(this.#typingTimer);
    if (mode?.kind === "edit") {
      if (body !== mode.record.body) await this.#model.send(peer, body, { replaces: mode.record.oid });
    } else {
      const reply = mode && {
        id: mode.record.oid ?? mode.record.sid,
        to: mode.record.out ? this.#model.jid : peer,
        quote: mode.record.body,
      };
      await this.#model.send(peer, body, reply ? { reply } : {});
    }
    await this.#model.keepDraft(peer, this.field.value);
    this.onSent();
  }

  /** Keeps the words as a draft, at once. */
  keep() {
    clearTimeout(this.#draftTimer);
    if (this.#peer && this.#mode?.kind !== "edit") this.#model.keepDraft(this.#peer, this.field.value).catch(console.error);
  }

  #set(text) {
    this.field.value = text;
    this.#size();
  }

  #changed() {
    this.#size();
    clearTimeout(this.#draftTimer);
    this.#draftTimer = setTimeout(() => this.keep(), DRAFT_AFTER);
    if (this.field.value.trim() === "") return this.#stopTyping("active");
    if (!this.#typing) this.#tell("composing");
    this.#typing = true;
    clearTimeout(this.#typingTimer);
    this.#typingTimer = setTimeout(() => this.#stopTyping("paused"), PAUSED_AFTER);
  }

  #stopTyping(state) {
    clearTimeout(this.#typingTimer);
    if (this.#typing) this.#tell(state);
    this.#typing = false;
  }

  #tell(state) {
    this.#model.ask("typing", this.#peer, state).catch(() => {});
  }

  /** As high as its lines, up to what the style allows. */
  #size() {
    this.field.style.setProperty("height", "auto");
    this.field.style.setProperty("height", `${this.field.scrollHeight}px`);
    this.send.disabled = this.field.value.trim() === "";
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" && this.field.value === "") {
      event.preventDefault();
      this.onEditLast();
    } else if (event.key === "Escape" && this.cancel()) {
      event.preventDefault();
      event.stopPropagation();
    }
  }

  #insert(character) {
    this.field.setRangeText(character, this.field.selectionStart, this.field.selectionEnd, "end");
    this.#changed();
    this.focus();
  }

  #files(event, data) {
    const files = [...(data?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    toast(t("chat.picture"));
  }

  #showBanner() {
    this.#banner.hidden = !this.#mode;
    if (!this.#mode) return fill(this.#banner);
    const { kind, record, name } = this.#mode;
    return fill(
      this.#banner,
      icon(kind, 18),
      h(
        "span",
        { class: "banner-text" },
        h("b", null, kind === "edit" ? t("message.editing") : t("message.replyingTo", { name })),
        h("span", null, record.body.slice(0, 120)),
      ),
      h(
        "button",
        {
          type: "button",
          class: "round small",
          "aria-label": t("message.cancel"),
          onclick: () => {
            this.cancel();
            this.focus();
          },
        },
        icon("close", 18),
      ),
    );
  }
}
