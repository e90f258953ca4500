"""slixmpp as a person would use it: logs in over a carrier, notes what comes."""

import asyncio
import ssl

import slixmpp

from exchange import PASSWORD, PATIENCE

CARRIERS = ("clear", "starttls", "direct-tls")


class Person(slixmpp.ClientXMPP):
    def __init__(self, exchange, number, carrier, resource="slix"):
        super().__init__(f"{number}@localhost/{resource}", PASSWORD)
        self.exchange = exchange
        self.number = number
        self.carrier = carrier
        self.bodies = asyncio.Queue()
        self.here = asyncio.get_event_loop().create_future()
        self.gone = asyncio.get_event_loop().create_future()
        self.refused = asyncio.get_event_loop().create_future()
        self.register_plugin("xep_0199")
        self.register_plugin("xep_0203")
        self.use_presence_ids = False
        self.add_event_handler("session_start", self._on_start)
        self.add_event_handler("message", self._on_message)
        self.add_event_handler("disconnected", lambda _: self.gone.done() or self.gone.set_result(True))
        self.add_event_handler("failed_auth", lambda _: self.refused.done() or self.refused.set_result(True))
        # Whoever has left does not come back, whatever slixmpp had begun.
        self.left = False
        self.ca_certs = exchange.certificate
        self.enable_plaintext = carrier == "clear"
        self.enable_starttls = carrier == "starttls"
        self.enable_direct_tls = carrier == "direct-tls"
        if carrier == "clear":
            self.plugin["feature_mechanisms"].unencrypted_scram = True

    def get_ssl_context(self):
        context = ssl.create_default_context(cafile=self.exchange.certificate)
        return context

    async def _on_start(self, _):
        self.send_presence()
        await self.get_roster()
        # The answer to a ping shows that the presence sent before it has been taken in.
        await self.plugin["xep_0199"].send_ping("localhost")
        if not self.here.done():
            self.here.set_result(True)

    def _on_message(self, message):
        if message["body"]:
            self.bodies.put_nowait((message["from"].bare.split("@")[0], message["body"]))

    async def log_in(self):
        port = self.exchange.ports["tls" if self.carrier == "direct-tls" else "tcp"]
        self.connect(self.exchange.host, port)
        await asyncio.wait_for(self.here, PATIENCE)
        return self

    async def write(self, number, body):
        """Sends, and returns once the exchange has answered a ping sent behind it."""
        self.send_message(mto=f"{number}@localhost", mbody=body, mtype="chat")
        await self.plugin["xep_0199"].send_ping("localhost")

    async def hear(self, seconds=PATIENCE):
        return await asyncio.wait_for(self.bodies.get(), seconds)

    def connection_made(self, transport, send_event=True):
        if self.left:
            return transport.abort()
        super().connection_made(transport, send_event)

    def leave_for_good(self):
        """Drops the connection, whether it was up or still being made: nothing of this client is left for a later exchange."""
        self.left = True
        self.cancel_connection_attempt()
        if self.transport:
            self.transport.abort()

    async def log_out(self):
        await self.disconnect()
