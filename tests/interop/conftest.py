"""Fixtures: both networks, and an exchange with two numbers."""

import pytest

from exchange import Exchange, set_network


@pytest.fixture(params=["kernel", "stack"])
def network(request):
    """Every test of an exchange runs on the kernel's network and on the exchange's own stack."""
    yield set_network(request.param)
    set_network("kernel")


@pytest.fixture
def exchange(tmp_path, network):
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
