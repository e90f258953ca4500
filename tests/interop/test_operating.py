"""What stands around the exchange reads it: Prometheus' own parser, systemd's own checks of the unit."""

import pathlib
import urllib.request

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from exchange import BINARY, run

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_prometheus_reads_the_figures(exchange, numbers):
    with urllib.request.urlopen(f"http://127.0.0.1:{exchange.ports['http']}/metrics") as answer:
        page = answer.read().decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    carriers = {sample.labels["carrier"] for sample in families["switchboard_connections"].samples}
    assert carriers == {"tcp", "tls", "ws", "wss", "quic"}
    assert families["switchboard_store_requests"].type == "counter"
    assert families["switchboard_store_busy_seconds"].unit == "seconds"
    assert families["switchboard_store_up"].samples[0].value == 1


def test_systemd_takes_the_unit(tmp_path):
    unit = (ROOT / "dist/switchboard.service").read_text()
    assert "/usr/local/bin/switchboard serve" in unit
    unit = unit.replace("/usr/local/bin/switchboard", BINARY)
    unit = "".join(line for line in unit.splitlines(True) if not line.startswith("Documentation=man:"))
    path = tmp_path / "switchboard.service"
    path.write_text(unit)
    said = run(["systemd-analyze", "verify", str(path)])
    assert "switchboard.service" not in said.stderr, said.stderr
    said = run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)], check=False)
    assert said.returncode == 0, said.stdout[-300:]
