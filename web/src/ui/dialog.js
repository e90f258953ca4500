// Dialog: a sheet over the page; questions that want yes or no; words that pass by.
// Spec: HTML `<dialog>`, which keeps the focus inside and gives it back.

import { t } from "../i18n.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

let count = 0;

/** Opens a sheet with a title. `body(close)` makes what stands in it. Returns a function that closes it. */
export function openDialog(title, body, { kind = "sheet", onclose } = {}) {
  const label = `dialog-${++count}`;
  const dialog = h("dialog", { class: `dialog ${kind}`, "aria-labelledby": label });
  const close = () => dialog.close();
  const head = h(
    "header",
    { class: "dialog-head" },
    h("h2", { id: label }, title),
    h("button", { type: "button", class: "round", "aria-label": t("dialog.close"), onclick: close }, icon("close")),
  );
  dialog.append(head, h("div", { class: "dialog-body" }, body(close)));
  dialog.addEventListener("close", () => {
    dialog.remove();
    onclose?.();
  });
  // A click beside the sheet closes it.
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) close();
  });
  document.body.append(dialog);
  dialog.showModal();
  return close;
}

/** Asks; resolves to whether the answer was yes. */
export function ask(question, yes, { danger = false } = {}) {
  return new Promise((resolve) => {
    let answer = false;
    const body = (close) => [
      h("p", { class: "question" }, question),
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", class: "quiet", onclick: close }, t("message.cancel")),
        h(
          "button",
          {
            type: "button",
            class: danger ? "danger" : "primary",
            onclick: () => {
              answer = true;
              close();
            },
          },
          yes,
        ),
      ),
    ];
    openDialog(yes, body, { kind: "question-sheet", onclose: () => resolve(answer) });
  });
}

/** How long a toast stays, in milliseconds. */
const TOAST_FOR = 6_000;

/** Says something in passing; `action`: `{ label, run }` stays until used. */
export function toast(text, action) {
  const place = document.getElementById("toasts");
  const element = h("div", { class: "toast" }, h("span", null, text));
  if (action) element.append(h("button", { type: "button", class: "link", onclick: () => action.run() }, action.label));
  place.replaceChildren(element);
  if (!action) setTimeout(() => element.remove(), TOAST_FOR);
}

/** A labelled field: `{ label, hint, ... }` of an `<input>`; returns `{ element, input, say }`. */
export function field({ label, hint, ...properties }) {
  const id = `field-${++count}`;
  const input = h("input", { id, "aria-describedby": `${id}-hint`, ...properties });
  const note = h("span", { id: `${id}-hint`, class: "hint" }, hint ?? "");
  const element = h("div", { class: "field" }, h("label", { for: id }, label), input, note);
  const say = (text) => {
    note.textContent = text ?? hint ?? "";
    note.classList.toggle("bad", Boolean(text));
    input.setAttribute("aria-invalid", String(Boolean(text)));
  };
  return { element, input, say };
}
