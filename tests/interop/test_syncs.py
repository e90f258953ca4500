"""What an acknowledgement stands on: the message is in two archives, and the disk has been told to keep them, before its sender hears so."""

import re
import shutil

import pytest

from clearstream import ClearStream
from exchange import Exchange, run

MESSAGES = 5


@pytest.fixture
def traced(tmp_path, network):
    """An exchange whose syncs strace writes down, and where. The line stands before the thread that asked goes on."""
    assert shutil.which("strace"), "strace is not installed"
    if run(["strace", "-D", "-o", "/dev/null", "true"], check=False).returncode != 0:
        pytest.skip("NOT RUN: this machine lets nobody be traced")
    seen = tmp_path / "syncs"
    exchange = Exchange(tmp_path / "data")
    # With -D the process that was started is the exchange, and the one that traces it is another.
    exchange.under = ["strace", "-D", "-f", "-y", "-e", "trace=fsync,fdatasync", "-o", str(seen)]
    exchange.start()
    yield exchange, seen
    exchange.stop()


async def test_the_disk_has_a_message_before_its_sender_hears_so(traced):
    exchange, seen = traced
    ann, ben = exchange.account(), exchange.account()
    there = await (await ClearStream.connect(exchange)).log_in(ben, "there")
    writer = await (await ClearStream.connect(exchange)).log_in(ann, "writer")
    await writer.send("<enable xmlns='urn:xmpp:sm:3'/>")
    await writer.until(r"<enabled[^>]*>")

    def syncs():
        """Syncs of the database or its log that the kernel has answered."""
        return len(re.findall(rf"sync\(\d+<{re.escape(exchange.data)}/[^>]*>.*= 0$", seen.read_text(), re.MULTILINE))

    assert syncs() > 0, "the accounts were made"
    for count in range(1, MESSAGES + 1):
        before = syncs()
        await writer.write(ben, f"number {count}")
        await writer.send("<r xmlns='urn:xmpp:sm:3'/>")
        await writer.until(rf"<a [^>]*h=['\"]{count}['\"][^>]*>")
        assert syncs() > before, f"message {count} was acknowledged and nothing was synced"
        await there.hear()
    for stream in (writer, there):
        await stream.send("<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'/></iq>")
        page = await stream.until(r"<fin .*?</iq>")
        assert page.count("<result ") == MESSAGES, page
        await stream.send("</stream:stream>")
