"""XMPP over QUIC (XEP-0467) by aioquic, which shares no code with the exchange's QUIC."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aioquic.asyncio import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, StreamDataReceived

from exchange import PATIENCE, Exchange
from rawxmpp import Stream


class Client(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.streams = {}
        self.ready = asyncio.get_running_loop().create_future()
        self.over = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        if isinstance(event, HandshakeCompleted):
            self.alpn = event.alpn_protocol
            self.early_data = event.early_data_accepted
            self.ready.set_result(True)
        elif isinstance(event, StreamDataReceived):
            self.streams[event.stream_id].put_nowait(event.data.decode())
        elif isinstance(event, ConnectionTerminated):
            if not self.ready.done():
                self.ready.set_exception(ConnectionError(event.reason_phrase))
            if not self.over.done():
                self.over.set_result(event)

    def new_stream(self):
        stream_id = self._quic.get_next_available_stream_id()
        self.streams[stream_id] = asyncio.Queue()
        return QuicStream(self, stream_id)


class QuicStream(Stream):
    def __init__(self, client, stream_id):
        self.client = client
        self.stream_id = stream_id
        super().__init__()

    async def send(self, text):
        self.client._quic.send_stream_data(self.stream_id, text.encode())
        self.client.transmit()

    async def more(self):
        return await asyncio.wait_for(self.client.streams[self.stream_id].get(), PATIENCE)


@asynccontextmanager
async def connection(exchange, on_ticket=None, ticket=None, early=None):
    """A connection; with a ticket of an earlier one, and something sent ahead of the handshake."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["xmpp-client"], server_name="localhost")
    configuration.load_verify_locations(exchange.certificate)
    configuration.session_ticket = ticket
    quic = QuicConnection(configuration=configuration, session_ticket_handler=on_ticket)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_datagram_endpoint(lambda: Client(quic), local_addr=(exchange.network.near, 0))
    client.connect((exchange.host, exchange.ports["quic"]))
    if early:
        await client.new_stream().send(early)
    try:
        await asyncio.wait_for(client.ready, PATIENCE)
        yield client
    finally:
        client.close()
        await client.wait_closed()
        client._transport.close()


async def test_two_streams_on_one_connection(exchange, numbers):
    async with connection(exchange) as client:
        assert client.alpn == "xmpp-client"
        a = await client.new_stream().log_in(numbers[0], "quic")
        b = await client.new_stream().log_in(numbers[1], "quic")
        await a.write(numbers[1], "over UDP")
        assert await b.hear() == (numbers[0], "over UDP")
        await b.write(numbers[0], "and back")
        assert await a.hear() == (numbers[1], "and back")
        assert {line["carrier"] for line in exchange.who()} == {"quic"}


async def test_the_port_changes_in_mid_conversation_and_nothing_is_lost(exchange, numbers):
    async with connection(exchange) as client, connection(exchange) as other:
        a = await client.new_stream().log_in(numbers[0], "quic")
        b = await other.new_stream().log_in(numbers[1], "quic")
        before = remote_port(exchange, numbers[0])
        sent = 0
        for _ in range(20):
            await a.write(numbers[1], f"message {sent}")
            sent += 1
        await move(client, exchange)
        for _ in range(20):
            await a.write(numbers[1], f"message {sent}")
            sent += 1
        for index in range(sent):
            assert await b.hear() == (numbers[0], f"message {index}")
        await a.ping()
        await b.write(numbers[0], "I still reach you")
        assert await a.hear() == (numbers[1], "I still reach you")
        after = remote_port(exchange, numbers[0])
        assert before != after == client._transport.get_extra_info("sockname")[1]


async def test_with_all_tcp_listeners_off_messages_still_cross(tmp_path, network):
    exchange = Exchange(tmp_path / "data", "--tcp", "none", "--tls", "none", "--http", "none").start()
    try:
        a_number, b_number = exchange.account(), exchange.account()
        assert set(exchange.ports) == {"quic"}
        async with connection(exchange) as one, connection(exchange) as two:
            a = await one.new_stream().log_in(a_number, "udp")
            b = await two.new_stream().log_in(b_number, "udp")
            await a.write(b_number, "UDP alone")
            assert await b.hear() == (a_number, "UDP alone")
    finally:
        exchange.stop()


async def test_another_protocol_is_refused(exchange):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=["h3"], server_name="localhost")
    configuration.load_verify_locations(exchange.certificate)
    quic = QuicConnection(configuration=configuration)
    loop = asyncio.get_running_loop()
    _, client = await loop.create_datagram_endpoint(lambda: Client(quic), local_addr=(exchange.network.near, 0))
    client.connect((exchange.host, exchange.ports["quic"]))
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(client.ready, PATIENCE)
    client._transport.close()


def remote_port(exchange, number):
    (line,) = [line for line in exchange.who() if str(line["number"]) == number]
    return int(line["remote"].rsplit(":", 1)[1])


async def move(client, exchange):
    """The client goes on from another port: a phone that changed networks."""
    loop = asyncio.get_running_loop()
    old = client._transport
    await loop.create_datagram_endpoint(lambda: client, local_addr=(exchange.network.near, 0))
    old.close()
    client.transmit()


async def test_what_comes_ahead_of_the_handshake_is_refused(exchange):
    """Whoever recorded it could send it again (RFC 8446 8): the keys of before may be used, but nothing is sent under them early."""
    ticket = asyncio.get_running_loop().create_future()
    keep = lambda given: ticket.done() or ticket.set_result(given)
    async with connection(exchange, on_ticket=keep) as client:
        assert not client._quic.tls.session_resumed
        given = await asyncio.wait_for(ticket, PATIENCE)
    assert not given.max_early_data_size
    # A client that tries all the same.
    given.max_early_data_size = 0xFFFFFFFF
    async with connection(exchange, ticket=given, early="<?xml version='1.0'?>") as client:
        assert client._quic.tls.session_resumed
        assert not client.early_data
