"""Invites in foreign hands: an account asks for one (XEP-0401), whoever has it makes an account (XEP-0445, XEP-0077), a camera reads it."""

import os
import pty
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
import zxingcpp
from slixmpp.exceptions import IqError

from clearstream import ClearStream
from exchange import BINARY, PASSWORD, PATIENCE, Exchange, set_network
from slix import Person

REGISTER = "jabber:iq:register"


@pytest.fixture
def start(tmp_path):
    """An exchange with a configuration, on the kernel's network: in clear text registration is offered on loopback only."""
    set_network("kernel")
    running = []

    def start(config):
        path = tmp_path / "switchboard.toml"
        path.write_text(config)
        running.append(Exchange(tmp_path / "data", "--config", str(path)).start())
        return running[0]

    yield start
    for exchange in running:
        exchange.stop()


async def ask(client):
    """The URI of a new invite."""
    question = client.make_iq_set(ito="localhost")
    command = ET.Element("{http://jabber.org/protocol/commands}command", node="urn:xmpp:invite#invite", action="execute")
    question.append(command)
    answer = await question.send()
    values = {field.get("var"): field.findtext("{jabber:x:data}value") for field in answer.xml.iter("{jabber:x:data}field")}
    return values["uri"]


async def question(stream, mark, kind, payload):
    await stream.send(f"<iq type='{kind}' id='{mark}'>{payload}</iq>")
    return await stream.pluck(rf"<iq [^>]*id='{mark}'[^>]*?(?:/>|>.*?</iq>)")


async def test_an_invite_becomes_an_account(start):
    exchange = start("[registration]\nuser_invites = true\n")
    host = await Person(exchange, exchange.account(), "starttls").log_in()
    uri = await ask(host)
    number, token = re.fullmatch(r"xmpp:(\d+)@localhost\?register;preauth=(.+)", uri).groups()

    stream = await ClearStream.connect(exchange)
    features = await stream.open()
    assert "urn:xmpp:ibr-token:0" in features, features
    shown = await question(stream, "show", "set", f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")
    assert "type='result'" in shown, shown
    form = await question(stream, "form", "get", f"<query xmlns='{REGISTER}'/>")
    assert f"<username>{number}</username>" in form, form

    def account(wanted):
        return f"<query xmlns='{REGISTER}'><username>{wanted}</username><password>{PASSWORD}</password></query>"

    other = await question(stream, "other", "set", account(int(number) + 1))
    assert "not-acceptable" in other, other
    made = await question(stream, "made", "set", account(number))
    assert "type='result'" in made, made
    guest = await Person(exchange, number, "starttls").log_in()
    await guest.write(host.number, "thank you")
    assert await host.hear() == (number, "thank you")

    # It was good once.
    again = await ClearStream.connect(exchange)
    await again.open()
    used = await question(again, "show", "set", f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")
    assert "item-not-found" in used, used

    # So many at a time, and each holds a number of its own.
    uris = [await ask(host) for _ in range(10)]
    assert len({uri.split("@")[0] for uri in uris}) == 10
    with pytest.raises(IqError) as refused:
        await ask(host)
    assert refused.value.condition == "resource-constraint"
    await guest.log_out()
    await host.log_out()


async def test_nobody_invites_unless_they_may(start):
    exchange = start("")
    person = await Person(exchange, exchange.account(), "starttls").log_in()
    with pytest.raises(IqError) as refused:
        await ask(person)
    assert refused.value.condition == "forbidden"
    await person.log_out()


# Black on white by SGR, whatever the terminal's own colours are.
ROW = re.compile("\x1b\\[38;5;16;48;5;231m([ \u2580\u2584\u2588]+)\x1b\\[0m")
# Dots a module, and of dark terminal around the code.
DOTS = 6
BORDER = 8 * DOTS


def photograph(rows):
    """What a camera sees of a code on a dark terminal, two modules a character: rows of grey dots."""
    lines = []
    for row in rows:
        for ink in "\u2580\u2588", "\u2584\u2588":
            dots = b"".join(bytes([0 if c in ink else 255]) * DOTS for c in row)
            lines += [bytes(BORDER) + dots + bytes(BORDER)] * DOTS
    width = len(lines[0])
    return memoryview(bytes(BORDER * width) + b"".join(lines) + bytes(BORDER * width)).cast("B", [len(lines) + 2 * BORDER, width])


def test_a_camera_reads_the_code_of_an_invite(start):
    exchange = start("")
    reader, terminal = pty.openpty()
    subprocess.run([BINARY, "invite", "--data", exchange.data], stdout=terminal, check=True, timeout=PATIENCE)
    os.close(terminal)
    said = b""
    try:
        while more := os.read(reader, 65536):
            said += more
    except OSError:
        # Nobody has the terminal any more.
        os.close(reader)
    uri, link, *_ = said.decode().splitlines()
    assert uri.startswith("xmpp:10001@localhost?register;preauth=")
    # Some readers take no negative.
    read = zxingcpp.read_barcodes(photograph(ROW.findall(said.decode())), try_invert=False)
    assert [code.text for code in read] == [link]
