// Palette: Ctrl-K: one field that leads to any conversation, contact or command.
// Spec: WAI-ARIA combobox with a listbox.

import { t } from "../i18n.js";
import { typed } from "../xmpp/jid.js";
import { avatar } from "./avatar.js";
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { openDialog } from "./dialog.js";

/** Entries that are shown. */
const SHOWN_MAX = 12;

/** Opens the palette. `commands`: `[{ name, icon, run }]`; `go(peer)` opens a conversation. */
export function openPalette(model, commands, go) {
  if (document.querySelector(".palette")) return;
  openDialog(
    t("palette.title"),
    (close) => {
      let entries = [];
      let at = 0;
      const list = h("ul", { role: "listbox", id: "palette-list", "aria-label": t("palette.title") });
      const field = h("input", {
        type: "text",
        role: "combobox",
        "aria-expanded": "true",
        "aria-controls": "palette-list",
        "aria-label": t("palette.hint"),
        placeholder: t("palette.hint"),
        autocomplete: "off",
        spellcheck: "false",
        autofocus: true,
        oninput: () => {
          at = 0;
          show();
        },
        onkeydown: (event) => {
          if (event.key === "ArrowDown") at = Math.min(at + 1, entries.length - 1);
          else if (event.key === "ArrowUp") at = Math.max(at - 1, 0);
          else if (event.key === "Enter" && entries[at]) return run(entries[at], event);
          else return undefined;
          event.preventDefault();
          return show();
        },
      });
      const run = (entry, event) => {
        event?.preventDefault();
        close();
        entry.run();
      };
      const show = () => {
        entries = find(model, commands, go, field.value.trim().toLocaleLowerCase()).slice(0, SHOWN_MAX);
        fill(
          list,
          entries.map((entry, place) =>
            h(
              "li",
              { role: "option", id: `palette-${place}`, "aria-selected": String(place === at), onclick: () => run(entry) },
              entry.peer ? avatar(model, entry.peer, { size: 30, dot: true }) : h("span", { class: "palette-icon" }, icon(entry.icon)),
              h("span", { class: "grow" }, entry.name),
              h("span", { class: "faint" }, entry.kind),
            ),
          ),
          entries.length === 0 && h("li", { class: "faint", role: "option", "aria-disabled": "true", "aria-selected": "false" }, t("palette.nothing")),
        );
        if (entries[at]) field.setAttribute("aria-activedescendant", `palette-${at}`);
        else field.removeAttribute("aria-activedescendant");
        list.children[at]?.scrollIntoView({ block: "nearest" });
      };
      show();
      return [field, list];
    },
    { kind: "palette" },
  );
}

function find(model, commands, go, words) {
  const holds = (text) => text.toLocaleLowerCase().includes(words);
  const person = (peer, kind) => ({ peer, name: model.name(peer), kind, run: () => go(peer) });
  const known = model.sorted().map((c) => c.peer);
  const others = [...model.roster.keys()].filter((jid) => !known.includes(jid));
  const matches = (jid) => holds(model.name(jid)) || jid.includes(words);
  const found = [
    ...known.filter(matches).map((jid) => person(jid, t("palette.conversation"))),
    ...others.filter(matches).map((jid) => person(jid, t("palette.contact"))),
    ...commands.filter(({ name }) => holds(name)).map((command) => ({ ...command, kind: t("palette.command") })),
  ];
  const asked = words && typed(words, model.home);
  if (asked && asked !== model.jid && !found.some(({ peer }) => peer === asked)) {
    found.push({ peer: asked, name: t("list.write", { number: model.number(asked) }), kind: "", run: () => go(asked) });
  }
  return found;
}
