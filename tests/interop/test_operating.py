"""What stands around the exchange reads it: Prometheus' own parser, systemd's own checks of the unit, an operator who was told of somebody."""

import asyncio
import json
import pathlib
import urllib.request
import xml.etree.ElementTree as ElementTree

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exchange import BINARY, PATIENCE, run
from slix import Person

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_prometheus_reads_the_figures(exchange, numbers):
    with urllib.request.urlopen(f"http://127.0.0.1:{exchange.ports['http']}/metrics") as answer:
        page = answer.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    carriers = {sample.labels["carrier"] for sample in families["switchboard_connections"].samples}
    assert carriers == {"tcp", "tls", "ws", "wss", "quic"}
    assert families["switchboard_store_requests"].type == "counter"
    assert families["switchboard_store_busy_seconds"].unit == "seconds"
    assert families["switchboard_store_up"].samples[0].value == 1


def test_systemd_takes_the_unit(tmp_path):
    unit = (ROOT / "dist/switchboard.service").read_text()
    assert "/usr/local/bin/switchboard serve" in unit
    unit = unit.replace("/usr/local/bin/switchboard", BINARY)
    unit = "".join(line for line in unit.splitlines(True) if not line.startswith("Documentation=man:"))
    path = tmp_path / "switchboard.service"
    path.write_text(unit)
    said = run(["systemd-analyze", "verify", str(path)])
    assert "switchboard.service" not in said.stderr, said.stderr
    said = run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)], check=False)
    assert said.returncode == 0, said.stdout[-300:]


async def test_who_was_reported_is_shown_and_disabled(exchange, numbers):
    def switchboard(*command, check=True):
        return run([BINARY, *command, "--data", exchange.data], check=check)

    a = await Person(exchange, numbers[0], "starttls").log_in()
    b = await Person(exchange, numbers[1], "starttls").log_in()
    # XEP-0377 5, which slixmpp does not speak.
    block = a.make_iq_set(ElementTree.fromstring(
        f"<block xmlns='urn:xmpp:blocking'><item jid='{numbers[1]}@localhost'>"
        "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text>buy &amp; win</text></report></item></block>"
    ))
    await block.send()
    await a.plugin["xep_0199"].send_ping("localhost")
    [shown] = [json.loads(line) for line in switchboard("reports", "--about", numbers[1], "--json").stdout.splitlines()]
    assert (shown["reported"], shown["by"], shown["reason"], shown["text"]) == (
        f"{numbers[1]}@localhost", int(numbers[0]), "spam", "buy & win"
    )
    # Who reports is not reported.
    refused = switchboard("reports", "--about", numbers[0], "--disable", check=False)
    assert (refused.returncode, refused.stdout) == (1, "") and "nobody has reported" in refused.stderr
    assert "by " + numbers[0] in switchboard("reports", "--about", numbers[1], "--disable").stdout
    await asyncio.wait_for(b.gone, PATIENCE)
    again = Person(exchange, numbers[1], "starttls")
    again.connect(exchange.host, exchange.ports["tcp"])
    await asyncio.wait_for(again.refused, PATIENCE)
    await again.disconnect()
    # Nothing of it is lost: what a third writes meanwhile waits.
    c = await Person(exchange, exchange.account(), "starttls").log_in()
    await c.write(numbers[1], "are you there?")
    switchboard("account", "enable", "--number", numbers[1])
    back = await Person(exchange, numbers[1], "starttls").log_in()
    assert await back.hear() == (c.number, "are you there?")
    for person in (a, back, c):
        await person.log_out()
