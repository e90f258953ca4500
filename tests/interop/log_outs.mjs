// Logs in and out N times with xmpp.js (STARTTLS, PLAIN under it), a few at once.
import { once } from "node:events";
import { client } from "@xmpp/client";

const [host, port, number, count] = process.argv.slice(2);
const AT_ONCE = 10;
const PATIENCE_MS = 20_000;
let next = 0;
let done = 0;

async function logInAndOut(index) {
  const xmpp = client({
    service: `xmpp://${host}:${port}`,
    domain: "localhost",
    username: number,
    password: process.env.SWITCHBOARD_PASSWORD,
    resource: `js-${index}`,
  });
  xmpp.reconnect.stop();
  // xmpp.js 0.14 begins to wait for a stream's opening only when its own has been written out, and misses an answer that is
  // quicker; it asks for <enable/> behind a log-out that came at once. Both end as errors that change nothing on the wire, so
  // what counts is that it came on line; how it left is judged by the wire and by the exchange.
  const errors = [];
  xmpp.on("error", (error) => errors.push(error));
  const online = once(xmpp, "online", { signal: AbortSignal.timeout(PATIENCE_MS) }).catch(() => {
    throw new Error(`${index} did not come on line: ${errors.map(String)}`);
  });
  xmpp.start().catch((error) => errors.push(error));
  await online;
  await xmpp.stop();
  done += 1;
}

async function worker() {
  while (next < Number(count)) await logInAndOut(next++);
}

await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log(`done ${done}`);
process.exit(0);
