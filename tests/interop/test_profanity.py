"""profanity in a terminal (tmux): clear TCP is refused by it, so STARTTLS and direct TLS; both ways, on line and away."""

import os
import subprocess
import uuid

import pytest

from exchange import PASSWORD, until


class Terminal:
    """A profanity in a tmux session of its own, with a home of its own."""

    def __init__(self, exchange, number, carrier, home):
        self.name = f"switchboard-{uuid.uuid4().hex[:8]}"
        self.socket = str(home / "tmux")
        os.makedirs(home / ".config/profanity", exist_ok=True)
        port = exchange.ports["tls" if carrier == "direct-tls" else "tcp"]
        policy = "legacy" if carrier == "direct-tls" else "force"
        self.connect = f"/connect {number}@localhost server {exchange.host} port {port} tls {policy}"
        self._tmux(
            "new-session", "-d", "-s", self.name, "-x", "100", "-y", "30",
            "env", f"HOME={home}", f"XDG_CONFIG_HOME={home}/.config", f"XDG_DATA_HOME={home}/.local/share",
            "TERM=screen", "profanity",
        )
        self.shows("Type '/help'")
        self.type(self.connect)
        self.shows("Enter password")
        self.type(PASSWORD)
        until(lambda: self._logged_in(), what="profanity's log-in")

    def _logged_in(self):
        screen = self.screen()
        if "/tls allow" in screen and not getattr(self, "allowed", False):
            # The self-made certificate: a person is asked, and allows it.
            self.allowed = True
            self.type("/tls allow")
        return "logged in successfully" in screen

    def _tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, timeout=20, check=True)

    def screen(self):
        return self._tmux("capture-pane", "-p", "-t", self.name).stdout

    def type(self, text):
        self._tmux("send-keys", "-t", self.name, "-l", text)
        self._tmux("send-keys", "-t", self.name, "Enter")

    def shows(self, text):
        def there():
            return text in self.screen()
        try:
            until(there, what=f"profanity showing {text!r}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def end(self):
        self.type("/quit")
        until(lambda: subprocess.run(
            ["tmux", "-S", self.socket, "has-session", "-t", self.name], capture_output=True).returncode != 0,
            what="profanity's end")


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
def test_two_people_talk(exchange, numbers, carrier, tmp_path):
    a = Terminal(exchange, numbers[0], carrier, tmp_path / "a")
    b = Terminal(exchange, numbers[1], carrier, tmp_path / "b")
    a.type(f"/msg {numbers[1]}@localhost hello from a")
    until(lambda: "hello from a" in b.screen() or "(1)" in b.screen() or numbers[0] in b.screen(), what="a's message")
    b.type(f"/msg {numbers[0]}@localhost hello from b")
    a.shows("hello from b")
    b.shows("hello from a")
    a.end()
    b.end()


@pytest.mark.parametrize("carrier", ["starttls", "direct-tls"])
def test_a_message_waits_for_who_is_away(exchange, numbers, carrier, tmp_path):
    a = Terminal(exchange, numbers[0], carrier, tmp_path / "a")
    a.type(f"/msg {numbers[1]}@localhost while you were away")
    a.shows("while you were away")
    b = Terminal(exchange, numbers[1], carrier, tmp_path / "b")
    b.type(f"/msg {numbers[0]}@localhost I am back")
    b.shows("while you were away")
    a.shows("I am back")
    a.end()
    b.end()
