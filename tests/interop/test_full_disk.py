"""A full disk refuses new messages with resource-constraint and loses nothing that was acknowledged."""

import re
import subprocess

import pytest

from clearstream import ClearStream
from exchange import Exchange

DISK_MIB = 48
# Long messages fill a disk soon; each is well below the stanza limit.
PADDING = "x" * 60_000
# Messages a writer sends before it asks how far the exchange is.
BATCH = 10


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def fill(exchange, number, to):
    """Writes until the exchange refuses; returns how many were taken and the first refusal."""
    stream = await ClearStream.connect(exchange)
    await stream.log_in(number, "fill")
    await stream.send("<enable xmlns='urn:xmpp:sm:3'/>")
    await stream.until(r"<enabled[^>]*>")
    sent, refused = 0, set()
    while not refused and sent < 2000:
        for _ in range(BATCH):
            await stream.send(
                f"<message to='{to}@localhost' type='chat' id='m{sent}'><body>{sent} {PADDING}</body></message>"
            )
            sent += 1
        await stream.send("<r xmlns='urn:xmpp:sm:3'/>")
        said = await stream.until(r"<a [^>]*h=['\"]\d+['\"][^>]*>")
        h = int(re.findall(r"<a [^>]*h=['\"](\d+)['\"]", said)[-1])
        assert h == sent, "refused or kept, each is settled before it is acknowledged"
        errors = re.findall(r"<message[^>]*type='error'[^>]*>.*?</message>", said, re.DOTALL)
        for error in errors:
            assert "resource-constraint" in error, error[-300:]
            refused.add(int(re.search(r"id='m(\d+)'", error).group(1)))
    stream.writer.close()
    return set(range(sent)) - refused, refused


async def read(exchange, number, count):
    """Logs in and hears so many messages that waited, and whether more come before a ping is answered."""
    reader = await ClearStream.connect(exchange)
    await reader.log_in(number, "read")
    heard = [int((await reader.hear())[1].split()[0]) for _ in range(count)]
    await reader.answer_questions()
    await reader.ping()
    more = "<message" in reader.collector.text
    await reader.send("</stream:stream>")
    await reader.until(r"</stream:stream>")
    reader.writer.close()
    return heard, more


async def test_what_was_acknowledged_survives_a_full_disk(small_disk, network):
    exchange = Exchange(small_disk / "data").start()
    try:
        writer, away = exchange.account(), exchange.account()
        kept, refused = await fill(exchange, writer, away)
        assert refused, f"{DISK_MIB} MiB took all {len(kept)} messages"
        heard, more = await read(exchange, away, len(kept))
        assert heard == sorted(kept) and not more, "what was acknowledged, all of it, once, in order"
        # What arrived is forgotten although the disk was full, and does not come again.
        assert await read(exchange, away, 0) == ([], False)
    finally:
        exchange.stop()
