"""Ten thousand polite log-outs by two foreign libraries: no TIME-WAIT on the exchange's ports, no RST on the wire.

Over the exchange's own stack the kernel's tables show the clients' ends alone: there is where TIME-WAIT has to be.
"""

import asyncio
import os
import shutil
import subprocess

import pytest

from exchange import PASSWORD, PATIENCE, Exchange, until
from slix import Person

LOG_OUTS = int(os.environ.get("SWITCHBOARD_LOG_OUTS", "10000"))
# On the second network fewer show the same.
LOG_OUTS_ON_STACK = LOG_OUTS // 10
AT_ONCE = 20
TIME_WAIT = "06"
HERE = os.path.dirname(os.path.abspath(__file__))


def time_wait_on(ports, theirs=False):
    """Who waits at these ports, or having talked to them: the rows' two addresses."""
    waiting = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as rows:
            for row in list(rows)[1:]:
                _, local, remote, state = row.split()[:4]
                end = remote if theirs else local
                if int(end.rsplit(":", 1)[1], 16) in ports and state == TIME_WAIT:
                    waiting.add((local, remote))
    return waiting


class ResetWatch:
    """tcpdump on the network's interface: keeps every RST from or to these ports."""

    def __init__(self, interface, ports, path):
        self.path = path
        of_port = " or ".join(f"tcp port {port}" for port in ports)
        self.process = subprocess.Popen(
            ["tcpdump", "-i", interface, "-U", "-w", str(path), f"({of_port}) and tcp[tcpflags] & tcp-rst != 0"],
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stderr.readline()
        while "listening on" not in line:
            assert line, "tcpdump did not start"
            line = self.process.stderr.readline()

    def end(self):
        self.process.terminate()
        said = self.process.stderr.read()
        self.process.wait(timeout=PATIENCE)
        assert "0 packets dropped by kernel" in said, said
        return subprocess.run(
            ["tcpdump", "-nr", str(self.path)], capture_output=True, text=True, check=True
        ).stdout.splitlines()


@pytest.mark.timeout(1500)
async def test_polite_log_outs_leave_nothing(tmp_path, network):
    config = tmp_path / "switchboard.toml"
    # xmpp.js derives its SCRAM keys for a tenth of a second and more; with PLAIN (under TLS) thousands of log-ins end.
    # A client that is held up (a loaded machine) is waited for: what comes after the exchange has closed is answered by a RST.
    config.write_text(f'[security]\nmechanisms = ["SCRAM-SHA-256", "PLAIN"]\n[close]\nfin_wait_secs = {PATIENCE}\n')
    exchange = Exchange(tmp_path / "data", "--config", str(config)).start()
    try:
        await log_out_politely(exchange, (exchange.account(), exchange.account()), tmp_path)
    finally:
        exchange.stop()


async def log_out_politely(exchange, numbers, tmp_path):
    ports = {exchange.ports["tcp"], exchange.ports["tls"]}
    # A port the kernel chose may have been somebody's client port a moment ago, and wait still.
    before = time_wait_on(ports)
    watch = ResetWatch(exchange.network.interface, ports, tmp_path / "resets.pcap")
    all_of_them = LOG_OUTS_ON_STACK if exchange.network.is_stack else LOG_OUTS
    # slixmpp spends a fifth of a second of its own on each log-in; xmpp.js a hundredth.
    by_slixmpp = all_of_them // 50
    by_xmpp_js = all_of_them - by_slixmpp

    gate = asyncio.Semaphore(AT_ONCE)

    async def once(index):
        async with gate:
            carrier = ("clear", "starttls", "direct-tls")[index % 3]
            person = await Person(exchange, numbers[0], carrier, resource=f"r{index % AT_ONCE}-{index}").log_in()
            await person.log_out()
            await asyncio.wait_for(person.gone, PATIENCE)

    for begin in range(0, by_slixmpp, 200):
        await asyncio.gather(*(once(index) for index in range(begin, min(begin + 200, by_slixmpp))))

    # xmpp.js in a process of its own, by Node.
    done = await asyncio.create_subprocess_exec(
        shutil.which("node"), os.path.join(HERE, "log_outs.mjs"), exchange.host, str(exchange.ports["tcp"]),
        numbers[1], str(by_xmpp_js),
        env={**os.environ, "SWITCHBOARD_PASSWORD": PASSWORD, "NODE_EXTRA_CA_CERTS": exchange.certificate},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await done.communicate()
    assert done.returncode == 0 and said.decode().strip() == f"done {by_xmpp_js}", said

    until(lambda: not exchange.who(), what="all lines gone")
    assert time_wait_on(ports) <= before
    # Whoever closes first waits: the clients did.
    assert time_wait_on(ports, theirs=True)
    assert watch.end() == [], f"the exchange is at {ports}"
