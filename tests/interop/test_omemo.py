"""slixmpp-omemo: an encrypted message each way, with device lists and bundles on the exchange."""

import asyncio

from omemo.storage import Just, Nothing, Storage
from slixmpp import JID
from slixmpp.plugins import register_plugin
from slixmpp_omemo import XEP_0384

from exchange import PATIENCE
from slix import Person
from test_features import befriend


class Kept(Storage):
    """What a client keeps of its keys, as long as the test runs."""

    def __init__(self):
        super().__init__()
        self.values = {}

    async def _load(self, key):
        return Just(self.values[key]) if key in self.values else Nothing()

    async def _store(self, key, value):
        self.values[key] = value

    async def _delete(self, key):
        self.values.pop(key, None)


class Omemo(XEP_0384):
    default_config = {**XEP_0384.default_config, "kept": None}

    @property
    def storage(self):
        return self.kept

    @property
    def _btbv_enabled(self):
        return True

    async def _prompt_manual_trust(self, manually_trusted, identifier):
        raise AssertionError("nobody was verified, so all are trusted blindly")


register_plugin(Omemo)


class Secret(Person):
    def __init__(self, exchange, number):
        super().__init__(exchange, number, "starttls")
        self.use_message_ids = True
        self.register_plugin("xep_0380")
        self.register_plugin("xep_0384", {"kept": Kept()}, module=__import__(__name__))
        self.ready = asyncio.Event()
        self.opened = asyncio.Queue()
        self.add_event_handler("omemo_initialized", lambda _: self.ready.set())

    def _on_message(self, message):
        if message.xml.find("{eu.siacs.conversations.axolotl}encrypted") is not None:
            self.opened.put_nowait(message)

    async def log_in(self):
        await super().log_in()
        await asyncio.wait_for(self.ready.wait(), PATIENCE)
        return self

    async def write_secretly(self, other, body):
        to = JID(f"{other.number}@localhost")
        plain = self.make_message(mto=to, mtype="chat", mbody=body)
        plain.set_from(self.boundjid)
        secret, errors = await self["xep_0384"].encrypt_message(plain, {to})
        assert secret is not None and not errors, errors
        assert body not in str(secret)
        secret.send()

    async def hear_secretly(self):
        message = await asyncio.wait_for(self.opened.get(), PATIENCE)
        plain, device = await self["xep_0384"].decrypt_message(message)
        return device.bare_jid, plain["body"]


async def test_an_encrypted_message_crosses_each_way(exchange, numbers):
    a, b = await asyncio.gather(*(Secret(exchange, number).log_in() for number in numbers))
    await befriend(a, b)
    await a.write_secretly(b, "only for you, 你好")
    assert await b.hear_secretly() == (f"{numbers[0]}@localhost", "only for you, 你好")
    await b.write_secretly(a, "and only for you")
    assert await a.hear_secretly() == (f"{numbers[1]}@localhost", "and only for you")
    await a.log_out()
    await b.log_out()


async def test_strangers_encrypt_too(exchange, numbers):
    """Device lists and bundles are open by their own wish, though profiles are for contacts only."""
    a, b = await asyncio.gather(*(Secret(exchange, number).log_in() for number in numbers))
    await a.write_secretly(b, "we have not met")
    assert await b.hear_secretly() == (f"{numbers[0]}@localhost", "we have not met")
    await a.log_out()
    await b.log_out()
