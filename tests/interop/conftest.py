"""Fixtures: an exchange with two numbers."""

import pytest

from exchange import Exchange


@pytest.fixture
def exchange(tmp_path):
    running = Exchange(tmp_path / "data").start()
    yield running
    running.stop()


@pytest.fixture
def numbers(exchange):
    return exchange.account(), exchange.account()


def pytest_collection_modifyitems(items):
    # A test that waits for a foreign program is bounded: pytest-timeout ends what hangs.
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(120))
