"""profanity in a terminal (tmux): clear TCP is refused by it, so STARTTLS and direct TLS; both ways, on line and away."""

import os

import pytest

from exchange import PASSWORD, until
from terminal import Terminal


class Profanity(Terminal):
    """A profanity with a home of its own."""

    def __init__(self, exchange, number, carrier, home):
        os.makedirs(home / ".config/profanity", exist_ok=True)
        super().__init__(
            home, 100, 30,
            "env", f"HOME={home}", f"XDG_CONFIG_HOME={home}/.config", f"XDG_DATA_HOME={home}/.local/share",
            "TERM=screen", "profanity",
        )
        port = exchange.ports["tls" if carrier == "direct-tls" else "tcp"]
        policy = "legacy" if carrier == "direct-tls" else "force"
        self.shows("Type '/help'")
        self.type(f"/connect {number}@localhost server {exchange.host} port {port} tls {policy}")
        self.shows("Enter password")
        self.type(PASSWORD)
        self.allowed = False
        until(self._logged_in, what="profanity's log-in")

    def _logged_in(self):
        screen = self.screen()
        if "/tls allow" in screen and not self.allowed:
            # The self-made certificate: a person is asked, and allows it.
            self.allowed = True
            self.type("/tls allow")
        return "logged in successfully" in screen

    def end(self):
        self.type("/quit")
        until(self.has_ended, what="profanity's end")


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
def test_two_people_talk(exchange, numbers, carrier, tmp_path):
    a = Profanity(exchange, numbers[0], carrier, tmp_path / "a")
    b = Profanity(exchange, numbers[1], carrier, tmp_path / "b")
    a.type(f"/msg {numbers[1]}@localhost hello from a")
    until(lambda: "hello from a" in b.screen() or "(1)" in b.screen() or numbers[0] in b.screen(), what="a's message")
    b.type(f"/msg {numbers[0]}@localhost hello from b")
    a.shows("hello from b")
    b.shows("hello from a")
    a.end()
    b.end()


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
def test_a_message_waits_for_who_is_away(exchange, numbers, carrier, tmp_path):
    a = Profanity(exchange, numbers[0], carrier, tmp_path / "a")
    a.type(f"/msg {numbers[1]}@localhost while you were away")
    a.shows("while you were away")
    b = Profanity(exchange, numbers[1], carrier, tmp_path / "b")
    b.type(f"/msg {numbers[0]}@localhost I am back")
    b.shows("while you were away")
    a.shows("I am back")
    a.end()
    b.end()
