"""Joining Ray: an address where no cluster is."""

import socket
from platform.options import SearchOptions
from platform.resources import ray_session

import pytest

from trainables.errors import StridefoldError


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_without_a_cluster_is_one_sentence(scheme: str) -> None:
    """Ray alone would wait there for minutes and then end the process."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # taken, but nobody listens
        address = f"{scheme}127.0.0.1:{unused.getsockname()[1]}"
        problem = f"--address {address}: no Ray cluster answers there"
        with pytest.raises(StridefoldError, match=problem), ray_session(SearchOptions(address=address)):
            pass
