// Shortcuts: which keys do what, and the sheet that says so.
// Invariants: the sheet, `docs/web-client.md` and what the page does are one list (a test compares them).

import { t } from "../i18n.js";
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";

/** Name of the words, and the keys. */
export const SHORTCUTS = [
  ["palette", ["Ctrl K"]],
  ["sheet", ["Ctrl /", "?"]],
  ["next", ["Alt ↓", "Alt ↑"]],
  ["search", ["/"]],
  ["compose", ["Alt M"]],
  ["back", ["Esc"]],
  ["send", ["Enter"]],
  ["line", ["Shift Enter"]],
  ["editLast", ["↑"]],
  ["messages", ["Shift Tab", "↑", "↓"]],
  ["older", ["Page Up", "Page Down"]],
  ["latest", ["End"]],
  ["reply", ["R"]],
  ["edit", ["E"]],
  ["copy", ["C"]],
  ["retract", ["Delete"]],
];

export function showShortcuts() {
  if (document.querySelector(".keys")) return;
  openDialog(t("keys.title"), () =>
    h(
      "dl",
      { class: "keys" },
      SHORTCUTS.map(([name, keys]) => [h("dt", null, keys.map((key) => h("kbd", null, key))), h("dd", null, t(`keys.${name}`))]),
    ),
  );
}

/** Hears keys for the whole page. `does`: what each name does. */
export function listenToKeys(does) {
  document.addEventListener("keydown", (event) => {
    const control = event.ctrlKey || event.metaKey;
    const writing = event.target.matches?.("input, textarea, select");
    const dialog = document.querySelector("dialog[open]");
    let run;
    if (control && event.key.toLowerCase() === "k") run = does.palette;
    else if (control && event.key === "/") run = does.sheet;
    else if (dialog) return;
    else if (event.altKey && event.key === "ArrowDown") run = () => does.next(1);
    else if (event.altKey && event.key === "ArrowUp") run = () => does.next(-1);
    else if (event.altKey && event.key.toLowerCase() === "m") run = does.compose;
    else if (!writing && !control && !event.altKey && event.key === "?") run = does.sheet;
    else if (!writing && !control && !event.altKey && event.key === "/") run = does.search;
    else if (event.key === "Escape" && !document.querySelector(".menu, .emoji")) run = does.back;
    else if (event.key === "PageUp" || event.key === "PageDown") run = () => does.page(event.key === "PageUp" ? -1 : 1);
    if (!run) return;
    event.preventDefault();
    run();
  });
}
