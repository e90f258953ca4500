"""`kill -9` while messages to people who are away pour in: every acknowledged one arrives exactly once, in order."""

import asyncio
import re

from clearstream import ClearStream
from exchange import PATIENCE, Exchange

WRITERS = 5
ROUNDS = 3
# Messages each writer must have had acknowledged before a kill.
ENOUGH = 60


class Writer:
    """Numbers its messages and notes which the exchange has acknowledged (XEP-0198 `h`)."""

    def __init__(self, number):
        self.number = number
        self.sent = 0
        self.acknowledged = set()

    def give_up(self):
        self.stream.writer.transport.abort()

    async def pour(self, exchange, to):
        self.stream = stream = await ClearStream.connect(exchange)
        await stream.log_in(self.number, "pour")
        await stream.send("<enable xmlns='urn:xmpp:sm:3'/>")
        await stream.until(r"<enabled[^>]*>")
        start = self.sent
        try:
            while True:
                for _ in range(10):
                    await stream.write(to, f"{self.number} {self.sent}")
                    self.sent += 1
                await stream.send("<r xmlns='urn:xmpp:sm:3'/>")
                answer = await stream.until(r"<a [^>]*h=['\"]\d+['\"][^>]*>")
                h = int(re.findall(r"h=['\"](\d+)['\"]", answer)[-1])
                self.acknowledged.update(range(start, start + h))
        except (ConnectionError, asyncio.IncompleteReadError):
            # The kill. What was written but not acknowledged may or may not arrive.
            return


async def test_what_was_acknowledged_arrives_once_and_in_order(tmp_path, network):
    exchange = Exchange(tmp_path / "data").start()
    writers = [Writer(exchange.account()) for _ in range(WRITERS)]
    away = exchange.account()
    for _ in range(ROUNDS):
        before = {w.number: len(w.acknowledged) for w in writers}
        tasks = [asyncio.create_task(w.pour(exchange, away)) for w in writers]
        async with asyncio.timeout(60):
            while any(len(w.acknowledged) < before[w.number] + ENOUGH for w in writers):
                await asyncio.sleep(0.005)
        exchange.kill()
        # The kernel closes a dead program's connections; a stack that is killed tells nobody, so its clients give up by themselves.
        for writer in writers:
            writer.give_up()
        exchange.start()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)

    reader = await ClearStream.connect(exchange)
    await reader.log_in(away, "back")
    last = await ClearStream.connect(exchange)
    await last.log_in(writers[0].number, "last")
    await last.write(away, "the end")
    heard = []
    while (message := await reader.hear())[1] != "the end":
        heard.append(message)
    for writer in writers:
        got = [int(body.split()[1]) for sender, body in heard if sender == writer.number]
        assert got == sorted(set(got)), f"{writer.number}: out of order, or twice"
        assert writer.acknowledged <= set(got), f"{writer.number}: acknowledged and lost"
        assert set(got) <= set(range(writer.sent)), f"{writer.number}: never written"
    exchange.stop()
