// Icons: small drawings, 24 units square, in the colour of the text around them.

import { svg } from "./dom.js";

const PATHS = {
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16.2 16.2L21 21",
  send: "M4 12l16-8-5 16-4-7-7-1z",
  emoji: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM8.5 14.5c1.8 2.4 5.2 2.4 7 0M9 9.5v.5M15 9.5v.5",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  reply: "M10 6L4 12l6 6M4 12h9c4 0 7 2.5 7 7",
  edit: "M4 20l1-5L16.5 3.5l4 4L9 19l-5 1z",
  retract: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  close: "M6 6l12 12M18 6L6 18",
  down: "M12 5v14M6 13l6 6 6-6",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  info: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 11v5M12 8v.01",
  lines: "M4 7h16M4 12h16M4 17h16M9 5v4M15 10v4M7 15v4",
  settings: "M4 7h9M19 7h1M16 4.5v5M4 17h1M11 17h9M8 14.5v5",
  retry: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  sending: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM12 8v4l3 2",
  sent: "M5 13l4.5 4.5L19 7.5",
  delivered: "M2.5 13l4.5 4.5L16.5 7.5M11 16.5l1 1L21.5 7.5",
  failed: "M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18zM12 7.5v6M12 16.5v.01",
  invite: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2v2h-2zM18 18h2v2h-2zM18 14h2M14 18v2",
  keyboard: "M3 7h18v10H3zM7 11h.01M11 11h.01M15 11h.01M8 14h8",
};

/** An icon that screen readers pass over; what it means stands beside it or in the button's label. */
export function icon(name, size = 20) {
  return svg(
    "svg",
    { viewBox: "0 0 24 24", width: size, height: size, class: `icon icon-${name}`, "aria-hidden": "true", focusable: "false" },
    svg("path", { d: PATHS[name === "read" ? "delivered" : name] }),
  );
}

/** The sign of the exchange: two lines that are put through. */
export function sign(size = 40) {
  return svg(
    "svg",
    { viewBox: "0 0 48 48", width: size, height: size, class: "sign", "aria-hidden": "true", focusable: "false" },
    svg("rect", { x: 2, y: 2, width: 44, height: 44, rx: 13, class: "sign-board" }),
    svg("path", { d: "M15 15v6c0 7 18 5 18 12", class: "sign-cord" }),
    [15, 33].flatMap((x) => [15, 33].map((y) => svg("circle", { cx: x, cy: y, r: 4.2, class: x === y ? "sign-plug" : "sign-jack" }))),
  );
}
