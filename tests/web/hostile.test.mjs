// What strangers write stays text: script in every field that others fill, and what the page may not do.

import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";

import { Exchange, PASSWORD, open, pair } from "./house.mjs";

const ATTACKS = [
  `<img src=x onerror="window.pwned=1">`,
  `<script>window.pwned=1</script>`,
  `"><svg onload=window.pwned=1>`,
  `javascript:window.pwned=1`,
  `</span><iframe srcdoc="<script>parent.pwned=1</script>">`,
  `{{constructor.constructor('window.pwned=1')()}}`,
  `https://example.org/"onmouseover="window.pwned=1`,
  `xmpp:10001@localhost?message;body=<b>`,
  `\u202Egnp.cat`,
];

const { browser, exchange } = await open();

async function unharmed(page) {
  const found = await page.evaluate(() => ({
    pwned: window.pwned,
    scripts: [...document.scripts].map((script) => script.getAttribute("src")),
    strange: document.querySelectorAll("iframe, object, embed, b:not(.me-text b, .list-note b, .banner-text b), [onerror], [onload], [onmouseover], img:not(.avatar-picture, .ladder img)").length,
    links: [...document.querySelectorAll("a")].filter((link) => !["http:", "https:", "xmpp:"].includes(link.protocol)).length,
  }));
  assert.deepEqual(found, { pwned: undefined, scripts: ["/src/main.js"], strange: 0, links: 0 });
}

test("script in every field that others fill", async () => {
  const [a, b] = await pair(browser, exchange);
  for (const attack of ATTACKS) await a.say(attack);
  await b.hears(ATTACKS.at(-1));
  const texts = await b.texts(a.number);
  assert.deepEqual(texts, ATTACKS);
  await unharmed(b.page);
  await unharmed(a.page);
  await b.menu("<img src=x", "Reply");
  await b.say(ATTACKS[1]);
  await a.hears(ATTACKS[1]);
  await unharmed(a.page);
  for (const attack of ATTACKS.slice(0, 3)) {
    // Name, status: seen in the list, the head, the title, the details, the palette.
    await a.page.getByRole("button", { name: "Profile and settings" }).click();
    await a.page.getByLabel("Name", { exact: true }).fill(attack);
    await a.page.getByLabel("Status", { exact: true }).fill(attack);
    await a.page.getByRole("button", { name: "Save" }).click();
    await a.page.locator(".me b", { hasText: attack }).waitFor();
    await a.page.keyboard.press("Escape");
    await b.page.locator(".who-text h1", { hasText: attack }).waitFor();
    await b.page.locator(".who-state", { hasText: attack }).waitFor();
    await b.page.getByRole("button", { name: "Details" }).click();
    await unharmed(b.page);
    // A name that we give them.
    await b.page.getByLabel("Name", { exact: true }).fill(attack);
    await b.page.getByRole("button", { name: "Save name" }).click();
    await b.page.locator("dialog").waitFor({ state: "detached" });
    await b.page.keyboard.press("Control+k");
    await b.page.locator("[role=option]").first().waitFor();
    await unharmed(b.page);
    await b.page.keyboard.press("Escape");
    await b.page.getByRole("button", { name: "Details" }).click();
    await b.page.getByLabel("Name", { exact: true }).fill("");
    await b.page.getByRole("button", { name: "Save name" }).click();
    await b.page.locator("dialog").waitFor({ state: "detached" });
  }
  // A draft, a search, a request with a name and words, an address.
  await b.page.locator(".composer-field").fill(ATTACKS[0]);
  await b.page.evaluate(() => (location.hash = "#/"));
  await b.page.locator(".draft").waitFor();
  await b.page.locator(".search").fill(ATTACKS[0]);
  await unharmed(b.page);
  await b.page.locator(".search").fill("");
  const c = await browser.person(exchange);
  await c.logIn(await exchange.account());
  await c.page.getByRole("button", { name: "Profile and settings" }).click();
  await c.page.getByLabel("Name", { exact: true }).fill(ATTACKS[0]);
  await c.page.getByRole("button", { name: "Save" }).click();
  await c.page.locator(".me b", { hasText: ATTACKS[0] }).waitFor();
  await c.page.keyboard.press("Escape");
  await c.add(b.number);
  await b.page.locator(".request", { hasText: ATTACKS[0] }).waitFor();
  await unharmed(b.page);
  for (const hash of [`#/c/${encodeURIComponent(ATTACKS[0])}`, `#/invite/${encodeURIComponent(ATTACKS[1])}`, `#/lines/${encodeURIComponent(ATTACKS[2])}`, "#/c/%zz"]) {
    await b.page.evaluate((to) => (location.hash = to), hash);
    await unharmed(b.page);
  }
});

test("stanzas that no client of ours would send do no harm", async () => {
  const [a, b] = await pair(browser, exchange);
  const raw = await browser.person(exchange);
  const own = `${b.number}@localhost`;
  const stanzas = [
    // A carbon, an archive page, an event, a roster push that someone else forges.
    `<message to="${own}" xmlns="jabber:client"><received xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="${a.number}@localhost/x" to="${own}" type="chat"><body>forged carbon</body></message></forwarded></received></message>`,
    `<message to="${own}" xmlns="jabber:client"><result xmlns="urn:xmpp:mam:2" id="1" queryid="x"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" from="${a.number}@localhost/x" to="${own}" type="chat"><body>forged archive</body></message></forwarded></result></message>`,
    `<message to="${own}" xmlns="jabber:client" type="chat"><body>forged id</body><stanza-id xmlns="urn:xmpp:sid:0" by="${own}" id="forged"/></message>`,
    `<message to="${own}" xmlns="jabber:client" type="chat" id="r1"><retract xmlns="urn:xmpp:message-retract:1" id="of-another"/><body>x</body></message>`,
    `<message to="${own}" xmlns="jabber:client" type="chat"><reply xmlns="urn:xmpp:reply:0" id="none" to="x"/><fallback xmlns="urn:xmpp:fallback:0" for="urn:xmpp:reply:0"><body start="-5" end="99999999"/></fallback><body>odd ranges</body></message>`,
    `<message to="${own}" xmlns="jabber:client" type="chat"><encryption xmlns="urn:xmpp:eme:0" namespace="eu.siacs.conversations.axolotl"/><encrypted xmlns="eu.siacs.conversations.axolotl"><header sid="1"/><payload>AAAA</payload></encrypted><body>I sent you an OMEMO message but your client does not support it</body></message>`,
  ];
  const number = await exchange.account();
  await raw.page.evaluate(
    async ([domain, name, password, all]) => {
      const { Stream } = await import("/src/xmpp/stream.js");
      const { logIn } = await import("/src/xmpp/login.js");
      const stream = new Stream(`ws://${location.host}/xmpp-websocket`, domain);
      await logIn(stream, { name, password }, { id: crypto.randomUUID(), device: "test" }, null);
      stream.flow(() => {});
      for (const stanza of all) stream.send(stanza);
    },
    ["localhost", number, PASSWORD, stanzas],
  );
  await b.open(number);
  await b.hears("odd ranges");
  // XEP-0380: said, not shown.
  await b.page.locator(".text", { hasText: "Encrypted, readable on your other devices" }).waitFor();
  assert.deepEqual(await b.texts(number), ["forged id", "odd ranges", ""]);
  assert.deepEqual(await b.texts(a.number), []);
  assert.equal(await b.page.getByText("I sent you an OMEMO").count(), 0);
  await unharmed(b.page);
});

test("the policy forbids what nobody should want", async () => {
  const a = await browser.person(exchange);
  const outcome = await a.page.evaluate(async () => {
    const tried = {};
    try {
      document.body.insertAdjacentHTML("beforeend", "<p>markup</p>");
      tried.markup = true;
    } catch {
      tried.markup = false;
    }
    const script = document.createElement("script");
    try {
      script.textContent = "window.inline = 1";
    } catch {
      // Trusted Types refuse it already.
    }
    document.body.append(script);
    tried.inline = window.inline === 1;
    try {
      await fetch("https://example.org/");
      tried.elsewhere = true;
    } catch {
      tried.elsewhere = false;
    }
    return tried;
  });
  assert.deepEqual(outcome, { markup: false, inline: false, elsewhere: false });
  // The complaints are what was asked for.
  browser.faults.splice(0);
});

test("over plain http from another host the page says so, and where it is safe", async () => {
  const address = Object.values(networkInterfaces()).flat().find(({ family, internal }) => family === "IPv4" && !internal)?.address;
  assert.ok(address, "this machine has no address but loopback, so there is no other host to come from");
  const house = await Exchange.start("--http", `${address}:0`, "--https", "127.0.0.1:0");
  try {
    const line = house.said.find((said) => said.startsWith("ready"));
    const port = new RegExp(`${address.replaceAll(".", "\\.")}:(\\d+)`).exec(line)?.[1];
    const context = await browser.chromium.newContext({ locale: "en-GB" });
    const page = await context.newPage();
    await page.goto(`http://${address}:${port}/#/invite/abc`);
    await page.getByRole("heading", { name: "This address is not secure" }).waitFor();
    const link = await page.getByRole("link", { name: "Open the secure address" }).getAttribute("href");
    assert.equal(link, `https://${address}:${house.https}/#/invite/abc`);
    assert.equal(await page.locator("input").count(), 0, "no password can be typed there");
    await context.close();
  } finally {
    await house.end();
  }
});
