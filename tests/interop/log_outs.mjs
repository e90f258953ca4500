// Logs in and out N times with xmpp.js (STARTTLS, SCRAM), a few at once.
import { client } from "@xmpp/client";

const [host, port, number, count] = process.argv.slice(2);
const AT_ONCE = 10;
let next = 0;
let done = 0;

async function once(index) {
  const xmpp = client({
    service: `xmpp://${host}:${port}`,
    domain: "localhost",
    username: number,
    password: process.env.SWITCHBOARD_PASSWORD,
    resource: `js-${index}`,
  });
  xmpp.reconnect.stop();
  xmpp.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  await xmpp.start();
  await xmpp.stop();
  done += 1;
}

async function worker() {
  while (next < Number(count)) await once(next++);
}

await Promise.all(Array.from({ length: AT_ONCE }, worker));
console.log(`done ${done}`);
process.exit(0);
