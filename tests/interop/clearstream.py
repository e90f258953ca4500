"""A stream over clear TCP, by hand."""

import asyncio

from rawxmpp import Collector, Stream


class ClearStream(Stream):
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.collector = Collector()

    @classmethod
    async def connect(cls, exchange):
        return cls(*await asyncio.open_connection("127.0.0.1", exchange.ports["tcp"]))

    async def send(self, text):
        self.writer.write(text.encode())
        await self.writer.drain()

    async def until(self, pattern):
        while (taken := self.collector.take(pattern)) is None:
            piece = await asyncio.wait_for(self.reader.read(65536), 20)
            if not piece:
                raise ConnectionError("the exchange closed")
            self.collector.text += piece.decode()
        return taken
