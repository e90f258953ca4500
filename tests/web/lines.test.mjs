// Lines and wire: what an administrator sees, and nobody else.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";

import { open } from "./house.mjs";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = process.env.SWITCHBOARD_SCREENSHOTS;

const { browser, exchange } = await open();

test("an administrator sees every line, live, and one down to its segments", async () => {
  const admin = await browser.person(exchange);
  await admin.logIn(await exchange.account("--admin"));
  const b = await browser.person(exchange);
  await b.logIn(await exchange.account());
  const { page } = admin;
  await page.getByRole("button", { name: "Lines" }).click();
  const row = page.locator("tbody tr", { hasText: b.number });
  await row.waitFor();
  assert.deepEqual(await row.locator("td").evaluateAll((cells) => cells.slice(1, 3).map((cell) => cell.textContent)), ["ws", "kernel"]);
  assert.match(await row.locator(".line-remote").textContent(), /^127\.0\.0\.1:\d+$/);
  assert.equal(await row.locator(".line-state").textContent(), "bound");
  await row.getByRole("button").click();
  const group = (name) => page.locator(".fact-group", { has: page.getByRole("heading", { name, exact: true }) });
  await group("TCP").locator("dd", { hasText: "ESTABLISHED" }).waitFor();
  await group("Carrier").locator("dd", { hasText: /^ws$/ }).waitFor();
  await group("Session").locator("dd", { hasText: "bound" }).waitFor();
  // What is said of one line leaves the others their room.
  const table = await page.locator(".table-box").evaluate((box) => ({ seen: box.clientHeight, whole: box.scrollHeight }));
  assert.equal(table.seen, table.whole, "the table of lines is squeezed");
  // The kernel shows no packets, and the page says so.
  await page.locator(".ladder", { hasText: "kernel, which does not show them" }).waitFor();
  // Live: what the line receives is counted as it comes.
  const received = () => page.evaluate(() => [...document.querySelectorAll(".facts dt")].find((name) => name.textContent === "octets received").nextSibling.textContent);
  const first = Number(await received());
  await b.add(admin.number);
  await b.say("so many octets");
  await page.waitForFunction(
    (before) => Number([...document.querySelectorAll(".facts dt")].find((name) => name.textContent === "octets received").nextSibling.textContent) > before,
    first,
  );
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.target)}`), []);
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/lines.png` });
  await b.context.close();
  await page.getByText("This line has ended.").waitFor();
});

test("others see nothing of it", async () => {
  const a = await browser.person(exchange);
  await a.logIn(await exchange.account());
  assert.equal(await a.page.getByRole("button", { name: "Lines" }).isVisible(), false);
  await a.page.evaluate(() => (location.hash = "#/lines"));
  await a.page.getByText("You may not do that.").waitFor();
  assert.equal(await a.page.locator("tbody tr").count(), 0);
});

test("an administrator invites by a QR code, and the invite works", async () => {
  const admin = await browser.person(exchange);
  await admin.logIn(await exchange.account("--admin"));
  await admin.page.getByRole("button", { name: "Profile and settings" }).click();
  await admin.page.getByRole("button", { name: "Invite someone" }).click();
  const link = await admin.page.locator(".link-text").textContent();
  await admin.page.locator(".qr").waitFor();
  if (SHOTS) await admin.page.screenshot({ path: `${SHOTS}/invite.png` });
  const guest = await browser.person(exchange);
  const number = await guest.join(/#\/invite\/(.+)$/.exec(link)[1], "Guest");
  assert.match(number, /^[1-9][0-9]+$/);
});
