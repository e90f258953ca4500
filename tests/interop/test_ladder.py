"""What `switchboard ladder` infers, against tshark's own analysis: the lab's captures, as they are and with packets
missing and exchanged. Windows, relative numbers and the name of whatever is unusual must agree, segment by segment.

Where we differ on purpose, it stands in `agree`, with the reason."""

import collections
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from exchange import PATIENCE

SWITCHBOARD = os.environ["SWITCHBOARD_BIN"]

ANALYSIS = {
    "duplicate_ack": "duplicate-ack",
    "keep_alive": "keep-alive",
    "keep_alive_ack": "keep-alive-ack",
    "lost_segment": "gap-before",
    "out_of_order": "out-of-order",
    "window_full": "window-full",
    "window_update": "window-update",
    "zero_window": "zero-window",
    "zero_window_probe": "zero-window-probe",
    "zero_window_probe_ack": "zero-window-probe-ack",
}
REPEATS = ("spurious_retransmission", "fast_retransmission", "retransmission")
REPEAT_NAMES = {name.replace("_", "-") for name in REPEATS} | {"out-of-order"}
FIELDS = ["tcp.stream", "tcp.seq", "tcp.ack", "tcp.len", "tcp.window_size"]

Segment = collections.namedtuple("Segment", "seq ack len window marks")


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def by_tshark(capture):
    names = FIELDS + [f"tcp.analysis.{name}" for name in [*ANALYSIS, *REPEATS]]
    options = [word for name in names for word in ("-e", name)]
    # ICMP errors quote TCP headers, which are no segments.
    text = run("tshark", "-r", capture, "-Y", "tcp and not icmp", "-T", "fields", "-E", "separator=;", *options)
    flows = collections.defaultdict(list)
    for line in text.splitlines():
        value = dict(zip(names, line.split(";")))
        marks = {ours for theirs, ours in ANALYSIS.items() if value[f"tcp.analysis.{theirs}"]}
        # tshark gives a spurious or fast retransmission both names.
        repeat = next((name for name in REPEATS if value[f"tcp.analysis.{name}"]), None)
        marks |= {repeat.replace("_", "-")} if repeat else set()
        numbers = [int(value[name]) for name in FIELDS[1:]]
        flows[int(value["tcp.stream"])].append(Segment(*numbers, marks))
    return [segments for _, segments in sorted(flows.items())]


def by_us(capture):
    listed = [json.loads(line) for line in run(SWITCHBOARD, "ladder", capture, "--format", "json").splitlines()]
    flows = []
    for flow in listed:
        if flow["protocol"] != "tcp":
            continue
        lines = run(SWITCHBOARD, "ladder", capture, "--flow", str(flow["flow"]), "--format", "json").splitlines()
        sent = [item for item in map(json.loads, lines) if item["kind"] == "sent"]
        numbers = ("relative_seq", "relative_ack", "length", "window")
        flows.append([Segment(*(item[name] for name in numbers), set(item["marks"])) for item in sent])
    return flows


def agree(theirs, ours):
    """Whether two findings about a segment say the same. Returns the name of a difference in naming, if that is all."""
    if theirs[:4] != ours[:4]:
        return False, None
    t, o = set(theirs.marks), set(ours.marks)
    # We tell an ACK that asks whether a SYN or RST is meant (RFC 5961) from a duplicate ACK.
    if "challenge-ack" in o:
        o.discard("challenge-ack")
        t -= {"duplicate-ack", "window-update"}
    # A probe of a zero window without text looks like a keep-alive; its answer then tells of a zero window.
    if "zero-window-probe" in o and "keep-alive" in t:
        t, o = t - {"keep-alive"}, o - {"zero-window-probe"}
    if "zero-window-probe-ack" in o and "zero-window" in t:
        t, o = t - {"zero-window"}, o - {"zero-window-probe-ack"}
    # An ACK that was captured before what it acknowledges makes tshark take the latter for sent again.
    if "spurious-retransmission" in t and not o & REPEAT_NAMES:
        t.discard("spurious-retransmission")
    # Whether an ACK acknowledges what was not seen depends on what else is missing; it is compared in whole captures only.
    o.discard("ack-of-unseen")
    if t == o:
        return True, None
    # Both say that it is not in its turn; why it is not, a capture can only guess from times.
    if t - REPEAT_NAMES == o - REPEAT_NAMES and t & REPEAT_NAMES and o & REPEAT_NAMES:
        return True, (t, o)
    return False, None


def compare(capture):
    """Segments compared, and differences in naming."""
    theirs, ours = by_tshark(capture), by_us(capture)
    assert [len(flow) for flow in theirs] == [len(flow) for flow in ours]
    count, named = 0, []
    for flow, (t_flow, o_flow) in enumerate(zip(theirs, ours), 1):
        for index, (t, o) in enumerate(zip(t_flow, o_flow)):
            same, naming = agree(t, o)
            # Simultaneous open: a SYN+ACK answers the other's SYN, and is no repeat of the bare SYN.
            if not same and index < 5 and t.seq == 0 and t.ack == 1 and not o.marks and t.marks <= REPEAT_NAMES:
                same = True
            assert same, f"{capture}: flow {flow}, segment {index}: tshark {t}, ours {o}"
            count += 1
            named += [naming] if naming else []
    return count, named


def scenarios():
    return [line.split()[0] for line in run(SWITCHBOARD, "lab").splitlines()]


# A thousand flows, of which each would be read by itself; and those that are long.
UNDRAWN = {"syn-flood", "half-duplex", "full-duplex"}
# Those in which something goes wrong, or much passes.
MUTATED = ["tcp-vs-udp", "fast-retransmit", "sack", "zero-window", "nagle", "half-close", "close-lost-fin"]


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    assert shutil.which("tshark"), "xtask interop installs it"
    folder = tmp_path_factory.mktemp("captures")
    made = {}
    for name in scenarios():
        made[name] = str(folder / f"{name}.pcapng")
        run(SWITCHBOARD, "lab", name, "--pcap", made[name])
    return made


def test_the_labs_captures(captures):
    total, named = 0, []
    for name, capture in captures.items():
        if name not in UNDRAWN:
            count, differences = compare(capture)
            total, named = total + count, named + differences
    assert total > 400, total
    assert not named, named


def packets_of(capture):
    """Times and octets of a pcapng file's enhanced packet blocks (little endian, nanoseconds, as the lab writes it)."""
    with open(capture, "rb") as file:
        data = file.read()
    at, packets = 0, []
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            _, high, low, captured, _ = struct.unpack_from("<IIIII", data, at + 8)
            packets.append((high << 32 | low, data[at + 28 : at + 28 + captured]))
        at += length
    return packets


def write_pcap(path, packets):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 101))
        for time, packet in packets:
            file.write(struct.pack("<IIII", time // 10**9, time % 10**9, len(packet), len(packet)) + packet)


@pytest.mark.parametrize("seed", [1, 2])
def test_captures_that_miss_packets_or_have_them_in_another_order(captures, tmp_path, seed):
    chance = random.Random(seed)
    total, named = 0, []
    for name in MUTATED:
        packets = [packet for packet in packets_of(captures[name]) if chance.random() > 0.05]
        for index in range(len(packets) - 1):
            if chance.random() < 0.1:
                (t1, p1), (t2, p2) = packets[index : index + 2]
                packets[index : index + 2] = [(t1, p2), (t2, p1)]
        path = str(tmp_path / f"{name}.pcap")
        write_pcap(path, packets)
        count, differences = compare(path)
        total, named = total + count, named + differences
    assert total > 150, total
    assert len(named) <= total // 50, named


def test_packets_and_octets_of_a_flow_are_those_that_tshark_counts(captures):
    for name in ("tcp-vs-udp", "restart-server-first", "close"):
        listed = run(SWITCHBOARD, "ladder", captures[name], "--format", "json").splitlines()
        for flow in map(json.loads, listed):
            (left, left_port), (right, right_port) = (flow[side].rsplit(":", 1) for side in ("left", "right"))
            if flow["protocol"] == "udp" and left_port == right_port:
                continue
            for index, (src, sport, dst, dport) in enumerate(
                [(left, left_port, right, right_port), (right, right_port, left, left_port)]
            ):
                p = flow["protocol"]
                wanted = f"not icmp and ip.src=={src} and ip.dst=={dst} and {p}.srcport=={sport} and {p}.dstport=={dport}"
                sizes = run("tshark", "-r", captures[name], "-Y", wanted, "-T", "fields", "-e", "frame.len").split()
                assert flow["packets"][index] == len(sizes), (name, flow)
                assert flow["bytes"][index] == sum(map(int, sizes)), (name, flow)


def test_an_interface_is_watched_live():
    """`--live`: a conversation over loopback is drawn while it happens, and ends with Ctrl-C."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [SWITCHBOARD, "ladder", "--live", "lo", "--filter", f"tcp and port {port}", "--flow", "2", "--format", "json"]
        ladder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            steps = []

            def sent():
                return [step for step in steps if step["kind"] == "sent"]

            # Nothing says that it watches, so conversations are held until it has drawn one; the first may be cut at its beginning.
            opener = threading.Thread(target=converse, args=(listener, port, stop := threading.Event()))
            opener.start()
            for line in ladder.stdout:
                steps.append(json.loads(line))
                if any("FIN" in step["flags"] for step in sent()):
                    break
            stop.set()
            opener.join()
            ladder.send_signal(signal.SIGINT)
            rest, said = ladder.communicate(timeout=PATIENCE)
        finally:
            ladder.kill()
        steps += map(json.loads, rest.splitlines())
        assert ladder.returncode == 0, said
        flags = [step["flags"] for step in sent()]
        assert flags[0] == "SYN" and flags[1] == "SYN+ACK", flags
        said = [step["length"] for step in sent() if step["length"]]
        assert said == [len(b"watched")] * len(said) and said, said
        # On loopback each packet passes twice; it is told once.
        assert len([word for word in flags if word == "SYN"]) == 1, flags


def converse(listener, port, stop):
    """Short conversations, one after the other, each from a port of its own."""
    while not stop.is_set():
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"watched")
            server, _ = listener.accept()
            with server:
                assert server.recv(16) == b"watched"
        stop.wait(0.2)
