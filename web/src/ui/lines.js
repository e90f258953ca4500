// Lines: every session of the exchange, live, and one of them down to its segments, for an administrator.
// Spec: `urn:switchboard:lines:0` (docs/web-client.md).
// Invariants: asked only while it is looked at. Not here: who may see it (the exchange decides).

import { clockTime, fullTime, reasonText, t } from "../i18n.js";
import { fill, h, reconcile } from "./dom.js";
import { icon } from "./icons.js";
import { Ladder } from "./ladder.js";

/** Between two looks, in milliseconds. */
const EVERY = 1_500;

export class Lines {
  #model;
  #open = null;
  #timer;
  #asking = false;
  #lead = h("p", { class: "faint", "aria-live": "polite" });
  #body = h("tbody");
  #detail = h("section", { class: "line-detail", "aria-live": "off" });
  #ladder = null;
  #cursor = null;
  #table;

  /** `routes`: `{ back, open(id) }`. */
  constructor(model, routes) {
    this.#model = model;
    this.routes = routes;
    const columns = ["number", "resource", "carrier", "network", "remote", "state", "since"];
    this.#table = h(
      "div",
      { class: "table-box", tabindex: "0", role: "region", "aria-label": t("lines.title") },
      h("table", null, h("thead", null, h("tr", null, columns.map((name) => h("th", { scope: "col" }, t(`lines.${name}`))))), this.#body),
    );
    this.element = h(
      "section",
      { class: "lines" },
      h(
        "header",
        { class: "chat-head" },
        h("button", { type: "button", class: "round", "aria-label": t("chat.back"), onclick: () => routes.back() }, icon("back")),
        h("span", { class: "who-text" }, h("h1", null, t("lines.title")), this.#lead),
      ),
      h("div", { class: "lines-body" }, this.#table, this.#detail),
    );
  }

  /** Starts looking; `open` is the line whose facts are wanted, or null. */
  start(open) {
    this.#open = open;
    this.#ladder = open && new Ladder();
    this.#cursor = null;
    fill(this.#detail);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#look(), EVERY);
    this.#look();
  }

  stop() {
    clearInterval(this.#timer);
  }

  async #look() {
    if (this.#asking || document.visibilityState !== "visible") return;
    this.#asking = true;
    try {
      const open = this.#open;
      const { total, lines, facts } = await this.#model.ask("lines", open);
      if (open !== this.#open) return;
      this.#show(total, lines, facts);
      if (open && lines.some((line) => line.id === open)) await this.#trace(open);
    } catch (error) {
      this.#lead.textContent = reasonText(error);
    } finally {
      this.#asking = false;
    }
  }

  /** Brings the ladder of the line that is open up to date. */
  async #trace(open) {
    const ladder = this.#ladder;
    try {
      const answer = await this.#model.ask("trace", open, this.#cursor);
      if (open !== this.#open) return;
      this.#cursor = answer.cursor;
      ladder.show(answer);
    } catch (error) {
      if (open !== this.#open) return;
      // An exchange that has not heard of it draws nothing either.
      const unheard = ["service-unavailable", "feature-not-implemented", "bad-request"].includes(error.reason);
      ladder.tell(unheard ? t("lines.noLadder") : reasonText(error));
    }
  }

  #show(total, lines, facts) {
    this.#lead.textContent = total > lines.length ? t("lines.first", { shown: lines.length, count: total }) : t("lines.count", { count: total });
    reconcile(this.#body, lines, {
      key: (line) => line.id,
      make: (line) => this.#row(line),
      update: (row, line) => this.#update(row, line),
    });
    this.#showDetail(lines.find((line) => line.id === this.#open), facts);
  }

  #row(line) {
    const open = h("button", { type: "button", class: "link", onclick: () => this.routes.open(line.id) });
    return h("tr", null, h("th", { scope: "row" }, open), ["resource", "carrier", "network", "remote", "state", "since"].map((name) => h("td", { class: `line-${name}` })));
  }

  #update(row, line) {
    const [head, resource, carrier, network, remote, state, since] = row.children;
    const button = head.firstChild;
    const number = line.number ?? "–";
    if (button.textContent !== number) button.textContent = number;
    button.setAttribute("aria-label", t("lines.open", { number: line.number ?? line.remote }));
    if (line.id === this.#open) row.setAttribute("aria-selected", "true");
    else row.removeAttribute("aria-selected");
    row.classList.toggle("chosen", line.id === this.#open);
    resource.textContent = line.resource ?? "";
    if (carrier.dataset.of !== line.carrier) fill(carrier, line.carrier, line.encrypted && icon("lock", 14));
    carrier.dataset.of = line.carrier;
    carrier.title = line.encrypted ? t("lines.encrypted") : t("lines.clear");
    network.textContent = line.network;
    remote.textContent = line.remote;
    state.textContent = line.state;
    since.textContent = line.since ? clockTime(line.since * 1000) : "";
    since.title = line.since ? fullTime(line.since * 1000) : "";
  }

  #showDetail(line, facts) {
    if (!this.#open) return fill(this.#detail);
    if (!line) return fill(this.#detail, h("p", { class: "faint" }, t("lines.gone")));
    const groups = facts.map((group) =>
      h("div", { class: "fact-group" }, h("h3", null, t(`lines.of.${group.name}`)), h("dl", { class: "facts" }, group.rows.map(([name, value]) => [h("dt", null, name), h("dd", null, value)]))),
    );
    const head = h(
      "div",
      { class: "row" },
      h("h2", { class: "grow" }, t("lines.one", { number: line.number ?? line.remote })),
      h("button", { type: "button", class: "round", "aria-label": t("lines.close"), onclick: () => this.routes.open(null) }, icon("close")),
    );
    const held = this.#detail.contains(document.activeElement) && !this.#ladder.element.contains(document.activeElement);
    const parts = [head, h("div", { class: "fact-groups" }, groups)];
    // The ladder stays where it is: it has been scrolled, and its image is shown until the next is there.
    if (this.#detail.lastChild === this.#ladder.element) {
      while (this.#detail.firstChild !== this.#ladder.element) this.#detail.firstChild.remove();
      this.#ladder.element.before(...parts);
    } else {
      fill(this.#detail, parts, this.#ladder.element);
    }
    if (held) this.#detail.querySelector("button")?.focus();
    return undefined;
  }
}
