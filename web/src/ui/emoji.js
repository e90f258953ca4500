// Emoji: a small choice of them; the system's own picker has the rest.

import { t } from "../i18n.js";
import { h } from "./dom.js";

const CHOICE =
  "😀 😄 😂 🙂 😉 😊 😍 😘 😋 😎 🤔 🤨 😐 🙄 😏 😮 😴 😅 😢 😭 😤 😡 😱 🥳 🥺 🤗 🤝 👍 👎 👌 ✌️ 🤞 👏 🙏 💪 👋 🤷 🙈 ❤️ 💔 💯 🔥 ✨ ⭐ 🎉 🎂 🎁 🌹 ☀️ 🌧️ ☕ 🍵 🍺 🍜 🍎 🚗 🚲 ✈️ 🏠 📞 💻 📷 🎵 ⚽ ✅ ❌ ❓ ❗ ⏰ 🌙 🐱 🐶 🐼 🌱".split(" ");
/** Emoji in a row: as many as the grid has columns. */
const ROW = 8;

/** Opens the choice above `anchor`; `onchoice(character)` hears one. */
export function chooseEmoji(anchor, onchoice) {
  const open = document.querySelector(".emoji");
  if (open) return open.remove();
  const panel = h("div", { class: "emoji", role: "dialog", "aria-label": t("emoji.title") });
  const close = () => {
    panel.remove();
    document.removeEventListener("pointerdown", outside, true);
  };
  const outside = (event) => {
    if (!panel.contains(event.target) && !anchor.contains(event.target)) close();
  };
  CHOICE.forEach((character, at) => {
    const onclick = () => {
      close();
      onchoice(character);
    };
    panel.append(h("button", { type: "button", tabindex: at === 0 ? "0" : "-1", onclick }, character));
  });
  panel.addEventListener("keydown", (event) => {
    const all = [...panel.children];
    const at = all.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: ROW, ArrowUp: -ROW }[event.key];
    if (event.key === "Escape") {
      close();
      anchor.focus();
    } else if (step) all[Math.min(all.length - 1, Math.max(0, at + step))].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  const { left, top } = anchor.getBoundingClientRect();
  document.body.append(panel);
  panel.style.setProperty("left", `${Math.max(8, Math.min(left, window.innerWidth - panel.offsetWidth - 8))}px`);
  panel.style.setProperty("top", `${Math.max(8, top - panel.offsetHeight - 8)}px`);
  document.addEventListener("pointerdown", outside, true);
  panel.firstElementChild.focus();
  return undefined;
}
