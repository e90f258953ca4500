"""A program in a terminal of its own (tmux), as a person has it: types, reads the screen."""

import subprocess
import uuid

from exchange import PATIENCE, until


class Terminal:
    """Runs a command in a tmux of its own, so many columns by so many rows."""

    def __init__(self, folder, columns, rows, *command):
        folder.mkdir(parents=True, exist_ok=True)
        self.name = f"switchboard-{uuid.uuid4().hex[:8]}"
        self.socket = str(folder / "tmux")
        self._tmux("new-session", "-d", "-s", self.name, "-x", str(columns), "-y", str(rows), *command)

    def _tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, timeout=PATIENCE, check=True)

    def screen(self):
        return self._tmux("capture-pane", "-p", "-t", self.name).stdout

    def keys(self, *names):
        self._tmux("send-keys", "-t", self.name, *names)

    def write(self, text):
        self._tmux("send-keys", "-t", self.name, "-l", text)

    def type(self, text):
        self.write(text)
        self.keys("Enter")

    def shows(self, *texts):
        try:
            until(lambda: all(text in self.screen() for text in texts), what=f"the terminal showing {texts}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def no_longer_shows(self, text):
        until(lambda: text not in self.screen(), what=f"the terminal no longer showing {text!r}")

    def has_ended(self):
        found = subprocess.run(["tmux", "-S", self.socket, "has-session", "-t", self.name], capture_output=True)
        return found.returncode != 0
