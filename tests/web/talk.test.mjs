// What people do in a conversation, in two browsers and on a phone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PHONE, open, pair } from "./house.mjs";

const { browser, exchange } = await open();

test("messages cross, with their marks, and typing is seen", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.page.locator(".composer-field").pressSequentially("Are you", { delay: 5 });
  await b.page.locator(".who-state.typing").waitFor();
  await a.page.locator(".composer-field").fill("");
  await b.page.locator(".who-state.typing").waitFor({ state: "detached" });
  await a.say("Are you there?");
  await b.hears("Are you there?");
  await b.page.bringToFront();
  await a.marked("Are you there?", "read");
  await b.say("Yes,\nand here are two lines.");
  await a.hears("and here are two lines.");
  assert.deepEqual(await a.texts(b.number), ["Are you there?", "Yes,\nand here are two lines."]);
  assert.deepEqual(await b.texts(a.number), ["Are you there?", "Yes,\nand here are two lines."]);
});

test("unread messages are counted until they are looked at", async () => {
  const [a, b] = await pair(browser, exchange);
  await b.page.evaluate(() => (location.hash = "#/"));
  for (const text of ["one", "two", "three"]) await a.say(text);
  const row = b.page.locator(".conversation-row", { hasText: a.number });
  await row.locator(".row-badge", { hasText: "3" }).waitFor();
  assert.match(await b.page.title(), /^\(3\)/);
  await a.marked("three", "delivered");
  await b.open(a.number);
  await b.hears("three");
  await b.page.locator(".unread-line").waitFor();
  await row.locator(".row-badge", { hasText: "3" }).waitFor({ state: "detached" });
  await a.marked("one", "read");
});

test("what comes while a conversation is being opened is shown", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.say("before");
  await b.hears("before");
  await b.page.evaluate(() => (location.hash = "#/"));
  // The first page is read from disk, and then it takes its time.
  await b.page.evaluate(async () => {
    const { History } = await import("/src/store/history.js");
    const { page } = History.prototype;
    const opened = new Promise((resolve) => (window.goOn = resolve));
    History.prototype.page = async function (...asked) {
      const records = await page.apply(this, asked);
      window.isRead = true;
      await opened;
      return records;
    };
  });
  const opening = b.open(a.number);
  await b.page.waitForFunction(() => window.isRead);
  await a.say("meanwhile");
  await a.marked("meanwhile", "delivered");
  await b.page.evaluate(() => window.goOn());
  await opening;
  await b.hears("meanwhile");
  await a.marked("meanwhile", "read");
});

test("reply, correct, retract, copy", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.say("The train leaves at nine");
  await b.hears("The train leaves at nine");
  await b.menu("The train leaves at nine", "Reply");
  await b.say("Too early for me");
  const answer = a.message("Too early for me");
  await answer.locator(".quote-text", { hasText: "The train leaves at nine" }).waitFor();
  assert.equal((await answer.locator(".text").textContent()).includes(">"), false, "the quote for old clients is not shown twice");
  await a.menu("The train leaves at nine", "Edit");
  await a.say("The train leaves at ten");
  await b.hears("The train leaves at ten");
  await b.message("The train leaves at ten").locator(".meta", { hasText: "edited" }).waitFor();
  assert.equal(await b.page.locator(".text", { hasText: "at nine" }).count(), 0);
  await b.message("Too early for me").locator(".quote-text", { hasText: "at ten" }).waitFor();
  await a.menu("The train leaves at ten", "Retract");
  await a.page.getByRole("button", { name: "Retract", exact: true }).click();
  await b.hears("This message was retracted");
  assert.equal(await b.page.getByText("at ten").count(), 0);
  assert.deepEqual(await b.texts(a.number), ["", "Too early for me"]);
});

test("a request is accepted, refused, blocked", async () => {
  const a = await browser.person(exchange);
  const b = await browser.person(exchange);
  await a.logIn(await exchange.account());
  await b.logIn(await exchange.account());
  await a.add(b.number);
  await b.page.locator(".request", { hasText: a.number }).waitFor();
  await b.page.getByRole("button", { name: "Refuse" }).click();
  await b.page.locator(".request").waitFor({ state: "detached" });
  await a.add(b.number);
  await b.accept();
  await a.page.locator(".who-state", { hasText: "On line" }).waitFor();
  await b.open(a.number);
  await b.page.getByRole("button", { name: "Details" }).click();
  await b.page.getByRole("button", { name: "Block", exact: true }).click();
  await b.page.locator(".chat-bar", { hasText: "You have blocked" }).waitFor();
  await a.say("Can you hear me?");
  await a.page.locator(".failure").waitFor();
  await b.page.getByRole("button", { name: "Unblock" }).click();
  await b.page.locator(".chat-bar").waitFor({ state: "hidden" });
  await a.page.getByRole("button", { name: "Try again" }).click();
  await b.hears("Can you hear me?");
});

test("links can be opened, text stays text, emoji alone are large, a picture is announced for later", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.say("See https://example.org/a_(b)?c=d. And (http://127.0.0.1/x), but not javascript:alert(1)");
  const links = b.message("See https").locator("a");
  await links.nth(1).waitFor();
  assert.deepEqual(await links.evaluateAll((all) => all.map((link) => [link.href, link.target, link.rel])), [
    ["https://example.org/a_(b)?c=d", "_blank", "noopener noreferrer nofollow"],
    ["http://127.0.0.1/x", "_blank", "noopener noreferrer nofollow"],
  ]);
  await a.say("🎉👍");
  await b.page.locator(".bubble.large", { hasText: "🎉👍" }).waitFor();
  await a.page.getByRole("button", { name: "Emoji" }).click();
  await a.page.locator(".emoji button", { hasText: "🙂" }).click();
  assert.equal(await a.page.locator(".composer-field").inputValue(), "🙂");
  await a.page.locator(".composer-field").evaluate((field) => {
    const data = new DataTransfer();
    data.items.add(new File([new Uint8Array(4)], "cat.png", { type: "image/png" }));
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await a.page.locator(".toast", { hasText: "Pictures cannot be sent yet" }).waitFor();
});

test("what is written on one device appears on the other, and so does what was read", async () => {
  const [a, b] = await pair(browser, exchange);
  const phone = await browser.person(exchange, { viewport: PHONE, isMobile: true, hasTouch: true });
  await phone.logIn(a.number);
  await a.say("from the desk");
  await b.hears("from the desk");
  await phone.open(b.number);
  await phone.hears("from the desk");
  await phone.say("from the phone");
  await a.hears("from the phone");
  await a.page.evaluate(() => (location.hash = "#/"));
  await phone.page.evaluate(() => (location.hash = "#/"));
  await b.say("answer to both");
  for (const device of [a, phone]) await device.page.locator(".row-badge", { hasText: "1" }).waitFor();
  await phone.open(b.number);
  await phone.hears("answer to both");
  // XEP-0490: read on the phone is read at the desk.
  await a.page.locator(".row-badge [aria-hidden]").waitFor({ state: "detached" });
  await a.open(b.number);
  assert.deepEqual(await a.texts(b.number), ["from the desk", "from the phone", "answer to both"]);
  assert.deepEqual(await phone.texts(b.number), ["from the desk", "from the phone", "answer to both"]);
});

test("name, status and picture are seen by contacts", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.page.getByRole("button", { name: "Profile and settings" }).click();
  await a.page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
  await a.page.getByLabel("Status", { exact: true }).fill("calculating");
  await a.page.getByLabel("Shown as").selectOption("dnd");
  await a.page.getByRole("button", { name: "Save" }).click();
  await b.page.locator(".who-text h1", { hasText: "Ada Lovelace" }).waitFor();
  await b.page.locator(".who-state", { hasText: "Do not disturb · calculating" }).waitFor();
  await a.page.locator("#picture-file").setInputFiles({ name: "me.png", mimeType: "image/png", buffer: pictureFile() });
  await b.page.locator(".who img.avatar-picture").waitFor();
  await a.page.locator(".me img.avatar-picture").waitFor();
  assert.equal(await b.page.locator(".who img.avatar-picture").evaluate((image) => image.naturalWidth), 192);
});

/** A red dot, 2 by 2: the smallest PNG that browsers take. */
function pictureFile() {
  return Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP8z4AATAxEcQAz0QEHOoQ+uAAAAABJRU5ErkJggg==", "base64");
}

test("drafts are kept, by conversation and over a reload", async () => {
  const [a, b] = await pair(browser, exchange);
  const c = await exchange.account();
  // The field changes with the conversation, which the page opens in its own time.
  const holds = (text) => a.page.waitForFunction((value) => document.querySelector(".composer-field")?.value === value, text);
  await a.page.locator(".composer-field").fill("half a thou");
  await a.open(c);
  await holds("");
  await a.page.locator(".conversation-row", { hasText: "Draft: half a thou" }).waitFor();
  await a.open(b.number);
  await holds("half a thou");
  await a.page.locator(".composer-field").fill("half a thought");
  await a.page.reload();
  await holds("half a thought");
});
