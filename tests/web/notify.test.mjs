// Notifications: a word from the system when nobody looks, none when somebody does or nobody asked for them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { open, pair } from "./house.mjs";

const { browser, exchange } = await open();

/** Allows notifications, and notes every one that the page asks for; the browser shows them all the same. */
async function watch(person) {
  await person.context.grantPermissions(["notifications"], { origin: exchange.base });
  await person.page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    window.asked = [];
    const show = ServiceWorkerRegistration.prototype.showNotification;
    ServiceWorkerRegistration.prototype.showNotification = function (title, options) {
      window.asked.push(options.body);
      return show.call(this, title, options);
    };
  });
}

/** Turns to another tab. The driver tells every page that it has the focus, until it is told not to. */
async function turnAway(person) {
  const session = await person.context.newCDPSession(person.page);
  await session.send("Emulation.setFocusEmulationEnabled", { enabled: false });
  const other = await person.context.newPage();
  await other.bringToFront();
  await person.page.waitForFunction(() => !document.hasFocus());
  return async () => {
    await other.close();
    await person.page.bringToFront();
    await session.send("Emulation.setFocusEmulationEnabled", { enabled: true });
    await person.page.waitForFunction(() => document.hasFocus());
  };
}

const asked = (person) => person.page.evaluate(() => window.asked);

/** What the system shows, as the service worker knows it. */
const shown = (person) =>
  person.page.evaluate(async () => {
    const registration = await navigator.serviceWorker.getRegistration();
    return (await registration.getNotifications()).map(({ title, body, data }) => ({ title, body, peer: data.peer }));
  });

async function tick(person, on) {
  const { page } = person;
  await page.getByRole("button", { name: "Profile and settings" }).click();
  await page.getByLabel("Notify me of messages").setChecked(on);
  await page.keyboard.press("Escape");
}

test("who looks elsewhere is told of a message, once a conversation", async () => {
  const [a, b] = await pair(browser, exchange);
  await watch(a);
  await tick(a, true);
  await a.open(b.number);
  await b.say("you are looking at this");
  await a.hears("you are looking at this");
  const turnBack = await turnAway(a);
  await b.say("and now you are not");
  await a.page.waitForFunction(() => window.asked.length > 0);
  await b.say("nor now");
  await a.page.waitForFunction(() => window.asked.length > 1);
  assert.deepEqual(await asked(a), ["and now you are not", "nor now"]);
  // The later stands for both.
  assert.deepEqual(await shown(a), [{ title: b.number, body: "nor now", peer: `${b.number}@localhost` }]);
  await turnBack();
  // Who comes back to the conversation has seen it.
  await a.page.waitForFunction(async () => (await (await navigator.serviceWorker.getRegistration()).getNotifications()).length === 0);
  await b.say("welcome back");
  await a.hears("welcome back");
  // The markers come behind what the page does about a message.
  await b.marked("welcome back", "read");
  assert.equal((await asked(a)).length, 2);
});

test("who did not ask for them gets none, and who did not mean it any more", async () => {
  const [a, b] = await pair(browser, exchange);
  await watch(a);
  const hears = async (text) => {
    const turnBack = await turnAway(a);
    await b.say(text);
    await b.marked(text, "delivered");
    await turnBack();
  };
  await hears("in silence");
  await tick(a, true);
  await hears("aloud");
  await tick(a, false);
  await hears("in silence again");
  assert.deepEqual(await asked(a), ["aloud"]);
});
