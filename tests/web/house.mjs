// House: what every test of the page needs: an exchange on ports of its own, browsers, people, and a clean end.
// Owns: the processes it starts. Invariants: an error on a page's console, a request to another host, or a violation of
// the page's policy fails the test in whose house it happened.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import assert from "node:assert/strict";
import { after, afterEach } from "node:test";

import { chromium } from "playwright-core";

export const PASSWORD = "correct horse battery";
const BINARY = process.env.SWITCHBOARD_BIN;
const BROWSER = process.env.SWITCHBOARD_CHROMIUM ?? "/usr/bin/chromium";
/** Nothing of the browser's own goes anywhere. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
/** How long the page may take over anything, in milliseconds. Loaded machines are slow; what passes, passes at once. */
export const PATIENCE = 60_000;

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Sizes of windows. */
export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** One `switchboard serve`; a restart keeps the folder and the ports. */
export class Exchange {
  static async start(...more) {
    const exchange = new Exchange();
    exchange.folder = await mkdtemp(join(tmpdir(), "switchboard-web-"));
    exchange.more = more;
    await exchange.run();
    return exchange;
  }

  async run() {
    const words = ["serve", "--data", join(this.folder, "data"), "--tcp", "none", "--tls", "none", "--quic", "none"];
    words.push("--http", `127.0.0.1:${this.port ?? 0}`, ...this.more);
    this.process = spawn(BINARY, words, { stdio: ["ignore", "pipe", "pipe"] });
    this.log = "";
    this.process.stderr.on("data", (data) => (this.log = (this.log + data).slice(-8000)));
    this.ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.said = [];
    for await (const line of createInterface({ input: this.process.stdout })) {
      this.said.push(line);
      const ready = /^ready .*http=127\.0\.0\.1:(\d+)/.exec(line);
      if (!ready) continue;
      this.port = Number(ready[1]);
      this.https = /https=\S*:(\d+)/.exec(line)?.[1];
      this.process.stdout.resume();
      return;
    }
    assert.fail(`the exchange is not ready: ${this.log}`);
  }

  get base() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Runs a command of the binary and returns what it printed. */
  async command(words, environment = {}) {
    const [name, ...rest] = words;
    const child = spawn(BINARY, [name, ...rest, "--data", join(this.folder, "data")], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    let out = "";
    let err = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err += data));
    const code = await new Promise((resolve) => child.once("close", resolve));
    assert.equal(code, 0, `switchboard ${words.join(" ")}: ${err}`);
    return out.trim();
  }

  /** Makes an account; returns its number. */
  account(...more) {
    return this.command(["account", "create", ...more], { SWITCHBOARD_PASSWORD: PASSWORD });
  }

  /** Makes an invite; returns its token. */
  async invite() {
    const said = await this.command(["invite"]);
    const token = /#\/invite\/([^\s]+)/.exec(said)?.[1];
    assert.ok(token, `no web link in: ${said}`);
    return { token, said };
  }

  async stop() {
    this.process.kill("SIGTERM");
    assert.equal(await this.ended, 0, this.log);
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async restart() {
    await this.stop();
    await this.run();
  }

  async end() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill("SIGTERM");
      await this.ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A cable to an exchange that can be cut; what is on it is lost. A person who is given it instead of the exchange comes through it. */
export class Cable {
  static async to(exchange) {
    const cable = new Cable();
    cable.ends = new Set();
    cable.server = createServer((near) => {
      const far = connect(exchange.port, "127.0.0.1");
      for (const [one, other] of [[near, far], [far, near]]) {
        cable.ends.add(one);
        one.pipe(other);
        one.on("error", () => {});
        one.on("close", () => {
          cable.ends.delete(one);
          other.destroy();
        });
      }
    });
    await new Promise((resolve) => cable.server.listen(0, "127.0.0.1", resolve));
    cable.port = cable.server.address().port;
    cable.base = `http://127.0.0.1:${cable.port}`;
    return cable;
  }

  cut() {
    for (const end of this.ends) end.destroy();
  }

  async end() {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** A browser, and the people who look into it. */
export class Browser {
  static async start() {
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: BROWSER, args: ARGUMENTS });
    browser.faults = [];
    browser.contexts = [];
    return browser;
  }

  /** A person with a browser profile of their own. `look`: a window's size and what the device prefers. */
  async person(exchange, look = {}) {
    const { allow = [], ...options } = look;
    const context = await this.chromium.newContext({ viewport: WIDE, locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
    context.setDefaultTimeout(PATIENCE);
    this.contexts.push(context);
    context.on("request", (request) => {
      const url = new URL(request.url());
      const ours = url.host === `127.0.0.1:${exchange.port}` || ["data:", "blob:"].includes(url.protocol);
      if (!ours && !allow.includes(url.host)) this.faults.push(`a request went to ${url.host}`);
    });
    const person = new Person(exchange, context, this.faults);
    await person.tab();
    return person;
  }

  /** Fails if any page had anything to complain of. */
  check() {
    const faults = this.faults.splice(0);
    assert.deepEqual(faults, []);
  }

  async clear() {
    for (const context of this.contexts.splice(0)) await context.close();
  }

  async end() {
    await this.chromium.close();
  }
}

/** What a lost connection makes a browser say on its own. */
const EXPECTED = [/WebSocket connection to/, /ERR_CONNECTION_REFUSED/, /ERR_INTERNET_DISCONNECTED/, /Failed to load resource/];

/** The address of a number, or what is one already. */
const address = (number) => (number.includes("@") ? number : `${number}@localhost`);

/** Someone at a page. */
export class Person {
  constructor(exchange, context, faults) {
    this.exchange = exchange;
    this.context = context;
    this.faults = faults;
    this.sockets = [];
  }

  /** Opens a tab and turns to it. */
  async tab(hash = "") {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      const text = message.text();
      if (["error", "warning"].includes(message.type()) && !EXPECTED.some((known) => known.test(text))) this.faults.push(text);
    });
    page.on("pageerror", (error) => this.faults.push(String(error.stack ?? error)));
    // What comes over the page's own sockets, a list each.
    page.on("websocket", (socket) => {
      const frames = [];
      this.sockets.push(frames);
      socket.on("framereceived", ({ payload }) => frames.push(String(payload)));
    });
    await page.goto(`${this.exchange.base}/${hash}`);
    this.page = page;
    return page;
  }

  async logIn(number, password = PASSWORD) {
    this.number = number;
    const { page } = this;
    await page.getByLabel("Your number").fill(number);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await this.online();
    return this;
  }

  /** Takes an invite: a name, a password, in. Returns the number. */
  async join(token, name, password = PASSWORD) {
    const { page } = this;
    await page.goto(`${this.exchange.base}/#/invite/${token}`);
    this.number = (await page.locator(".reserved-number").textContent()).trim();
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("Choose a password").fill(password);
    await page.getByRole("button", { name: "Start chatting" }).click();
    await this.online();
    return this.number;
  }

  /** Waits until the page is logged in and its session stands. */
  async online() {
    await this.page.locator(".shell").waitFor();
    await this.page.waitForFunction(() => document.querySelector(".strip-online"));
  }

  /** Adds someone by number and writes to them. */
  async add(number) {
    const { page } = this;
    await page.getByRole("button", { name: "Add someone" }).click();
    await page.getByLabel("Their number").fill(number);
    await page.getByRole("button", { name: "Add and write" }).click();
    await this.writesTo(number);
  }

  async accept() {
    await this.page.getByRole("button", { name: "Accept" }).click();
    await this.page.locator(".request").waitFor({ state: "detached" });
  }

  /** Opens the conversation with a number or address. */
  async open(number) {
    await this.page.evaluate((to) => (location.hash = `#/c/${encodeURIComponent(to)}`), address(number));
    await this.writesTo(number);
  }

  /** Waits until what is written goes to them: another conversation may have been open. */
  async writesTo(number) {
    await this.page.locator(`.chat[data-peer="${address(number)}"] .composer-field`).waitFor();
  }

  async say(text) {
    await this.page.locator(".composer-field").fill(text);
    await this.page.locator(".composer-field").press("Enter");
    await this.message(text).waitFor();
  }

  /** The bubble that holds a text. */
  message(text) {
    return this.page.locator(".message", { has: this.page.locator(".text", { hasText: text }) }).last();
  }

  async hears(text) {
    await this.message(text).waitFor();
  }

  /** Waits until a message of ours has one of these marks. */
  async marked(text, ...states) {
    await this.message(text).locator(states.map((state) => `.mark-${state}`).join(", ")).waitFor();
  }

  /** The texts of the conversation that is open, oldest first, as they stand on disk. */
  texts(peer) {
    return this.page.evaluate(async (to) => {
      const { openDatabase } = await import("/src/store/database.js");
      const { History } = await import("/src/store/history.js");
      const db = await openDatabase(localStorage.getItem("switchboard-account"));
      const records = await new History(db).page(to, null, 100_000);
      db.close();
      return records.map((record) => record.body);
    }, `${peer}@localhost`);
  }

  /** As an administrator: opens the line of a number, and waits until it is watched. */
  async line(number) {
    const { page } = this;
    await page.getByRole("button", { name: "Lines" }).click();
    await page.locator("tbody tr", { hasText: number }).getByRole("button").click();
    await page.locator(".ladder p, .ladder img").first().waitFor();
  }

  /** Waits until the line that is open is said to be so. */
  async fact(group, name, value) {
    const exactly = (text) => new RegExp(`^${text}$`);
    const heading = this.page.getByRole("heading", { name: group, exact: true });
    const term = this.page.locator(".fact-group", { has: heading }).locator("dt", { hasText: exactly(name) });
    await term.locator("xpath=following-sibling::dd[1]").filter({ hasText: exactly(value) }).waitFor();
  }

  /** The rows of the ladder that is drawn, as text, once it is there and its picture stands. */
  async ladder() {
    await this.page.waitForFunction(() => document.querySelector(".ladder img")?.naturalWidth > 0);
    return (await this.page.locator(".ladder pre").textContent()).split("\n");
  }

  async sees(text) {
    await this.page.getByText(text).waitFor();
  }

  async menu(text, action) {
    const message = this.message(text);
    await message.hover();
    await message.getByRole("button", { name: "Actions for this message" }).click();
    await this.page.getByRole("menuitem", { name: action, exact: true }).click();
  }
}

/** Fails on any violation, and on what overflows the window. */
export async function examine(page, name) {
  // Through the debugger, which the page's policy does not bind; its own scripts it does.
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const told = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join("; ")}`);
  assert.deepEqual(told, [], name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name}: ${wide} px wider than the window`);
}

/** Opens the house for a file of tests: a browser and an exchange for all of them. Who came for a test leaves after it. */
export async function open() {
  const browser = await Browser.start();
  const exchange = await Exchange.start();
  afterEach(async () => {
    browser.check();
    await browser.clear();
  });
  after(async () => {
    await browser.end();
    await exchange.end();
  });
  return { browser, exchange };
}

/** Two people who know each other, on an exchange. */
export async function pair(browser, exchange, looks = [{}, {}]) {
  const a = await browser.person(exchange, looks[0]);
  const b = await browser.person(exchange, looks[1]);
  await a.logIn(await exchange.account());
  await b.logIn(await exchange.account());
  await a.add(b.number);
  await b.accept();
  await b.open(a.number);
  return [a, b];
}
