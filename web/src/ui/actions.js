// Actions: what can be done with a message, as a menu and by keys.

import { t } from "../i18n.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";

/** The actions that make sense for a message: `[{ name, key, run }]`. */
export function actionsFor(record, conversation) {
  const plain = !record.retracted && !record.encrypted;
  const settled = record.state !== "failed";
  return [
    plain && record.oid && settled && { name: "reply", key: "r", run: () => conversation.reply(record) },
    plain && record.out && settled && { name: "edit", key: "e", run: () => conversation.edit(record) },
    plain && { name: "copy", key: "c", run: () => conversation.copy(record) },
    !record.retracted && record.out && settled && { name: "retract", key: "Delete", run: () => conversation.retract(record) },
  ].filter(Boolean);
}

/** Opens the menu of a message beside `anchor`. */
export function openMenu(actions, anchor) {
  document.querySelector(".menu")?.remove();
  const menu = h("div", { class: "menu", role: "menu", "aria-label": t("message.actions") });
  const close = (giveBack) => {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    if (giveBack) anchor.focus?.();
  };
  const outside = (event) => {
    if (!menu.contains(event.target)) close(false);
  };
  for (const { name, run } of actions) {
    const onclick = () => {
      close(true);
      run();
    };
    menu.append(
      h("button", { type: "button", role: "menuitem", tabindex: "-1", class: name === "retract" ? "bad" : null, onclick }, icon(name, 18), t(`message.${name}`)),
    );
  }
  menu.addEventListener("keydown", (event) => {
    const items = [...menu.children];
    const at = items.indexOf(document.activeElement);
    if (event.key === "ArrowDown") items[(at + 1) % items.length].focus();
    else if (event.key === "ArrowUp") items[(at - 1 + items.length) % items.length].focus();
    else if (event.key === "Escape" || event.key === "Tab") close(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  document.body.append(menu);
  place(menu, anchor.getBoundingClientRect());
  document.addEventListener("pointerdown", outside, true);
  menu.firstElementChild?.focus();
}

/** Puts the menu where it fits: under the anchor, else above it. */
function place(menu, anchor) {
  const { width, height } = menu.getBoundingClientRect();
  const left = Math.min(Math.max(8, anchor.right - width), window.innerWidth - width - 8);
  const below = anchor.bottom + 4;
  const top = below + height < window.innerHeight - 8 ? below : Math.max(8, anchor.top - height - 4);
  menu.style.setProperty("left", `${left}px`);
  menu.style.setProperty("top", `${top}px`);
}
