// By keyboard alone: from the log-in to a retracted message, and every shortcut that is documented.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

import { PASSWORD, open } from "./house.mjs";

const { browser, exchange } = await open();

test("nobody needs a mouse", async () => {
  const [mine, theirs] = [await exchange.account(), await exchange.account()];
  const b = await browser.person(exchange);
  await b.logIn(theirs);
  const a = await browser.person(exchange);
  const { page } = a;
  const { keyboard } = page;
  const focused = (selector) => page.waitForFunction((wanted) => document.activeElement?.matches(wanted), selector);

  // Log in: the first field has the focus.
  await focused("input[name=username]");
  await keyboard.type(mine);
  await keyboard.press("Tab");
  await keyboard.type(PASSWORD);
  await keyboard.press("Enter");
  await a.online();

  // Add someone, by the palette.
  await keyboard.press("Control+k");
  await focused("[role=combobox]");
  await keyboard.type("add some");
  await page.locator("[role=option][aria-selected=true]", { hasText: "Add someone" }).waitFor();
  await keyboard.press("Enter");
  await focused("dialog input");
  await keyboard.type(theirs);
  await keyboard.press("Enter");
  await focused(".composer-field");

  // Write, with a second line.
  await keyboard.type("first line");
  await keyboard.press("Shift+Enter");
  await keyboard.type("second line");
  await keyboard.press("Enter");
  await keyboard.type("to be mended");
  await keyboard.press("Enter");
  await b.page.getByRole("button", { name: "Accept" }).focus();
  await b.page.keyboard.press("Enter");
  await b.open(mine);
  await b.hears("second line");
  await a.marked("to be mended", "read");

  // Mend the last one.
  await keyboard.press("ArrowUp");
  assert.equal(await page.locator(".composer-field").inputValue(), "to be mended");
  await keyboard.press("Control+a");
  await keyboard.type("mended");
  await keyboard.press("Enter");
  await b.hears(/^mended/);

  // Walk to the one before, answer it; leave answering; retract.
  await page.locator(".messages").focus();
  await keyboard.press("ArrowUp");
  await page.waitForFunction(() => document.activeElement?.textContent.includes("mended"));
  await keyboard.press("ArrowUp");
  await page.waitForFunction(() => document.activeElement?.textContent.includes("second line"));
  await keyboard.press("r");
  await page.locator(".banner", { hasText: "Reply to You" }).waitFor();
  await focused(".composer-field");
  await keyboard.press("Escape");
  await page.locator(".banner").waitFor({ state: "hidden" });
  await page.locator(".messages").focus();
  await keyboard.press("ArrowUp");
  await keyboard.press("Enter");
  await focused("[role=menuitem]");
  await keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.matches(".message"));
  await keyboard.press("Delete");
  await page.locator(".question-sheet").waitFor();
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  await keyboard.press("Enter");
  await b.hears("This message was retracted");

  // The sheet, the search, the next conversation, the field.
  await keyboard.press("Control+/");
  await page.locator(".keys").waitFor();
  await keyboard.press("Escape");
  await page.locator(".keys").waitFor({ state: "detached" });
  await page.locator(".messages").focus();
  await keyboard.press("/");
  await focused(".search");
  await keyboard.type(theirs);
  await keyboard.press("ArrowDown");
  await focused(".conversation-row");
  await keyboard.press("Enter");
  await focused(".composer-field");
  await keyboard.press("Alt+ArrowDown");
  await keyboard.press("Alt+m");
  await focused(".composer-field");
});

test("what has the focus keeps it when the list around it changes", async () => {
  const a = await browser.person(exchange);
  const left = await a.page.evaluate(async () => {
    const { h, reconcile } = await import("/src/ui/dom.js");
    const { Scroller } = await import("/src/ui/scroller.js");
    const button = (name) => h("button", { type: "button" }, name);
    const rows = h("div");
    const canvas = h("div");
    const view = h("div", { style: { height: "400px", overflow: "auto" } }, canvas);
    document.body.append(rows, view);
    const list = (names) => reconcile(rows, names, { key: (name) => name, make: button, update: () => {} });
    const scroller = new Scroller(view, canvas, { render: ({ key }) => button(key), update: () => {}, estimate: () => 20 });
    const scrolled = (names) => scroller.set(names.map((key) => ({ key, version: 1 })));
    const left = [];
    for (const [parent, show] of [[rows, list], [canvas, scrolled]]) {
      for (const after of ["bc", "bca", "cb", "xb", "b"]) {
        show([..."abc"]);
        [...parent.children].find((row) => row.textContent === "b").focus();
        show([...after]);
        left.push([[...parent.children].map((row) => row.textContent).join(""), document.activeElement.textContent]);
      }
    }
    return left;
  });
  const kept = ["bc", "bca", "cb", "xb", "b"].map((order) => [order, "b"]);
  assert.deepEqual(left, [...kept, ...kept]);
});

test("the documented keys are those of the page, and the other way round", async () => {
  const a = await browser.person(exchange);
  const shown = await a.page.evaluate(async () => (await import("/src/ui/shortcuts.js")).SHORTCUTS.map(([, keys]) => keys.join(", ")));
  const text = await readFile(new URL("../../docs/web-client.md", import.meta.url), "utf8");
  const table = text.slice(text.indexOf("## Keys")).split("\n## ")[0];
  const written = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, keys]) => keys.replaceAll("`", ""));
  assert.deepEqual(written, shown);
});
