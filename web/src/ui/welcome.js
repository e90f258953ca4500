// Welcome: logging in, and the first visit with an invite.
// Invariants: a password is handed on and forgotten; what the browser's own keeper wants to know stands on the fields.

import { reasonText, t } from "../i18n.js";
import { isNumber, typed } from "../xmpp/jid.js";
import { field } from "./dialog.js";
import { fill, h } from "./dom.js";
import { icon, sign } from "./icons.js";

/** Characters a password has at least; the exchange may ask for more. */
const PASSWORD_MIN = 8;

const card = (...inner) =>
  h("main", { class: "welcome" }, h("div", { class: "welcome-card" }, h("div", { class: "brand" }, sign(52), h("span", null, t("app.name"), h("small", null, t("app.tagline")))), ...inner));

/** The form to log in with. `reason`: why one has to, if there is a reason. */
export function logInPage(model, { reason, number: known } = {}) {
  const number = field({ label: t("login.number"), inputmode: "numeric", autocomplete: "username", name: "username", required: true, value: known ?? "", autofocus: true });
  const password = field({ label: t("login.password"), type: "password", autocomplete: "current-password", name: "password", required: true });
  const button = h("button", { type: "submit", class: "primary wide" }, t("login.submit"));
  const said = h("p", { class: "bad", role: "alert" }, reason ? reasonText(reason) : "");
  const onsubmit = async (event) => {
    event.preventDefault();
    const jid = typed(number.input.value, model.home);
    if (!jid?.endsWith(`@${model.home}`)) return number.say(t("add.bad"));
    number.say("");
    busy(button, t("login.busy"));
    said.textContent = "";
    try {
      await model.ask("logIn", { name: jid.slice(0, jid.indexOf("@")), password: password.input.value });
    } catch (error) {
      said.textContent = reasonText(error);
      password.input.value = "";
      password.input.focus();
    } finally {
      ready(button, t("login.submit"));
    }
    return undefined;
  };
  return card(
    h("h1", null, known ? t("login.again") : t("login.title")),
    h("form", { class: "stack", onsubmit }, number.element, password.element, said, button),
    h("p", { class: "faint" }, t("login.new")),
  );
}

/** The first visit: what the invite reserves, a name, a password. */
export function invitePage(model, token) {
  const place = h("div", { class: "stack", "aria-live": "polite" }, h("p", { class: "faint" }, t("invite.looking")));
  const haveOne = h("a", { href: "#/" }, t("invite.have"));
  model.ask("invited", token).then(
    ({ number }) => fill(place, inviteForm(model, token, number)),
    (error) => fill(place, h("p", { class: "bad", role: "alert" }, reasonText(error))),
  );
  return card(h("h1", null, t("invite.title")), place, h("p", { class: "faint" }, haveOne));
}

function inviteForm(model, token, number) {
  const name = field({ label: t("invite.name"), hint: t("invite.nameHint"), autocomplete: "nickname", name: "nickname", maxlength: "100", required: true, autofocus: true });
  const password = field({
    label: t("invite.password"),
    hint: t("invite.passwordHint"),
    type: "password",
    autocomplete: "new-password",
    name: "password",
    minlength: String(PASSWORD_MIN),
    required: true,
  });
  const button = h("button", { type: "submit", class: "primary wide" }, t("invite.submit"));
  const said = h("p", { class: "bad", role: "alert" });
  const onsubmit = async (event) => {
    event.preventDefault();
    said.textContent = "";
    busy(button, t("invite.busy"));
    try {
      await model.ask("register", { number, nick: name.input.value.trim(), password: password.input.value });
      location.hash = "#/";
    } catch (error) {
      said.textContent = reasonText(error);
      // The stream that showed the invite may be gone: it is shown again for the next try.
      model.ask("invited", token).catch(() => {});
    } finally {
      ready(button, t("invite.submit"));
    }
  };
  return h(
    "form",
    { class: "stack", onsubmit },
    number && isNumber(number)
      ? h("div", { class: "reserved" }, h("span", null, t("invite.lead")), h("output", { class: "reserved-number" }, number), h("input", { type: "hidden", name: "username", autocomplete: "username", value: number }))
      : h("p", null, t("invite.leadAny")),
    name.element,
    password.element,
    said,
    button,
  );
}

/** Over plain http from another host: said, with the way out. */
export function insecurePage(https) {
  return card(
    h("h1", null, icon("lock", 26), " ", t("insecure.title")),
    h("p", null, t("insecure.text")),
    https ? h("a", { class: "primary wide button", href: https + location.hash }, t("insecure.link")) : h("p", { class: "faint" }, t("insecure.none")),
  );
}

function busy(button, words) {
  button.disabled = true;
  button.textContent = words;
}

function ready(button, words) {
  button.disabled = false;
  button.textContent = words;
}
