"""Connections go to the worker that does least, not to the one that happens to wake up first."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.client import Client
from tests.support.processes import Portway

CONNECTIONS = 64
ROUNDS = 20


@pytest.mark.parametrize("kind", ["wsgi.py", "asgi.py"])
def test_64_connections_are_spread_evenly_over_4_workers(kind: str) -> None:
    """Once in three times is enough: a worker that the machine has stand still rightly gets less to do."""
    tries = []
    for _ in range(3):
        with Portway(kind, "--workers", "4") as server:
            server.ready()
            clients = [Client(server.address) for _ in range(CONNECTIONS)]
            served: Counter[bytes] = Counter()
            for _ in range(ROUNDS):
                for client in clients:
                    client.request("/pid")
                served.update(client.answer().body for client in clients)
            for client in clients:
                client.close()
        assert served.total() == CONNECTIONS * ROUNDS
        if len(served) == 4 and max(served.values()) <= 1.3 * min(served.values()):
            return
        tries.append(served)
    raise AssertionError(tries)
