"""`switchboard chat` in a terminal of 80 by 24, with itself and with foreign clients on the other side."""

import re

import pytest

from cable import Cable
from exchange import BINARY, PASSWORD, until
from slix import Person
from terminal import Terminal
from test_profanity import Profanity


class Chat(Terminal):
    """The terminal client; it binds no port, so any number of them run on a host."""

    def __init__(self, exchange, number, folder, over="tcp", colour=True, cable=None):
        # HTTP, and with it WebSocket, is the kernel's on both networks.
        host = "127.0.0.1" if cable or over == "ws" else exchange.host
        port = cable.port if cable else exchange.ports[{"ws": "http"}.get(over, over)]
        more = [] if colour else ["NO_COLOR=1"]
        super().__init__(
            folder, 80, 24,
            "env", f"SWITCHBOARD_PASSWORD={PASSWORD}", "TERM=screen-256color", "LANG=C.UTF-8", *more,
            BINARY, "chat", "--account", number, "--over", over, "--server", f"{host}:{port}",
            "--data", exchange.data,
        )
        self.shows("on line")

    def leave(self):
        self.keys("C-c")
        until(self.has_ended, what="the chat's end")


@pytest.mark.parametrize("over", ["tcp", "tls", "ws", "quic"])
def test_two_chats_talk_over_each_carrier(exchange, numbers, over, tmp_path):
    a = Chat(exchange, numbers[0], tmp_path / "a", over)
    b = Chat(exchange, numbers[1], tmp_path / "b", over)
    a.type(f"/add {numbers[1]} Bee")
    b.shows(f"{numbers[0]}", "asks to see")
    b.type(f"/to {numbers[0]}")
    b.type("/accept")
    a.shows("\u25cf Bee")
    a.type("hello over there")
    b.shows("hello over there")
    # Seen by whoever looks at it, and so it says.
    until(lambda: re.search(r"\* hello over there", a.screen()), what="the mark of a message that was read")
    b.write("thinking about an answ")
    a.shows("is writing")
    b.type("er: 你好")
    a.shows("thinking about an answer: 你好")
    assert {line["carrier"] for line in exchange.who()} == {over}
    a.leave()
    b.leave()


def test_with_profanity(exchange, numbers, tmp_path):
    chat = Chat(exchange, numbers[0], tmp_path / "chat", colour=False)
    other = Profanity(exchange, numbers[1], "starttls", tmp_path / "profanity")
    chat.type(f"/to {numbers[1]}")
    chat.type("from the chat")
    until(lambda: numbers[0] in other.screen(), what="the message in profanity")
    other.type(f"/msg {numbers[0]}@localhost from profanity")
    chat.shows("from profanity")
    other.shows("from the chat")
    # A control character that someone sends is shown, not obeyed; without colour there is no escape for any.
    chat.leave()
    other.end()


async def test_what_others_write_does_nothing_to_the_terminal(exchange, numbers, tmp_path):
    chat = Chat(exchange, numbers[0], tmp_path)
    person = await Person(exchange, numbers[1], "starttls").log_in()
    await person.write(numbers[0], "left \u202e right\u202c and <b>bold</b>")
    chat.type(f"/to {numbers[1]}")
    chat.shows("left  right and <b>bold</b>")
    chat.leave()
    await person.disconnect()


def test_a_lost_network_loses_nothing(exchange, numbers, tmp_path):
    a = Chat(exchange, numbers[0], tmp_path / "a")
    b = Chat(exchange, numbers[1], tmp_path / "b")
    a.type(f"/to {numbers[1]}")
    a.type("before")
    b.shows("before")
    exchange.kill()
    if not exchange.network.is_stack:
        # Where the host itself is gone nobody says so; what is written next finds out, below.
        a.shows("trying again")
    # Written while there is no network: it waits, and the keyboard does not.
    a.type("written meanwhile")
    a.shows("\u2026 written meanwhile")
    exchange.start()
    for chat in (a, b):
        chat.shows("on line")
    b.type(f"/to {numbers[0]}")
    b.shows("before", "written meanwhile")
    until(lambda: "\u2026 written" not in a.screen(), what="the acknowledgement")
    assert b.screen().count("written meanwhile") <= 2, "once in the list, once in the conversation"
    a.leave()
    b.leave()


def resource(exchange, number):
    """What the exchange calls the one session of a number: another session has another name."""
    (line,) = [line for line in exchange.who() if str(line["number"]) == number]
    return line["resource"]


@pytest.mark.parametrize("over", ["tcp", "tls", "ws"])
def test_a_session_outlives_its_line(exchange, numbers, over, tmp_path):
    host = "127.0.0.1" if over == "ws" else exchange.host
    cable = Cable(host, exchange.ports[{"ws": "http"}.get(over, over)])
    a = Chat(exchange, numbers[0], tmp_path / "a", over, cable=cable)
    b = Chat(exchange, numbers[1], tmp_path / "b")
    a.type(f"/to {numbers[1]}")
    a.type("before")
    b.shows("before")
    before = resource(exchange, numbers[0])
    cable.cut()
    a.shows("trying again")
    a.type("into the gap")
    b.type(f"/to {numbers[0]}")
    b.type("and out of it")
    a.shows("on line", "and out of it")
    b.shows("into the gap")
    until(lambda: "\u2026 into the gap" not in a.screen(), what="the acknowledgement")
    assert resource(exchange, numbers[0]) == before
    for chat, line in ((a, "and out of it"), (b, "into the gap")):
        assert chat.screen().count(line) <= 2, "once in the list, once in the conversation"
    a.leave()
    b.leave()
    cable.close()


def test_a_session_outlives_the_exchange(exchange, numbers, tmp_path):
    a = Chat(exchange, numbers[0], tmp_path / "a")
    b = Chat(exchange, numbers[1], tmp_path / "b")
    a.type(f"/to {numbers[1]}")
    a.type("before")
    b.shows("before")
    before = [resource(exchange, number) for number in numbers]
    exchange.stop()
    a.shows("trying again")
    a.type("written meanwhile")
    exchange.start()
    b.shows("written meanwhile")
    for chat in (a, b):
        chat.shows("on line")
    until(lambda: "\u2026 written" not in a.screen(), what="the acknowledgement")
    assert [resource(exchange, number) for number in numbers] == before
    assert b.screen().count("written meanwhile") <= 2, "once in the list, once in the conversation"
    a.leave()
    b.leave()


def test_history_search_and_blocking(exchange, numbers, tmp_path):
    a = Chat(exchange, numbers[0], tmp_path / "a")
    b = Chat(exchange, numbers[1], tmp_path / "b")
    a.type(f"/to {numbers[1]}")
    for index in range(60):
        a.type(f"message number {index}")
    a.shows("message number 59")
    until(lambda: "\u2026 message" not in a.screen(), what="all acknowledged")
    a.leave()
    # A new chat knows nothing: all comes from the archive.
    a = Chat(exchange, numbers[0], tmp_path / "again")
    a.keys("C-k")
    a.shows("Go to")
    a.type(numbers[1])
    a.shows("message number 59")
    for _ in range(8):
        a.keys("PageUp")
    a.shows("message number 1")
    a.type("/find number 42")
    a.shows("message number 42")
    a.no_longer_shows("message number 59 ")
    b.type(f"/to {numbers[0]}")
    b.type("/block")
    b.shows("blocked: /unblock")
    a.type("can you hear me?")
    a.shows("not delivered")
    a.leave()
    b.leave()


def test_help_and_wrong_commands(exchange, numbers, tmp_path):
    chat = Chat(exchange, numbers[0], tmp_path)
    chat.type("/help")
    chat.shows("/block, /unblock", "Ctrl-K")
    chat.keys("Escape")
    chat.no_longer_shows("/block, /unblock")
    chat.type("/dance")
    chat.shows("there is no /dance")
    chat.leave()
