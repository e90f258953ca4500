// Contact: adding someone by number, and what can be known and done about someone.

import { reasonText, t } from "../i18n.js";
import { typed } from "../xmpp/jid.js";
import { avatar } from "./avatar.js";
import { ask, field, openDialog, toast } from "./dialog.js";
import { h } from "./dom.js";

/** Asks for a number and adds it. */
export function addSomeone(model, go) {
  openDialog(t("add.title"), (close) => {
    const number = field({ label: t("add.number"), hint: t("add.numberHint"), inputmode: "text", autocomplete: "off", required: true, autofocus: true });
    const name = field({ label: t("add.name"), hint: t("add.nameHint"), autocomplete: "off", maxlength: "100" });
    const onsubmit = async (event) => {
      event.preventDefault();
      const jid = typed(number.input.value, model.home);
      if (!jid) return number.say(t("add.bad"));
      if (jid === model.jid) return number.say(t("add.self"));
      try {
        await model.ask("add", jid, name.input.value.trim());
      } catch (error) {
        return number.say(reasonText(error));
      }
      close();
      return go(jid);
    };
    return h(
      "form",
      { class: "stack", onsubmit },
      number.element,
      name.element,
      h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, t("add.submit"))),
    );
  });
}

/** Shows someone's details. */
export function showContact(model, jid) {
  openDialog(t("contact.title"), (close) => {
    const name = field({ label: t("contact.name"), value: model.roster.get(jid)?.name ?? "", placeholder: model.name(jid), autocomplete: "off", maxlength: "100" });
    const run = async (method, ...more) => {
      try {
        await model.ask(method, jid, ...more);
        close();
      } catch (error) {
        toast(reasonText(error));
      }
    };
    const blocked = model.blocked.has(jid);
    const there = model.presence.get(jid);
    const row = (label, value) => value && [h("dt", null, label), h("dd", null, value)];
    const known = model.profiles.get(jid)?.nick;
    return [
      h(
        "div",
        { class: "card-head" },
        avatar(model, jid, { size: 96, dot: true }),
        h("h3", null, model.name(jid)),
        h("p", { class: "number" }, model.number(jid)),
        h("p", { class: "faint" }, t(`presence.${model.availability(jid)}`), there && there.devices > 1 && ` · ${t("contact.devices", { count: there.devices })}`),
      ),
      h("dl", { class: "facts" }, row(t("contact.address"), jid), row(t("contact.status"), there?.status), known && known !== model.name(jid) && row(t("settings.name"), known)),
      model.isContact(jid) &&
        h(
          "form",
          {
            class: "stack",
            onsubmit: (event) => {
              event.preventDefault();
              run("rename", name.input.value.trim());
            },
          },
          name.element,
          h("div", { class: "row end" }, h("button", { type: "submit", class: "quiet" }, t("contact.rename"))),
        ),
      h(
        "div",
        { class: "row wrap" },
        !model.isContact(jid) && h("button", { type: "button", class: "primary", onclick: () => run("add", "") }, t("chat.add")),
        model.can.block &&
          h("button", { type: "button", class: "quiet", onclick: () => run("block", !blocked) }, blocked ? t("contact.unblock") : t("contact.block")),
        model.isContact(jid) &&
          h(
            "button",
            {
              type: "button",
              class: "quiet bad",
              onclick: async () => {
                if (await ask(t("contact.removeAsk", { name: model.name(jid) }), t("contact.remove"), { danger: true })) run("remove");
              },
            },
            t("contact.remove"),
          ),
      ),
    ];
  });
}
