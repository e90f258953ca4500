// How it looks: Chinese, dark, narrow, for screen readers; and the screenshots that the documents show.
// Invariants: axe-core finds nothing to complain of on any page in either theme; nothing is wider than the window.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { test } from "node:test";

import { PHONE, WIDE, examine, open, pair } from "./house.mjs";

/** Written only when asked for: a check changes no file. */
const SHOTS = process.env.SWITCHBOARD_SCREENSHOTS;

/** Large enough to show all, small enough for a document. */
const SHOWN = { width: 1040, height: 660 };

if (SHOTS) await mkdir(SHOTS, { recursive: true });
const { browser, exchange } = await open();

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/${name}.png` });
}

/** A conversation with a bit of everything in it. */
async function talk(a, b) {
  await b.page.evaluate(async () => {});
  await a.say("Good morning! Did the new exchange come up?");
  await b.say("It did. One command, and 10001 could call 10002 😀");
  await a.say("And over UDP as well?");
  await b.menu("And over UDP", "Reply");
  await b.say("Yes: TCP off, QUIC on, and the messages still cross. The notes are at https://example.org/notes");
  await a.say("👍");
  await b.say("Lunch at one?");
  await a.menu("Good morning!", "Edit");
  await a.say("Good morning! Is the new exchange up?");
  await b.hears("Is the new exchange up?");
  await a.hears("Lunch at one?");
}

for (const theme of ["light", "dark"]) {
  test(`every page in ${theme}: no violation`, async () => {
    const look = { colorScheme: theme, viewport: SHOWN };
    const visitor = await browser.person(exchange, look);
    await examine(visitor.page, "log-in");
    if (theme === "light") await shot(visitor.page, "log-in");
    const [a, b] = await pair(browser, exchange, [look, look]);
    await nameThem(a, "Ada");
    await nameThem(b, "Grace Hopper");
    await talk(a, b);
    const stranger = await browser.person(exchange, look);
    await stranger.logIn(await exchange.account());
    await stranger.add(a.number);
    await stranger.say("Hello, may I join?");
    await a.page.locator(".request").waitFor();
    await a.page.locator(".row-badge [aria-hidden]").waitFor();
    await examine(a.page, "conversation");
    await shot(a.page, `conversation-${theme}`);
    await a.page.getByRole("button", { name: "Details" }).click();
    await examine(a.page, "details");
    await a.page.keyboard.press("Escape");
    await a.page.keyboard.press("Control+k");
    await examine(a.page, "palette");
    if (theme === "dark") await shot(a.page, "palette");
    await a.page.keyboard.press("Escape");
    await a.page.getByRole("button", { name: "Profile and settings" }).click();
    await a.page.locator("dialog").waitFor();
    await examine(a.page, "settings");
    if (theme === "light") await shot(a.page, "settings");
    await a.page.getByRole("button", { name: "Keyboard shortcuts" }).click();
    await a.page.locator(".keys").waitFor();
    await examine(a.page, "shortcuts");
    await a.page.keyboard.press("Escape");
    await a.page.keyboard.press("Escape");
    await a.menu("And over UDP", "Reply");
    await a.page.getByRole("button", { name: "Emoji" }).click();
    await examine(a.page, "emoji and reply");
    await a.page.keyboard.press("Escape");
    await a.page.getByRole("button", { name: "Add someone" }).click();
    await examine(a.page, "add");
    await a.page.keyboard.press("Escape");
    await a.page.evaluate(() => (location.hash = "#/"));
    await a.page.locator(".nothing").waitFor();
    await examine(a.page, "nothing chosen");
  });
}

async function nameThem(person, name) {
  await person.page.getByRole("button", { name: "Profile and settings" }).click();
  await person.page.getByLabel("Name", { exact: true }).fill(name);
  await person.page.getByRole("button", { name: "Save" }).click();
  await person.page.locator(".me b", { hasText: name }).waitFor();
  await person.page.keyboard.press("Escape");
}

test("on a phone one pane at a time, and 320 px are enough", async () => {
  const phone = { viewport: PHONE, isMobile: true, hasTouch: true };
  const [a, b] = await pair(browser, exchange, [phone, {}]);
  await nameThem(b, "Grace Hopper");
  await a.page.locator(".who-text h1", { hasText: "Grace Hopper" }).waitFor();
  await b.say("Are you on the road?");
  await a.say("On the train, with one bar of network. Say on.");
  await b.say("Nothing gets lost, then.");
  await a.hears("Nothing gets lost");
  await examine(a.page, "conversation on a phone");
  await shot(a.page, "phone-conversation");
  assert.equal(await a.page.locator(".side").isVisible(), false);
  await a.page.getByRole("button", { name: "Back to conversations" }).click();
  await a.page.locator(".side").waitFor();
  assert.equal(await a.page.locator(".pane").isVisible(), false);
  await examine(a.page, "list on a phone");
  await shot(a.page, "phone-list");
  await a.page.setViewportSize({ width: 320, height: 568 });
  await examine(a.page, "list at 320 px");
  await a.page.getByRole("button", { name: "Profile and settings" }).click();
  await examine(a.page, "settings at 320 px");
  await a.page.keyboard.press("Escape");
  await a.open(b.number);
  await b.say("averylongwordwithoutanyspaceinitthatnoscreencouldholdonasinglelinehoweverwideitmightbe".repeat(3));
  await a.hears("averylongword");
  await examine(a.page, "conversation at 320 px");
});

test("Chinese by the browser, English by choice, and back", async () => {
  const [a, b] = await pair(browser, exchange);
  const number = await exchange.account();
  const zh = await browser.person(exchange, { locale: "zh-CN", viewport: SHOWN });
  // The words come by a module of their own, after the page.
  await zh.page.waitForFunction(() => document.documentElement.lang === "zh-CN");
  await zh.page.getByLabel("您的号码").fill(number);
  await zh.page.getByLabel("密码").fill("correct horse battery");
  await zh.page.getByRole("button", { name: "登录" }).click();
  await zh.online();
  await a.add(number);
  await a.say("你好，今天的会议改到下午三点了。");
  await zh.page.getByRole("button", { name: "接受" }).click();
  await zh.open(a.number);
  await zh.page.locator(".text", { hasText: "下午三点" }).waitFor();
  await zh.say("好的，收到。");
  await a.hears("好的，收到。");
  await examine(zh.page, "Chinese");
  await shot(zh.page, "chinese");
  await zh.page.getByRole("button", { name: "个人资料与设置" }).click();
  await zh.page.getByLabel("语言").selectOption("en");
  await zh.page.getByPlaceholder("Write a message").waitFor();
  await zh.page.reload();
  await zh.page.getByPlaceholder("Write a message").waitFor();
  assert.equal(await zh.page.evaluate(() => document.documentElement.lang), "en");
  assert.ok(b.number);
});

test("every word stands in both languages, with the same blanks", async () => {
  const a = await browser.person(exchange);
  const [en, zh] = await a.page.evaluate(async () => [(await import("/src/lang/en.js")).en, (await import("/src/lang/zh.js")).zh]);
  assert.deepEqual(Object.keys(zh), Object.keys(en));
  const blanks = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join();
  for (const [key, text] of Object.entries(en)) assert.equal(blanks(zh[key]), blanks(text), key);
});

test("light and dark by choice, against the device", async () => {
  const a = await browser.person(exchange, { colorScheme: "light", viewport: WIDE });
  await a.logIn(await exchange.account());
  const paper = () => a.page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await paper();
  await a.page.getByRole("button", { name: "Profile and settings" }).click();
  await a.page.getByLabel("Appearance").selectOption("dark");
  const dark = await paper();
  assert.notEqual(light, dark);
  await a.page.reload();
  await a.page.locator(".shell").waitFor();
  assert.equal(await paper(), dark);
});

test("it can be installed", async () => {
  const a = await browser.person(exchange);
  const manifest = await (await fetch(`${exchange.base}/manifest.webmanifest`)).json();
  for (const { src, type } of manifest.icons) {
    const answer = await fetch(exchange.base + src);
    assert.equal(answer.headers.get("content-type"), type, src);
  }
  const session = await a.context.newCDPSession(a.page);
  await a.page.evaluate(async () => void (await navigator.serviceWorker.ready));
  const { installabilityErrors } = await session.send("Page.getInstallabilityErrors");
  // A private window cannot be installed from; there is nothing else to say.
  assert.deepEqual(installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito"), []);
});
