// From an invite to the first message, as someone does it who has never been here.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PHONE, open } from "./house.mjs";

const { browser, exchange } = await open();

test("invite, name, password, in, and the first message crosses", async () => {
  const a = await browser.person(exchange);
  const b = await browser.person(exchange, { viewport: PHONE, isMobile: true, hasTouch: true });
  const first = await a.join((await exchange.invite()).token, "Ada");
  const begun = Date.now();
  const second = await b.join((await exchange.invite()).token, "Grace");
  assert.notEqual(first, second);
  await b.add(first);
  await b.say("Hello Ada");
  const took = Date.now() - begun;
  // From scan to first message in thirty seconds, of which a person's typing is the most.
  assert.ok(took < 15_000, `${took} ms`);
  await a.accept();
  await a.open(second);
  await a.hears("Hello Ada");
  // The name that was chosen is what the other sees.
  await a.page.locator(".who-text h1", { hasText: "Grace" }).waitFor();
  await a.say("Hello Grace");
  await b.hears("Hello Grace");
});

test("an invite opens one number, and once", async () => {
  const { token } = await exchange.invite();
  const a = await browser.person(exchange);
  await a.join(token, "Ada");
  const b = await browser.person(exchange);
  await b.page.goto(`${exchange.base}/#/invite/${token}`);
  await b.page.getByRole("alert").filter({ hasText: "This invite is not valid" }).waitFor();
  const c = await browser.person(exchange);
  await c.page.goto(`${exchange.base}/#/invite/nonsense`);
  await c.page.getByRole("alert").filter({ hasText: "This invite is not valid" }).waitFor();
});
