"""slixmpp over clear TCP, STARTTLS and direct TLS: both ways, on line and away."""

import asyncio

import pytest

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
    await asyncio.wait_for(wrong.refused, 20)
    await wrong.disconnect()
