"""xmpp.js: SASL2 with Bind 2, and a second log-in by the token that the first one brought (FAST)."""

import os
import pathlib

from exchange import PASSWORD, run

PROGRAM = pathlib.Path(__file__).with_name("log_in_again.mjs")


def test_a_token_logs_in_without_the_password(exchange, numbers):
    environment = {**os.environ, "SWITCHBOARD_PASSWORD": PASSWORD, "NODE_EXTRA_CA_CERTS": exchange.certificate}
    done = run(["node", str(PROGRAM), exchange.host, str(exchange.ports["tcp"]), numbers[0]], env=environment)
    first, again = done.stdout.split("\n")[:2]
    assert first in ("first SCRAM-SHA-1", "first PLAIN"), done.stdout
    assert again == f"again HT-SHA-256-NONE {numbers[0]}", done.stdout
