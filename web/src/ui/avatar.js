// Avatar: a round picture of someone, or a letter on a colour that is always theirs.
// Spec: XEP-0392 (one colour for one address), XEP-0084 (the picture).

import { fill, h } from "./dom.js";

/** An angle of hue for an address: FNV-1a over its characters. */
function hue(jid) {
  let hash = 0x811c9dc5;
  for (const character of jid) hash = Math.imul(hash ^ character.codePointAt(0), 0x01000193) >>> 0;
  return hash % 360;
}

/** What stands in the circle: the first letter of a name, the last two digits of a number. */
function initials(name) {
  if (/^[0-9]+$/.test(name)) return name.slice(-2);
  const first = [...new Intl.Segmenter().segment(name.trim())][0]?.segment ?? "?";
  return first.toLocaleUpperCase();
}

/** Someone's avatar; `dot` shows whether they are there. */
export function avatar(model, jid, { size = 44, dot = false } = {}) {
  const element = h("span", { class: "avatar", "aria-hidden": "true", style: { "--size": `${size}px` } });
  updateAvatar(element, model, jid, dot);
  return element;
}

/** Brings an avatar up to date. */
export function updateAvatar(element, model, jid, dot = false) {
  const name = model.name(jid);
  const there = dot ? model.availability(jid) : "";
  const mark = `${jid}|${name}|${there}`;
  const picture = jid === model.jid ? model.me.picture : model.profiles.get(jid)?.picture;
  if (element.dataset.mark === mark && element.dataset.picture === (picture ?? "")) return;
  element.dataset.mark = mark;
  element.style.setProperty("--hue", String(hue(jid)));
  const letter = h("span", { class: "avatar-letter" }, initials(name));
  fill(element, letter, there && there !== "none" && h("span", { class: `dot dot-${there}` }));
  element.dataset.picture = "";
  if (!picture) return;
  model.picture(jid).then((url) => {
    if (!url || element.dataset.mark !== mark) return;
    element.dataset.picture = picture;
    letter.replaceWith(h("img", { src: url, alt: "", class: "avatar-picture" }));
  }, console.error);
}
