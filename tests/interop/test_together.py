"""One conversation in three clients at once: the page and the terminal client of one number, profanity of the other. Every line,
whoever writes it, is seen in each of them once and in the same order. And what the page shows of another client's line."""

import json
import os
import subprocess

from exchange import PATIENCE, until
from test_chat import Chat
from test_profanity import Profanity

HERE = os.path.dirname(os.path.abspath(__file__))


class Page:
    """Our page in Chromium, with somebody logged in."""

    def __init__(self, exchange, number):
        script = os.path.join(HERE, "..", "web", "at_one_page.mjs")
        self.process = subprocess.Popen(
            ["node", script, str(exchange.ports["http"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.ask("logIn", number)

    def ask(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the page has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer
        return answer["ok"]

    def leave(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=PATIENCE) == 0


def in_order(screen, lines):
    """Whether all of them are on the screen, the later ones below the earlier ones."""
    # A list of conversations shows the last line a second time, beside them.
    places = [[at for at, row in enumerate(screen.splitlines()) if line in row] for line in lines]
    if not all(places):
        return False
    last = [found[-1] for found in places]
    return last == sorted(last)


def test_one_conversation_in_a_page_a_terminal_and_profanity(exchange, numbers, tmp_path):
    ann, ben = numbers
    page = Page(exchange, ann)
    chat = Chat(exchange, ann, tmp_path / "chat")
    other = Profanity(exchange, ben, "starttls", tmp_path / "profanity")
    chat.type(f"/to {ben}")
    page.ask("open", ben)
    lines = []

    def says(write, line):
        write(line)
        lines.append(line)
        page.ask("hears", line)
        chat.shows(line)
        other.shows(line)

    # Profanity opens a window for what comes only when it is told to.
    says(lambda line: other.type(f"/msg {ann}@localhost {line}"), "from profanity, first")
    says(lambda line: page.ask("say", line), "from the page")
    says(chat.type, "from the terminal")
    says(other.type, "from profanity, again")
    says(lambda line: page.ask("say", line), "page: 收到了")
    says(chat.type, "terminal: bye")
    assert page.ask("texts", ben) == lines
    for screen in (chat.screen, other.screen):
        until(lambda: in_order(screen(), lines), what="the lines in order")
    assert {line["carrier"] for line in exchange.who()} == {"ws", "tcp"}
    page.leave()
    chat.leave()
    other.end()


def test_an_administrator_watches_the_packets_of_a_line(exchange, numbers, tmp_path):
    ben, ann = numbers
    page = Page(exchange, exchange.account(None, "--admin"))
    chat = Chat(exchange, ben, tmp_path)
    chat.type(f"/to {ann}")
    page.ask("line", ben)
    page.ask("fact", "TCP", "state", "ESTABLISHED")
    if not exchange.network.is_stack:
        page.ask("sees", "The packets of this line pass through the kernel")
    else:
        # It is watched, and drawn as it happens.
        chat.type("first")
        before = page.ask("ladder")
        assert any("ESTABLISHED" in row for row in before) and any("PSH" in row for row in before), before
        chat.type("second")
        until(lambda: len(page.ask("ladder")) > len(before), what="the packets of the second message")
    page.leave()
    chat.leave()
