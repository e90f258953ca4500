// Logs in with xmpp.js by SASL2 with a password, and again with nothing but the token it was given (FAST, XEP-0484).
import { client } from "@xmpp/client";
import xml from "@xmpp/xml";

const [host, port, number] = process.argv.slice(2);
// XEP-0388: a token belongs to one installation of one client.
const userAgent = xml("user-agent", { id: "d4565fa7-4d72-4749-b3d3-740edbf87770" }, [xml("software", {}, "xmpp.js")]);
let token = null;
let used = null;

async function logIn(credentials) {
  const xmpp = client({
    service: `xmpp://${host}:${port}`,
    domain: "localhost",
    resource: "js",
    credentials: async (authenticate, mechanisms, fast) => {
      if (!fast) throw new Error("no FAST is offered");
      fast.saveToken = async (given) => {
        token = given;
      };
      used = credentials.token ? credentials.token.mechanism : mechanisms[0];
      await authenticate({ username: number, ...credentials }, mechanisms[0], userAgent);
    },
  });
  // A busy machine answers late.
  xmpp.timeout = 20_000;
  xmpp.reconnect.stop();
  xmpp.on("error", (error) => {
    console.error(error);
    process.exit(1);
  });
  const jid = await xmpp.start();
  await xmpp.stop();
  return jid;
}

await logIn({ password: process.env.SWITCHBOARD_PASSWORD });
console.log(`first ${used}`);
if (!token) throw new Error("no token was given");
const jid = await logIn({ token });
console.log(`again ${used} ${jid.local}`);
process.exit(0);
