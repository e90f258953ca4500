"""The exchange under test: starts the built binary with ports of its own choosing, on the network of the test, and ends it.

Every test runs on both networks: the kernel's, on loopback, and the exchange's own stack over a TUN interface, which it makes in the
network namespace of the tests. HTTP, and with it WebSocket, is the kernel's on both.
"""

import json
import os
import signal
import subprocess
import time

BINARY = os.environ["SWITCHBOARD_BIN"]
PASSWORD = "correct horse battery"
# How long anything may take before it counts as never, in seconds. Loaded machines are slow; what comes, comes at once.
PATIENCE = 60
LOOPBACK = "127.0.0.1"
# The stack's own address; the kernel's on the same link is the next one.
STACK = "10.77.0.1"
TUN = "sb-interop"


class Network:
    """Where the exchanges of a test listen."""

    def __init__(self, name):
        self.name = name
        self.is_stack = name == "stack"
        self.host = STACK if self.is_stack else LOOPBACK
        self.near = "10.77.0.2" if self.is_stack else LOOPBACK
        self.interface = TUN if self.is_stack else "lo"


# Set for each test by a fixture.
NETWORK = Network("kernel")


def set_network(name):
    global NETWORK
    NETWORK = Network(name)
    return NETWORK


class Exchange:
    """One `switchboard serve`; `restart` keeps the data folder and the ports."""

    def __init__(self, data, *arguments):
        self.data = str(data)
        self.arguments = list(arguments)
        # What starts it, where something is to watch it.
        self.under = []
        self.ports = {}
        # As the line `ready` names them.
        self.addresses = {}
        self.process = None
        self.network = NETWORK
        self.host = NETWORK.host

    def start(self):
        def listener(name):
            host = LOOPBACK if name == "http" else self.host
            return f"{host}:{self.ports.get(name, 0)}"

        command = [*self.under, BINARY, "serve", "--data", self.data]
        if self.network.is_stack:
            command += ["--network", f"tun:{TUN},{STACK}/24"]
            self._allow_clear_text()
        for name in ("tcp", "tls", "quic", "http"):
            if f"--{name}" not in self.arguments:
                command += [f"--{name}", listener(name)]
        command += self.arguments
        log = open(self.data + ".log", "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        log.close()
        line = self._ready_line()
        for word in line.split()[1:]:
            name, _, address = word.partition("=")
            if address != "none":
                self.addresses[name] = address.split(",")
                self.ports[name] = int(address.rsplit(":", 1)[1])
        return self

    def _allow_clear_text(self):
        """Loopback may be clear by default; whoever comes over a TUN comes from elsewhere."""
        path = self.data + ".toml"
        text = ""
        if "--config" in self.arguments:
            at = self.arguments.index("--config") + 1
            if self.arguments[at] == path:
                return
            with open(self.arguments[at]) as given:
                text = given.read()
            self.arguments[at] = path
        else:
            self.arguments += ["--config", path]
        if "[security]" not in text:
            text += "[security]\n"
        with open(path, "w") as config:
            config.write(text.replace("[security]\n", '[security]\nclear_text = "always"\n'))

    def _ready_line(self):
        # What is said before is for people. A hang here is ended by the test's own time limit.
        for line in self.process.stdout:
            if line.startswith("ready"):
                return line
        with open(self.data + ".log") as log:
            raise AssertionError(f"the exchange is not ready: {log.read()[-2000:]}")

    def account(self, number=None, *more):
        """Makes an account and returns its number."""
        command = [BINARY, "account", "create", "--data", self.data, *more]
        if number is not None:
            command += ["--number", str(number)]
        done = run(command, env={**os.environ, "SWITCHBOARD_PASSWORD": PASSWORD})
        return done.stdout.strip()

    def who(self):
        done = run([BINARY, "who", "--json", "--data", self.data])
        text = done.stdout.strip()
        if text.startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines()]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=PATIENCE) == 0, "a told end is exit 0"

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=PATIENCE)

    def restart(self):
        self.stop()
        return self.start()

    @property
    def certificate(self):
        for name in ("cert.pem", "tls/cert.pem", "certificate.pem"):
            path = os.path.join(self.data, name)
            if os.path.exists(path):
                return path
        raise AssertionError(f"no certificate in {os.listdir(self.data)}")


def run(command, timeout=PATIENCE, check=True, **more):
    """Runs a command and returns what it printed; a failure shows it."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **more)
    if check:
        assert done.returncode == 0, f"{command}: exit {done.returncode}: {done.stderr} {done.stdout}"
    return done


def until(condition, seconds=PATIENCE, what="the condition"):
    """Polls `condition` until it holds; for programs that tell us nothing when they are done."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come true within {seconds} s")
