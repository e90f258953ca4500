// Sequence: messages in order, and what stands between them: days, and where the unread ones begin.
// Pure. Not here: how any of it looks (`bubble`), what of it exists (`scroller`).

import { dayOf } from "../i18n.js";

/** Messages of one writer closer than this stand together, in milliseconds. */
const TOGETHER = 4 * 60_000;

/** Asking the calendar is dear, and a day does not change. */
const days = new WeakMap();

function day(record) {
  let found = days.get(record);
  if (!found) days.set(record, (found = dayOf(record.at)));
  return found;
}

const near = (a, b) => a.out === b.out && b.at - a.at < TOGETHER;

/**
 * The items that `scroller` shows: `{ key, version, record, first, last }` for a message, `{ key, version, day }` before
 * the first of a day, `{ key: "unread" }` before the message with the key `unreadFrom`. `quotes`: messages by their id.
 */
export function sequence(records, unreadFrom, quotes) {
  const items = [];
  let today = null;
  records.forEach((record, at) => {
    const before = records[at - 1];
    const after = records[at + 1];
    const ofDay = day(record);
    if (ofDay !== today) items.push({ key: `day ${ofDay}`, version: "", floating: true, day: record.at });
    if (record.key === unreadFrom) items.push({ key: "unread", version: "", floating: true });
    const first = !before || !near(before, record) || ofDay !== today || record.key === unreadFrom;
    const last = !after || !near(record, after) || day(after) !== ofDay;
    today = ofDay;
    const quoted = record.reply && quotes.get(record.reply.id);
    const version = [record.state, record.edited, record.retracted, first, last, quoted?.edited, quoted?.retracted].join(" ");
    items.push({ key: `m${record.key}`, version, record, first, last });
  });
  return items;
}

/** Both lists, in order of time, each message once, the later list's version of it. */
export function merge(a, b) {
  const all = new Map(a.map((record) => [record.key, record]));
  for (const record of b) all.set(record.key, record);
  const merged = [...all.values()];
  const behind = (x, y) => x.at < y.at || (x.at === y.at && x.key < y.key);
  const ordered = merged.every((record, at) => at === 0 || behind(merged[at - 1], record));
  return ordered ? merged : merged.sort((x, y) => (behind(x, y) ? -1 : 1));
}
