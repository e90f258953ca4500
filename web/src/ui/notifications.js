// Notifications: a word from the system when a message comes and nobody looks.
// Spec: Notifications API, by the service worker where there is one (phones allow no other way).
// Owns: the wish, in localStorage. Invariants: asked only when someone ticks the box; one notification a conversation,
// and none once it is looked at.

import { t } from "../i18n.js";

const KEY = "switchboard-notify";
/** Characters of a message that the system shows. */
const SHOWN_MAX = 180;

export const canNotify = () => "Notification" in window && Notification.permission !== "denied";
export const notifying = () => localStorage.getItem(KEY) === "yes" && "Notification" in window && Notification.permission === "granted";

/** Switches them on or off; returns whether they are on. */
export async function setNotifying(on) {
  localStorage.setItem(KEY, on ? "yes" : "no");
  if (on && "Notification" in window && Notification.permission === "default") await Notification.requestPermission();
  return notifying();
}

/** Tells of a message. */
export async function notify(title, record, peer) {
  if (!notifying()) return;
  const body = record.encrypted ? t("message.encrypted") : record.body.slice(0, SHOWN_MAX);
  const options = { body, tag: peer, icon: "/icons/icon-192.png", data: { peer } };
  const worker = await navigator.serviceWorker?.getRegistration();
  if (worker?.active) return worker.showNotification(title, options);
  const shown = new Notification(title, options);
  shown.onclick = () => {
    window.focus();
    location.hash = `#/c/${encodeURIComponent(peer)}`;
    shown.close();
  };
  return undefined;
}

/** What was told of a conversation has been seen: the system need not say it any longer. */
export async function dismiss(peer) {
  const worker = await navigator.serviceWorker?.getRegistration();
  const shown = (await worker?.getNotifications({ tag: peer })) ?? [];
  for (const notification of shown) notification.close();
}
