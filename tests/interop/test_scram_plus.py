"""A foreign client (tokio-xmpp) proves SCRAM with channel binding: only the -PLUS mechanisms are offered to it."""

import os
import subprocess

import pytest

from exchange import PASSWORD, PATIENCE, Exchange

PROGRAM = os.environ["SWITCHBOARD_TOKIO_XMPP"]


@pytest.fixture
def plus_only(tmp_path, network):
    config = tmp_path / "switchboard.toml"
    config.write_text('[security]\nmechanisms = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]\n')
    running = Exchange(tmp_path / "data", "--config", str(config)).start()
    yield running
    running.stop()


def log_in(exchange, number, password=PASSWORD):
    environment = {**os.environ, "SWITCHBOARD_PASSWORD": password, "SSL_CERT_FILE": exchange.certificate}
    return subprocess.run(
        [PROGRAM, f"{number}@localhost", f"{exchange.host}:{exchange.ports['tcp']}"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE,
    )


def test_the_channel_is_bound(plus_only):
    number = plus_only.account()
    done = log_in(plus_only, number)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"online {number}@localhost/")


def test_a_wrong_password_is_refused(plus_only):
    done = log_in(plus_only, plus_only.account(), "wrong")
    assert done.returncode != 0 and "online" not in done.stdout
