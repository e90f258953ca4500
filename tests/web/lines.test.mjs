// Lines and wire: what an administrator sees, and nobody else.

import assert from "node:assert/strict";
import { test } from "node:test";

import { examine, open } from "./house.mjs";

const SHOTS = process.env.SWITCHBOARD_SCREENSHOTS;

const { browser, exchange } = await open();

/** Waits until the line that is open has received more octets than that; returns how many. */
async function receivedMoreThan(page, before) {
  const seen = await page.waitForFunction((least) => {
    const name = [...document.querySelectorAll(".facts dt")].find((name) => name.textContent === "octets received");
    const count = Number(name?.nextSibling.textContent);
    return count > least && { count };
  }, before);
  return (await seen.jsonValue()).count;
}

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
  await admin.fact("TCP", "state", "ESTABLISHED");
  await admin.fact("Carrier", "carrier", "ws");
  await admin.fact("Session", "state", "bound");
  // What is said of one line leaves the others their room.
  const table = await page.locator(".table-box").evaluate((box) => ({ seen: box.clientHeight, whole: box.scrollHeight }));
  assert.equal(table.seen, table.whole, "the table of lines is squeezed");
  // The kernel shows no packets, and the page says so.
  await page.locator(".ladder", { hasText: "kernel, which does not show them" }).waitFor();
  // Live: what the line receives is counted as it comes.
  const first = await receivedMoreThan(page, -1);
  await b.add(admin.number);
  await b.say("so many octets");
  await receivedMoreThan(page, first);
  await examine(page, "lines");
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
