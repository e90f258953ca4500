"""A WebSocket client (RFC 7395) by the `websockets` library, and the host-meta that leads to it (XEP-0156)."""

import asyncio
import json
import urllib.request

import websockets

from exchange import PATIENCE
from rawxmpp import Stream


class WebSocket(Stream):
    framed = True

    def __init__(self, socket):
        self.socket = socket
        super().__init__()

    @classmethod
    async def connect(cls, exchange):
        url = f"ws://127.0.0.1:{exchange.ports['http']}/xmpp-websocket"
        return cls(await websockets.connect(url, subprotocols=["xmpp"]))

    async def send(self, text):
        await self.socket.send(text)

    async def more(self):
        return await asyncio.wait_for(self.socket.recv(), PATIENCE)


async def test_messages_cross_over_websocket(exchange, numbers):
    a = await (await WebSocket.connect(exchange)).log_in(numbers[0], "web")
    b = await (await WebSocket.connect(exchange)).log_in(numbers[1], "web")
    assert a.socket.subprotocol == "xmpp"
    await a.write(numbers[1], "over the web")
    assert await b.hear() == (numbers[0], "over the web")
    carriers = {line["number"]: line["carrier"] for line in exchange.who()}
    assert {str(k): v for k, v in carriers.items()} == {numbers[0]: "ws", numbers[1]: "ws"}
    await a.send("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
    await a.until(r"<close[^>]*/>")
    await a.socket.wait_closed()
    await b.socket.close()


async def test_a_message_waits_for_a_websocket_client(exchange, numbers):
    a = await (await WebSocket.connect(exchange)).log_in(numbers[0], "web")
    await a.write(numbers[1], "while you were away")
    await a.ping()
    b = await (await WebSocket.connect(exchange)).log_in(numbers[1], "web")
    assert await b.hear() == (numbers[0], "while you were away")
    await a.socket.close()
    await b.socket.close()


def test_host_meta_names_the_websocket(exchange):
    base = f"http://127.0.0.1:{exchange.ports['http']}/.well-known/host-meta"
    with urllib.request.urlopen(base, timeout=PATIENCE) as answer:
        xrd = answer.read().decode()
    assert "urn:xmpp:alt-connections:websocket" in xrd and "/xmpp-websocket" in xrd
    with urllib.request.urlopen(base + ".json", timeout=PATIENCE) as answer:
        links = json.load(answer)["links"]
    assert any(link["rel"] == "urn:xmpp:alt-connections:websocket" for link in links)
