"""A stream over clear TCP, by hand."""

import asyncio
import codecs

from exchange import PATIENCE
from rawxmpp import Stream


class ClearStream(Stream):
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        super().__init__()
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    @classmethod
    async def connect(cls, exchange):
        return cls(*await asyncio.open_connection(exchange.host, exchange.ports["tcp"]))

    async def send(self, text):
        self.writer.write(text.encode())
        await self.writer.drain()

    async def more(self):
        piece = await asyncio.wait_for(self.reader.read(65536), PATIENCE)
        if not piece:
            raise ConnectionError("the exchange closed")
        return self.decoder.decode(piece)
