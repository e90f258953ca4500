// I18n: words, times and counts in the language of whoever reads.
// Spec: ECMA-402. Owns: the language of this tab. Invariants: every key stands in every language (a test looks).
// Not here: the words (`lang/`).

import { en } from "./lang/en.js";

const KEY = "switchboard-language";
export const LANGUAGES = { en: "English", zh: "中文" };

let words = en;
let language = "en";
const formats = new Map();

/** "auto", or the language that was chosen. */
export const chosenLanguage = () => localStorage.getItem(KEY) ?? "auto";

/** Takes the chosen language, or the browser's. */
export async function loadLanguage() {
  const wanted = localStorage.getItem(KEY) ?? navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES);
  language = wanted in LANGUAGES ? wanted : "en";
  words = language === "zh" ? (await import("./lang/zh.js")).zh : en;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  formats.clear();
}

/** Chooses a language for this browser; "auto" follows it. */
export async function chooseLanguage(name) {
  if (name === "auto") localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, name);
  await loadLanguage();
}

/** The words of a key, `{name}` filled in from `values`. */
export function t(key, values = {}) {
  const text = words[key] ?? en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** The words for why something did not work. */
export function reasonText(error) {
  const reason = error?.reason ?? error ?? "unknown";
  const key = `error.${reason}`;
  return key in en ? t(key) : t("error.other", { reason });
}

function format(name, options) {
  // The reader's own region where it speaks the language that is shown: en-GB writes 14:05, en-US 2:05 PM.
  const region = navigator.languages.find((tag) => tag.startsWith(language)) ?? document.documentElement.lang;
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat(region, options));
  return formats.get(name);
}

/** 14:05, as the reader's region writes it. */
export const clockTime = (at) => format("clock", { hour: "2-digit", minute: "2-digit" }).format(at);

/** A whole date and time, for hovering and for screen readers. */
export const fullTime = (at) => format("full", { dateStyle: "full", timeStyle: "short" }).format(at);

/** A name for the day of a time, so that two times of one day have the same. */
export function dayOf(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/** The day in words: today, yesterday, a weekday, a date. */
export function dayText(at, now = Date.now()) {
  if (dayOf(at) === dayOf(now)) return t("day.today");
  const before = new Date(now);
  before.setDate(before.getDate() - 1);
  if (dayOf(at) === dayOf(before)) return t("day.yesterday");
  const near = now - at < 6 * 86_400_000 && at < now;
  if (near) return format("weekday", { weekday: "long" }).format(at);
  const thisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  if (thisYear) return format("day", { weekday: "short", day: "numeric", month: "long" }).format(at);
  return format("date", { day: "numeric", month: "long", year: "numeric" }).format(at);
}

/** Short, for the list: a clock today, else the day. */
export function shortTime(at, now = Date.now()) {
  if (dayOf(at) === dayOf(now)) return clockTime(at);
  const days = Math.round((now - at) / 86_400_000);
  if (days < 6) return format("shortday", { weekday: "short" }).format(at);
  return format("shortdate", { day: "numeric", month: "numeric", year: "2-digit" }).format(at);
}
