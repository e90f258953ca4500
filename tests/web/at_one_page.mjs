// One page, driven line by line from without: what a test in another language says it does, and it answers.
// In: `["say", "hello"]`, a method of `Person` and its arguments, a line of JSON each. Out: `{"ok": ...}` or `{"error": "..."}`.
// Not here: what is tested (`tests/interop/test_together.py`).

import { createInterface } from "node:readline";

import { Browser } from "./house.mjs";

const [port] = process.argv.slice(2);
const browser = await Browser.start();
const person = await browser.person({ port, base: `http://127.0.0.1:${port}` });

for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...words] = JSON.parse(line);
  try {
    const answer = await person[method](...words);
    browser.check();
    console.log(JSON.stringify({ ok: Array.isArray(answer) ? answer : null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error.stack ?? error) }));
  }
}
await browser.clear();
await browser.end();
