// Bubble: one message as it is seen.
// Not here: which messages (`conversation`), what may be done with one (`actions`).

import { clockTime, fullTime, reasonText, t } from "../i18n.js";
import { fill, h, spokenOnly } from "./dom.js";
import { icon } from "./icons.js";
import { isLarge, richText } from "./richtext.js";

/** Characters of a quoted message that are shown. */
const QUOTE_SHOWN = 160;

/** Makes the element of a message; `updateBubble` fills it. */
export function makeBubble(item, context) {
  const element = h("div", { class: "message", role: "listitem", tabindex: "-1" });
  updateBubble(element, item, context);
  return element;
}

/** Brings it up to date. `item`: `{ record, first, last }`; `context`: the conversation. */
export function updateBubble(element, item, context) {
  const { record, first, last } = item;
  element.className = `row-item message ${record.out ? "out" : "in"}${first ? " first" : ""}${last ? " last" : ""}`;
  element.dataset.message = String(record.key);
  const large = !record.retracted && !record.encrypted && isLarge(record.body);
  const bubble = h("div", { class: `bubble${large ? " large" : ""}${record.state === "failed" ? " bad" : ""}`, dir: "auto" });
  const who = spokenOnly(`${record.out ? t("message.you") : context.name()}: `);
  fill(
    element,
    fill(bubble, who, quote(record, context), text(record, context), meta(record)),
    h(
      "button",
      {
        type: "button",
        class: "message-more",
        tabindex: "-1",
        "aria-label": t("message.actions"),
        "aria-haspopup": "menu",
        onclick: (event) => context.openActions(record, event.currentTarget),
      },
      icon("more", 18),
    ),
    record.state === "failed" && failure(record, context),
  );
}

function text(record, context) {
  if (record.retracted) return h("span", { class: "text faint" }, icon("retract", 16), " ", t("message.retracted"));
  if (record.encrypted) return h("span", { class: "text faint" }, icon("lock", 16), " ", t("message.encrypted"));
  return h("span", { class: "text" }, richText(record.body, context.openAddress));
}

function quote(record, context) {
  if (!record.reply || record.retracted) return null;
  const target = context.quoted(record.reply.id);
  const name = target ? (target.out ? t("message.you") : context.name()) : "";
  const words = target
    ? target.retracted
      ? t("message.retracted")
      : target.encrypted
        ? t("message.encrypted")
        : target.body.slice(0, QUOTE_SHOWN)
    : (record.reply.quote?.slice(0, QUOTE_SHOWN) ?? t("message.gone"));
  return h(
    "button",
    { type: "button", class: "quote", tabindex: "-1", onclick: () => target && context.show(target.key) },
    name && h("span", { class: "quote-name" }, name),
    h("span", { class: "quote-text" }, words),
  );
}

function meta(record) {
  return h(
    "span",
    { class: "meta" },
    record.edited && !record.retracted && h("span", null, t("message.edited")),
    h("time", { datetime: new Date(record.at).toISOString(), title: fullTime(record.at) }, clockTime(record.at)),
    record.out && h("span", { class: `mark mark-${record.state}` }, icon(record.state, 15), spokenOnly(t(`message.${record.state}`, { reason: "" }))),
  );
}

function failure(record, context) {
  return h(
    "div",
    { class: "failure" },
    h("span", null, t("message.failed", { reason: reasonText(record.error) })),
    h("button", { type: "button", class: "link", onclick: () => context.retry(record) }, t("message.retry")),
  );
}
