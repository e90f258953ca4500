"""slixmpp over clear TCP, STARTTLS and direct TLS: both ways, on line and away, and over a restart of the exchange."""

import asyncio

import pytest

from exchange import PATIENCE, Exchange
from slix import CARRIERS, Person


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_messages_cross_both_ways(exchange, numbers, carrier):
    a = await Person(exchange, numbers[0], carrier).log_in()
    b = await Person(exchange, numbers[1], carrier).log_in()
    await a.write(numbers[1], "hello, 你好 & <welcome>")
    assert await b.hear() == (numbers[0], "hello, 你好 & <welcome>")
    await b.write(numbers[0], "and back")
    assert await a.hear() == (numbers[1], "and back")
    await a.log_out()
    await b.log_out()


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_messages_wait_for_who_is_away(exchange, numbers, carrier):
    a = await Person(exchange, numbers[0], carrier).log_in()
    for index in range(10):
        await a.write(numbers[1], f"while you were away {index}")
    b = await Person(exchange, numbers[1], carrier).log_in()
    for index in range(10):
        assert await b.hear() == (numbers[0], f"while you were away {index}")
    await b.log_out()
    # What was delivered is not delivered again.
    again = await Person(exchange, numbers[1], carrier).log_in()
    await a.write(numbers[1], "last")
    assert await again.hear() == (numbers[0], "last")
    await again.log_out()
    await a.log_out()


async def test_presence_and_roster_by_number(exchange, numbers):
    a = await Person(exchange, numbers[0], "starttls").log_in()
    b = await Person(exchange, numbers[1], "starttls").log_in()
    a.auto_authorize = b.auto_authorize = True
    a.auto_subscribe = b.auto_subscribe = True
    seen = []
    a.add_event_handler("got_online", lambda p: seen.append(p["from"].bare))
    a.send_presence_subscription(f"{numbers[1]}@localhost")
    async with asyncio.timeout(20):
        while a.client_roster[f"{numbers[1]}@localhost"]["subscription"] != "both":
            await a.plugin["xep_0199"].send_ping("localhost")
            await b.plugin["xep_0199"].send_ping("localhost")
    assert f"{numbers[1]}@localhost" in seen
    await a.log_out()
    await b.log_out()


async def test_a_wrong_password_is_refused(exchange, numbers):
    wrong = Person(exchange, numbers[0], "starttls")
    wrong.password = "not the password"
    wrong.credentials["password"] = "not the password"
    wrong.connect(exchange.host, exchange.ports["tcp"])
    await asyncio.wait_for(wrong.refused, PATIENCE)
    await wrong.disconnect()


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_session_is_resumed_after_a_restart_of_the_exchange(tmp_path, network, carrier):
    exchange = Exchange(tmp_path / "data").start()
    try:
        numbers = [exchange.account(), exchange.account()]
        a = Person(exchange, numbers[0], carrier)
        a.register_plugin("xep_0198")
        begun, resumed = [], asyncio.get_running_loop().create_future()
        a.add_event_handler("session_start", begun.append)
        a.add_event_handler("session_resumed", resumed.set_result)
        await a.log_in()
        b = await Person(exchange, numbers[1], carrier).log_in()
        await b.write(numbers[0], "before")
        assert await a.hear() == (numbers[1], "before")
        await asyncio.to_thread(exchange.restart)
        await asyncio.wait_for(a.gone, PATIENCE)
        b = await Person(exchange, numbers[1], carrier).log_in()
        await b.write(numbers[0], "while it was away")
        a.connect(exchange.host, exchange.ports["tls" if carrier == "direct-tls" else "tcp"])
        await asyncio.wait_for(resumed, PATIENCE)
        assert await a.hear() == (numbers[1], "while it was away")
        await a.write(numbers[1], "and back")
        assert await b.hear() == (numbers[0], "and back")
        # It is the same session: nothing was begun anew, and nothing came twice.
        assert len(begun) == 1 and a.bodies.empty()
        [line] = [line for line in exchange.who() if line["number"] == int(numbers[0])]
        assert (line["resource"], line["state"]) == ("slix", "bound")
        await a.log_out()
        await b.log_out()
    finally:
        exchange.stop()
