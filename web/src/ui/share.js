// Share: an invite as a link and as a QR code.

import { generate } from "../../vendor/lean-qr.mjs";
import { reasonText, t } from "../i18n.js";
import { openDialog, toast } from "./dialog.js";
import { fill, h, svg } from "./dom.js";

/** Makes an invite and shows it. */
export function shareInvite(model) {
  openDialog(t("share.title"), () => {
    const place = h("div", { class: "share", "aria-live": "polite" }, h("p", { class: "faint" }, t("share.busy")));
    if (!model.can.invite) fill(place, h("p", null, t("share.none")));
    else
      model.ask("invite").then(
        ({ uri, link }) => show(place, link ?? uri),
        (error) => fill(place, h("p", { class: "bad" }, reasonText(error))),
      );
    return place;
  });
}

function show(place, link) {
  const copy = async () => {
    await navigator.clipboard.writeText(link);
    toast(t("message.copied"));
  };
  fill(
    place,
    h("p", null, t("share.lead")),
    qrCode(link, t("share.qr")),
    h("p", { class: "link-text" }, link),
    h("button", { type: "button", class: "primary", onclick: copy }, t("share.copy")),
  );
}

/** A QR code as one path of squares, dark on white in every theme: cameras want that. */
export function qrCode(text, label) {
  const code = generate(text);
  const quiet = 4;
  let path = "";
  for (let y = 0; y < code.size; y += 1) {
    for (let x = 0; x < code.size; x += 1) if (code.get(x, y)) path += `M${x + quiet} ${y + quiet}h1v1h-1z`;
  }
  const side = code.size + 2 * quiet;
  return svg(
    "svg",
    { viewBox: `0 0 ${side} ${side}`, class: "qr", role: "img", "aria-label": label, "shape-rendering": "crispEdges" },
    svg("rect", { width: side, height: side, class: "qr-light" }),
    svg("path", { d: path, class: "qr-dark" }),
  );
}
