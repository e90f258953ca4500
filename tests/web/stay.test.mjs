// Staying: logged in over reloads and restarts, in many tabs, with nothing lost and nothing twice.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Cable, PASSWORD, open, pair } from "./house.mjs";

const { browser, exchange } = await open();

/** The carrier's lines of a number, as the exchange tells them. */
async function lines(number) {
  const said = await exchange.command(["who", "--json"]);
  const all = said.startsWith("[") ? JSON.parse(said) : said.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return all.filter((line) => String(line.number) === number && line.state === "bound");
}

test("a reload asks for no password and loses nothing", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.say("before");
  await b.hears("before");
  const reloading = a.page.reload();
  await b.say("while it loads");
  await reloading;
  await a.online();
  await a.hears("before");
  await a.hears("while it loads");
  await a.say("after");
  await b.hears("after");
  const all = ["before", "while it loads", "after"];
  assert.deepEqual(await a.texts(b.number), all);
  assert.deepEqual(await b.texts(a.number), all);
  assert.equal((await lines(a.number)).length, 1, "the old session was resumed or replaced, not left beside the new one");
});

test("a token lies in storage, and no password", async () => {
  const a = await browser.person(exchange);
  await a.logIn(await exchange.account());
  const stored = await a.page.evaluate(async () => {
    const all = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
    for (const { name } of await indexedDB.databases()) {
      const db = await new Promise((resolve) => (indexedDB.open(name).onsuccess = (event) => resolve(event.target.result)));
      for (const store of db.objectStoreNames) {
        const request = db.transaction(store).objectStore(store).getAll();
        all.push(JSON.stringify(await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)))));
      }
      db.close();
    }
    return all.join("\n");
  });
  assert.ok(!stored.includes(PASSWORD));
  assert.match(stored, /"token":/);
});

/** Whether the page's latest socket went on with the session of the one before. */
const resumed = (person) => /<resumed[^>]*xmlns='urn:xmpp:sm:3'/.test(person.sockets.at(-1).join("\n"));

test("a cable that is cut: the session goes on over the next, with all that was on its way", async () => {
  const cable = await Cable.to(exchange);
  const a = await browser.person(cable);
  const b = await browser.person(exchange);
  await a.logIn(await exchange.account());
  await b.logIn(await exchange.account());
  await a.add(b.number);
  await b.accept();
  await b.open(a.number);
  const { length } = a.sockets;
  cable.cut();
  await a.page.locator(".strip-offline, .strip-connecting").waitFor();
  await b.say("into the gap");
  await a.say("and out of it");
  await a.online();
  await b.hears("and out of it");
  await a.hears("into the gap");
  assert.ok(a.sockets.length > length, "there was a new socket");
  assert.ok(resumed(a), a.sockets.at(-1).join("\n"));
  for (const [who, other] of [
    [a, b],
    [b, a],
  ]) {
    assert.deepEqual((await who.texts(other.number)).sort(), ["and out of it", "into the gap"]);
  }
  await a.context.close();
  await cable.end();
});

test("the exchange restarts: the page comes back by itself, and messages cross once", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.say("one");
  await b.hears("one");
  await exchange.stop();
  await a.page.locator(".strip-offline, .strip-connecting").waitFor();
  await a.say("written while it was gone");
  await a.marked("written while it was gone", "sending");
  await b.say("and the other way");
  await exchange.run();
  await a.online();
  await b.online();
  await b.hears("written while it was gone");
  await a.hears("and the other way");
  await a.marked("written while it was gone", "sent", "delivered", "read");
  // Not only the messages are there: the sessions are the same ones (XEP-0198 5).
  for (const who of [a, b]) assert.ok(resumed(who), who.sockets.at(-1).join("\n"));
  for (const [who, other] of [
    [a, b],
    [b, a],
  ]) {
    const texts = await who.texts(other.number);
    assert.deepEqual([...texts].sort(), ["and the other way", "one", "written while it was gone"], who.number);
  }
});

test("the exchange is killed in the middle of it: nothing is lost, nothing is there twice", async () => {
  const [a, b] = await pair(browser, exchange);
  const words = Array.from({ length: 30 }, (_, at) => `word ${String(at).padStart(2, "0")}`);
  for (const word of words.slice(0, 20)) await a.page.locator(".composer-field").fill(word).then(() => a.page.keyboard.press("Enter"));
  await exchange.kill();
  for (const word of words.slice(20)) await a.page.locator(".composer-field").fill(word).then(() => a.page.keyboard.press("Enter"));
  await exchange.run();
  await a.online();
  await b.online();
  await a.page.waitForFunction(() => document.querySelectorAll(".mark-sending").length === 0);
  await b.hears(words.at(-1));
  assert.deepEqual((await a.texts(b.number)).sort(), words);
  assert.deepEqual((await b.texts(a.number)).sort(), words);
});

test("the laptop is closed and opened: what was written goes out once", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.context.setOffline(true);
  await a.say("from the train");
  await a.page.close();
  await a.context.setOffline(false);
  await a.tab(`#/c/${b.number}@localhost`);
  await a.online();
  await b.hears("from the train");
  await a.marked("from the train", "sent", "delivered", "read");
  assert.deepEqual(await b.texts(a.number), ["from the train"]);
  assert.deepEqual(await a.texts(b.number), ["from the train"]);
});

test("one tab holds the stream, the others share it, and the next takes over", async () => {
  const [a, b] = await pair(browser, exchange);
  const first = a.page;
  const second = await a.tab(`#/c/${b.number}@localhost`);
  await a.online();
  assert.equal((await lines(a.number)).length, 1);
  await a.say("from the second tab");
  await b.hears("from the second tab");
  await b.say("to both tabs");
  for (const page of [first, second]) await page.locator(".text", { hasText: "to both tabs" }).waitFor();
  await first.close();
  await a.online();
  await b.say("after the first was closed");
  await a.hears("after the first was closed");
  await a.say("and back");
  await b.hears("and back");
  assert.deepEqual(await a.texts(b.number), ["from the second tab", "to both tabs", "after the first was closed", "and back"]);
});

test("logging out forgets everything; everywhere means everywhere", async () => {
  const number = await exchange.account();
  const a = await browser.person(exchange);
  const b = await browser.person(exchange);
  await a.logIn(number);
  await b.logIn(number);
  await a.page.getByRole("button", { name: "Profile and settings" }).click();
  await a.page.getByRole("button", { name: "Log out", exact: true }).click();
  await a.page.locator(".question-sheet").getByRole("button", { name: "Log out", exact: true }).click();
  await a.page.getByRole("heading", { name: "Log in" }).waitFor();
  assert.deepEqual(await a.page.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name)), []);
  assert.equal(await a.page.evaluate(() => localStorage.getItem("switchboard-account")), null);
  await a.logIn(number);
  await b.page.getByRole("button", { name: "Profile and settings" }).click();
  await b.page.getByRole("button", { name: "Log out everywhere" }).click();
  await b.page.locator(".question-sheet").getByRole("button", { name: "Log out everywhere" }).click();
  await b.page.getByRole("heading", { name: "Log in" }).waitFor();
  await a.page.getByRole("heading", { name: "Log in again" }).waitFor();
  await a.page.reload();
  await a.page.getByRole("heading", { name: "Log in again" }).waitFor();
});

test("a wrong password is said, and the exchange that is away too", async () => {
  const number = await exchange.account();
  const a = await browser.person(exchange);
  await a.page.getByLabel("Your number").fill(number);
  await a.page.getByLabel("Password").fill("wrong");
  await a.page.getByRole("button", { name: "Log in" }).click();
  await a.page.getByRole("alert").filter({ hasText: "do not belong together" }).waitFor();
  await exchange.stop();
  await a.page.getByLabel("Password").fill(PASSWORD);
  await a.page.getByRole("button", { name: "Log in" }).click();
  await a.page.getByRole("alert").filter({ hasText: "cannot be reached" }).waitFor();
  await exchange.run();
  await a.logIn(number);
});

test("the page opens without the exchange, and shows what it has", async () => {
  const [a, b] = await pair(browser, exchange);
  await a.say("kept here");
  await b.hears("kept here");
  await a.page.evaluate(async () => void (await navigator.serviceWorker.ready));
  await exchange.stop();
  await a.page.reload();
  await a.hears("kept here");
  await a.page.locator(".strip-offline", { hasText: "Offline" }).waitFor();
  await exchange.run();
  await a.online();
});
