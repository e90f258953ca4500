"""The exchange on its own stack: who is where, both networks at once, the interface's life, and the trace of a line."""

import json
import os
import shutil
import socket
import subprocess
import tempfile

from clearstream import ClearStream
from exchange import BINARY, LOOPBACK, PATIENCE, STACK, TUN, Exchange, run, set_network, until

LINES = "urn:switchboard:lines:0"


def interfaces():
    # Of this network namespace, which /sys need not show.
    return [name for _, name in socket.if_nameindex()]


def on_stack(folder, *arguments):
    set_network("stack")
    try:
        return Exchange(folder, *arguments)
    finally:
        set_network("kernel")


async def test_who_says_which_network_and_the_interface_goes_with_the_exchange(tmp_path):
    both = on_stack(tmp_path / "data", "--network", "kernel", "--tcp", f"{STACK}:0", "--tcp", f"{LOOPBACK}:0")
    both.start()
    try:
        assert TUN in interfaces()
        number = both.account()
        streams = []
        for address in both.addresses["tcp"]:
            both.host, _, both.ports["tcp"] = address.rpartition(":")
            stream = await ClearStream.connect(both)
            await stream.log_in(number, f"at-{both.host}")
            streams.append(stream)
        lines = until(lambda: [line for line in both.who() if line["state"] == "bound"], what="the lines")
        networks = {line["resource"]: line["network"] for line in lines}
        assert networks == {f"at-{STACK}": "stack", f"at-{LOOPBACK}": "kernel"}
    finally:
        both.stop()
    assert TUN not in interfaces(), "made at the start, removed at the end"


def test_without_the_right_it_says_what_to_do():
    # A folder that somebody without any right can reach, with a copy of the program.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        program = shutil.copy(BINARY, folder)
        command = ["setpriv", "--reuid", "65534", "--clear-groups", program, "serve", "--data", f"{folder}/data"]
        done = subprocess.run(
            [*command, "--network", f"tun:{TUN},{STACK}/24", "--http", "none"],
            capture_output=True, text=True, timeout=PATIENCE,
        )
    assert done.returncode == 1, done.stdout
    assert "cannot make the network" in done.stderr and "cap_net_admin" in done.stderr, done.stderr


def test_an_interface_is_one_exchange_s(tmp_path):
    """A second one that joined with queues of its own would be dealt a share of the first one's connections."""
    first = on_stack(tmp_path / "first", "--http", "none").start()
    try:
        second = on_stack(tmp_path / "second", "--http", "none")
        try:
            second.start()
        except AssertionError as error:
            assert "another program has it" in str(error), error
        else:
            second.stop()
            raise AssertionError("two exchanges on one interface")
    finally:
        first.stop()


async def test_a_line_is_traced(tmp_path):
    exchange = on_stack(tmp_path / "data").start()
    try:
        a, b = exchange.account(), exchange.account()
        reader = await ClearStream.connect(exchange)
        await reader.log_in(a, "traced")
        writer = await ClearStream.connect(exchange)
        await writer.log_in(b, "other")
        pcap = tmp_path / "trace.pcapng"
        command = [BINARY, "trace", a, "--seconds", "3", "--pcap", str(pcap), "--ascii", "--data", exchange.data]
        trace = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "tracing" in trace.stderr.readline()
        await writer.write(a, "seen on the wire")
        assert await reader.hear() == (b, "seen on the wire")
        drawn, _ = trace.communicate(timeout=PATIENCE)
        assert trace.returncode == 0
        assert "exchange" in drawn and "ESTABLISHED" in drawn and "PSH" in drawn, drawn
        read = run(["tcpdump", "-nAr", str(pcap)]).stdout
        assert "seen on the wire" in read and f"{STACK}.{exchange.ports['tcp']}" in read, read
    finally:
        exchange.stop()


async def test_two_traces_of_one_line_see_the_same(tmp_path):
    exchange = on_stack(tmp_path / "data").start()
    try:
        number = exchange.account()
        stream = await ClearStream.connect(exchange)
        await stream.log_in(number, "traced")
        command = [BINARY, "trace", number, "--seconds", "3", "--format", "json", "--data", exchange.data]
        traces = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for trace in traces:
            assert "tracing" in trace.stderr.readline()
        for word in ("one", "two", "three"):
            await stream.write(number, word)
            assert await stream.hear() == (number, word)
        first, second = (trace.communicate(timeout=PATIENCE)[0] for trace in traces)
        sent = [
            [step for step in map(json.loads, drawn.splitlines()) if step.get("length", 0) > 0] for drawn in (first, second)
        ]
        assert len(sent[0]) >= 6, first
        assert len(sent[0]) == len(sent[1]), (first, second)
    finally:
        exchange.stop()


async def test_an_administrator_sees_the_ladder_of_a_line(tmp_path):
    exchange = on_stack(tmp_path / "data").start()
    try:
        admin, number = exchange.account(), exchange.account()
        run([BINARY, "account", "admin", admin, "on", "--data", exchange.data])
        watcher = await ClearStream.connect(exchange)
        await watcher.log_in(admin, "watcher")
        stream = await ClearStream.connect(exchange)
        await stream.log_in(number, "watched")
        lines = await watcher.ask("<lines xmlns='urn:switchboard:lines:0'/>")
        (line,) = [node.get("id") for node in lines.iter() if node.get("resource") == "watched"]
        first = await trace(watcher, line, 0)
        assert first.get("shown") == "true" and not first.text
        await stream.write(number, "seen on the wire")
        assert await stream.hear() == (number, "seen on the wire")
        second = await trace(watcher, line, first.get("cursor"))
        assert "ESTABLISHED" in second.text and second.text.startswith("<svg"), second.text
        assert "seen on the wire" not in second.text
        # An acknowledgement may still be on its way; then nothing is new.
        third = await trace(watcher, line, second.get("cursor"))
        while third.get("cursor") != second.get("cursor"):
            second, third = third, await trace(watcher, line, third.get("cursor"))
        assert not third.text
        refused = await stream.ask(f"<trace xmlns='{LINES}' line='{line}'/>")
        assert refused.get("type") == "error" and "forbidden" in "".join(node.tag for node in refused.iter())
    finally:
        exchange.stop()


async def trace(stream, line, after):
    answer = await stream.ask(f"<trace xmlns='{LINES}' line='{line}' after='{after}'/>")
    return answer.find(f"{{{LINES}}}trace")


async def test_what_the_kernel_carries_cannot_be_traced(tmp_path):
    exchange = Exchange(tmp_path / "data").start()
    try:
        number = exchange.account()
        stream = await ClearStream.connect(exchange)
        await stream.log_in(number, "kernel")
        done = run([BINARY, "trace", number, "--data", exchange.data], check=False)
        assert done.returncode == 1 and "shows no packets" in done.stderr, done.stderr
    finally:
        exchange.stop()
