// Settings: our own profile, how the page looks and speaks, and leaving.

import { LANGUAGES, chooseLanguage, chosenLanguage, reasonText, t } from "../i18n.js";
import { avatar, updateAvatar } from "./avatar.js";
import { ask, field, openDialog, toast } from "./dialog.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { canNotify, setNotifying, notifying } from "./notifications.js";
import { squarePicture } from "./picture.js";
import { shareInvite } from "./share.js";
import { showShortcuts } from "./shortcuts.js";
import { chooseTheme, chosenTheme } from "./theme.js";

/** Opens the sheet. `relabel()` shows the page in the language that was chosen. */
export function openSettings(model, relabel) {
  openDialog(t("settings.title"), (close) => [
    profile(model),
    h("section", { class: "group" }, look(relabel, close), notifications()),
    h(
      "section",
      { class: "group row wrap" },
      h("button", { type: "button", class: "quiet", onclick: () => shareInvite(model) }, icon("invite", 18), t("settings.invite")),
      h("button", { type: "button", class: "quiet", onclick: showShortcuts }, icon("keyboard", 18), t("settings.shortcuts")),
    ),
    h(
      "section",
      { class: "group row wrap" },
      h("button", { type: "button", class: "quiet bad", onclick: () => logOut(model, false, close) }, t("settings.logOut")),
      model.can.tokens && h("button", { type: "button", class: "quiet bad", onclick: () => logOut(model, true, close) }, t("settings.logOutAll")),
    ),
  ]);
}

function profile(model) {
  const picture = avatar(model, model.jid, { size: 84 });
  const stop = model.on("me", () => (picture.isConnected ? updateAvatar(picture, model, model.jid) : stop()));
  const file = h("input", { type: "file", accept: "image/*", class: "spoken", id: "picture-file", tabindex: "-1", "aria-label": t("settings.picture") });
  const set = async (changes) => {
    try {
      await model.ask("setMe", changes);
      toast(t("settings.saved"));
    } catch (error) {
      toast(reasonText(error));
    }
  };
  file.addEventListener("change", async () => {
    if (!file.files[0]) return;
    try {
      await set({ picture: await squarePicture(file.files[0]) });
    } catch (error) {
      toast(reasonText(error.reason ?? "not-acceptable"));
    }
  });
  const name = field({ label: t("settings.name"), value: model.me.nick ?? "", maxlength: "100", autocomplete: "nickname" });
  const status = field({ label: t("settings.status"), hint: t("settings.statusHint"), value: model.me.status ?? "", maxlength: "200" });
  const show = choice(t("settings.show"), model.me.show ?? "", { "": t("presence.here"), away: t("presence.away"), dnd: t("presence.dnd") });
  const onsubmit = (event) => {
    event.preventDefault();
    const changes = { status: status.input.value.trim(), show: show.select.value };
    if (name.input.value.trim() !== (model.me.nick ?? "")) changes.nick = name.input.value.trim();
    set(changes);
  };
  return h(
    "form",
    { class: "stack", onsubmit, "aria-label": t("settings.profile") },
    h(
      "div",
      { class: "profile-head" },
      picture,
      h(
        "div",
        { class: "stack tight" },
        h("p", null, t("settings.yourNumber", { number: model.number(model.jid) })),
        h(
          "div",
          { class: "row wrap" },
          h("button", { type: "button", class: "quiet small", onclick: () => file.click() }, t("settings.picture")),
          model.me.picture && h("button", { type: "button", class: "quiet small", onclick: () => set({ picture: null }) }, t("settings.noPicture")),
          file,
        ),
      ),
    ),
    name.element,
    status.element,
    show.element,
    h("div", { class: "row end" }, h("button", { type: "submit", class: "primary" }, t("settings.save"))),
  );
}

function look(relabel, close) {
  const theme = choice(t("settings.theme"), chosenTheme(), {
    auto: t("settings.themeAuto"),
    light: t("settings.themeLight"),
    dark: t("settings.themeDark"),
  });
  theme.select.addEventListener("change", () => chooseTheme(theme.select.value));
  const language = choice(t("settings.language"), chosenLanguage(), { auto: t("settings.languageAuto"), ...LANGUAGES });
  language.select.addEventListener("change", async () => {
    await chooseLanguage(language.select.value);
    close();
    relabel();
  });
  return h("div", { class: "columns" }, theme.element, language.element);
}

function notifications() {
  const box = h("input", { type: "checkbox", id: "notify", checked: notifying() });
  const note = h("span", { class: "hint" });
  box.addEventListener("change", async () => {
    box.checked = await setNotifying(box.checked);
    note.textContent = canNotify() ? "" : t("settings.notificationsDenied");
  });
  return h("div", { class: "field" }, h("label", { class: "check", for: "notify" }, box, t("settings.notifications")), note);
}

let count = 0;

/** A labelled `<select>`. */
function choice(label, value, options) {
  const id = `choice-${++count}`;
  const select = h(
    "select",
    { id },
    Object.entries(options).map(([name, text]) => h("option", { value: name, selected: name === value }, text)),
  );
  return { element: h("div", { class: "field" }, h("label", { for: id }, label), select), select };
}

async function logOut(model, everywhere, close) {
  const unsent = (await model.history.outbox()).length;
  const question = [t(everywhere ? "settings.logOutAllAsk" : "settings.logOutAsk"), unsent > 0 && t("settings.unsent", { count: unsent })];
  const yes = t(everywhere ? "settings.logOutAll" : "settings.logOut");
  if (!(await ask(question.filter(Boolean).join(" "), yes, { danger: true }))) return;
  try {
    await model.ask("logOut", { everywhere });
    close();
  } catch (error) {
    toast(reasonText(error));
  }
}
