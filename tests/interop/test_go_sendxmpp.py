"""go-sendxmpp: a program for scripts, over STARTTLS and direct TLS, both ways, on line and away."""

import shutil
import subprocess

import pytest

from exchange import PASSWORD, PATIENCE, until
from slix import Person

PROGRAM = shutil.which("go-sendxmpp")


def command(exchange, number, carrier, *more):
    port = exchange.ports["tls" if carrier == "direct-tls" else "tcp"]
    words = [PROGRAM, "-u", f"{number}@localhost", "-p", PASSWORD, "-j", f"{exchange.host}:{port}", "-n"]
    if carrier == "direct-tls":
        words.append("-t")
    return words + list(more)


def send(exchange, frm, to, carrier, body):
    done = subprocess.run(
        command(exchange, frm, carrier, f"{to}@localhost"), input=body, text=True, capture_output=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr


class Listener:
    def __init__(self, exchange, number, carrier, log):
        self.log = log
        self.output = open(log, "wb")
        self.process = subprocess.Popen(
            command(exchange, number, carrier, "-l"),
            stdin=subprocess.PIPE,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    def heard(self, body):
        until(lambda: body in self.log.read_text(), what=f"go-sendxmpp hearing {body!r}")

    def end(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        self.output.close()


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
def test_messages_cross_both_ways(exchange, numbers, carrier, tmp_path):
    a, b = numbers
    ear_a = Listener(exchange, a, carrier, tmp_path / "a.log")
    ear_b = Listener(exchange, b, carrier, tmp_path / "b.log")
    try:
        until(lambda: len(exchange.who()) == 2, what="two lines")
        send(exchange, a, b, carrier, "from a to b")
        ear_b.heard("from a to b")
        send(exchange, b, a, carrier, "from b to a")
        ear_a.heard("from b to a")
    finally:
        ear_a.end()
        ear_b.end()


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
async def test_what_it_wrote_waits_for_who_is_away(exchange, numbers, carrier):
    a, b = numbers
    send(exchange, a, b, carrier, "while you were away")
    reader = await Person(exchange, b, carrier).log_in()
    assert await reader.hear() == (a, "while you were away")
    await reader.log_out()


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
def test_what_waited_is_heard_by_it(exchange, numbers, carrier, tmp_path):
    a, b = numbers
    send(exchange, a, b, carrier, "while you were away")
    ear = Listener(exchange, b, carrier, tmp_path / "b.log")
    try:
        ear.heard("while you were away")
    finally:
        ear.end()
