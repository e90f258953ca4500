"""Fixtures: both networks, and an exchange with two numbers.

Tests wait for foreign programs more than they work, so several processes share them (pytest-xdist). Each is in a network namespace of
its own: interfaces, ports and the kernel's tables of one are not the others'.
"""

import ctypes
import subprocess

import pytest

from exchange import PATIENCE, Exchange, set_network

# unshare(2): a network of one's own.
CLONE_NEWNET = 0x40000000


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare: a network namespace for the tests needs root")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


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
            item.add_marker(pytest.mark.timeout(4 * PATIENCE))
