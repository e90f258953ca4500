"""XMPP by hand for carriers that no library here speaks: the stream's texts, and SCRAM-SHA-256 by RFC 5802.

Shares nothing with the exchange's own client: a second reading of the same RFCs.
"""

import base64
import hashlib
import hmac
import os
import re
from xml.etree import ElementTree

from exchange import PASSWORD

SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = "urn:ietf:params:xml:ns:xmpp-bind"
MESSAGE = r"<message.*?<body>.*?</body>.*?</message>"


class Scram:
    """The client's side of SCRAM-SHA-256, optionally bound to a channel (RFC 5801 gs2 header)."""

    def __init__(self, number, password=PASSWORD, binding=None):
        self.password = password
        self.gs2 = f"p={binding[0]},," if binding else "n,,"
        self.binding_data = binding[1] if binding else b""
        self.bare = f"n={number},r={base64.b64encode(os.urandom(18)).decode()}"

    def first(self):
        return base64.b64encode((self.gs2 + self.bare).encode()).decode()

    def answer(self, challenge):
        text = base64.b64decode(challenge).decode()
        fields = dict(part.split("=", 1) for part in text.split(","))
        salted = hashlib.pbkdf2_hmac(
            "sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"])
        )
        client_key = self._hmac(salted, b"Client Key")
        stored = hashlib.sha256(client_key).digest()
        bound = base64.b64encode(self.gs2.encode() + self.binding_data).decode()
        without_proof = f"c={bound},r={fields['r']}"
        message = f"{self.bare},{text},{without_proof}".encode()
        proof = bytes(x ^ y for x, y in zip(client_key, self._hmac(stored, message)))
        self.expected = self._hmac(self._hmac(salted, b"Server Key"), message)
        return base64.b64encode(f"{without_proof},p={base64.b64encode(proof).decode()}".encode()).decode()

    def check(self, success):
        """The server proves that it knows the password too."""
        text = base64.b64decode(success).decode()
        assert text == "v=" + base64.b64encode(self.expected).decode(), "the server's signature is false"

    @staticmethod
    def _hmac(key, data):
        return hmac.new(key, data, hashlib.sha256).digest()


def text_of(element):
    """The text inside the first element of a piece of XML."""
    return re.search(r">([^<]*)</", element).group(1)


class Stream:
    """A stream over any carrier that offers `send(text)` and `more()`: both coroutines.

    `until` reads until the pattern (a regular expression) has come and takes the text up to its end; `pluck` takes what
    matched alone and leaves what came before it.
    """

    framed = False

    def __init__(self):
        self.collector = Collector()

    async def send(self, text):
        raise NotImplementedError

    async def more(self):
        """Reads what comes next and returns it."""
        raise NotImplementedError

    async def until(self, pattern):
        while (taken := self.collector.take(pattern)) is None:
            self.collector.text += await self.more()
        return taken

    async def pluck(self, pattern):
        while (taken := self.collector.pluck(pattern)) is None:
            self.collector.text += await self.more()
        return taken

    async def open(self):
        if self.framed:
            await self.send("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>")
        else:
            await self.send(
                "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
                "xmlns:stream='http://etherx.jabber.org/streams'>"
            )
        return await self.until(r"</(stream:)?features>")

    async def log_in(self, number, resource, binding=None):
        features = await self.open()
        mechanism = "SCRAM-SHA-256-PLUS" if binding else "SCRAM-SHA-256"
        assert f">{mechanism}<" in features, features
        scram = Scram(number, binding=binding)
        await self.send(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>{scram.first()}</auth>")
        challenge = await self.until(r"</challenge>|</failure>")
        assert "</challenge>" in challenge, challenge
        await self.send(f"<response xmlns='{SASL}'>{scram.answer(text_of(challenge))}</response>")
        success = await self.until(r"</success>|</failure>")
        assert "</success>" in success, success
        scram.check(text_of(success))
        await self.open()
        await self.send(f"<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='{BIND}'><resource>{resource}</resource></bind></iq>")
        bound = await self.until(r"</iq>")
        assert f"{number}@localhost/{resource}" in bound, bound
        await self.send("<presence xmlns='jabber:client'/>")
        await self.ping()
        return self

    async def ping(self):
        mark = os.urandom(4).hex()
        await self.send(f"<iq xmlns='jabber:client' type='get' id='{mark}'><ping xmlns='urn:xmpp:ping'/></iq>")
        return await self.pluck(rf"<iq[^>]*id=['\"]{mark}['\"][^>]*/?>")

    async def ask(self, question):
        """Asks the exchange and returns the answer's iq, parsed."""
        mark = os.urandom(4).hex()
        await self.send(f"<iq xmlns='jabber:client' type='get' id='{mark}' to='localhost'>{question}</iq>")
        return ElementTree.fromstring(await self.pluck(rf"<iq[^>]*id=['\"]{mark}['\"][^>]*(?:(?<=/)>|(?<!/)>.*?</iq>)"))

    async def write(self, number, body):
        await self.send(
            f"<message xmlns='jabber:client' to='{number}@localhost' type='chat'><body>{body}</body></message>"
        )

    async def answer_questions(self):
        """An empty result is enough for the exchange, which wants to know that we are there."""
        while question := self.collector.pluck(r"<iq (?=[^>]*type='get')[^>]*><(?:ping|query) [^>]*/></iq>"):
            mark = re.search(r" id='([^']*)'", question).group(1)
            await self.send(f"<iq xmlns='jabber:client' type='result' id='{mark}'/>")

    async def hear(self):
        """The next message; questions that come before it are answered, as every client does."""
        while (message := self.collector.pluck(MESSAGE)) is None:
            await self.answer_questions()
            self.collector.text += await self.more()
        sender = re.search(r"from=['\"](\d+)@", message).group(1)
        return sender, re.search(r"<body>(.*?)</body>", message).group(1)


class Collector:
    """Keeps what has come until somebody asks for a pattern in it."""

    def __init__(self):
        self.text = ""

    def take(self, pattern):
        found = re.search(pattern, self.text, re.DOTALL)
        if not found:
            return None
        taken, self.text = self.text[: found.end()], self.text[found.end() :]
        return taken

    def pluck(self, pattern):
        found = re.search(pattern, self.text, re.DOTALL)
        if not found:
            return None
        self.text = self.text[: found.start()] + self.text[found.end() :]
        return found.group(0)
