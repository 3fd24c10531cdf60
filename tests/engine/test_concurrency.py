"""How many connections and requests one worker takes at once, and what the others are told."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.engine.conftest import WAYS, serve
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway


@pytest.mark.parametrize("way", WAYS)
def test_requests_over_limit_concurrency_are_answered_503(way: str) -> None:
    with serve(way, "app", "--limit-concurrency", "2") as server, ExitStack() as stack:
        server.ready()
        waiting = [stack.enter_context(Wire(server.address)) for _ in range(2)]
        for number, wire in enumerate(waiting):
            wire.send(GET % b"/hold?%d" % number)
        answers = set()
        while 503 not in answers:  # the two may still be on their way
            with Wire(server.address) as wire:
                response = wire.get("/hello")
                answers.add(response.status)
        assert answers <= {200, 503}
        assert (response["retry-after"], response.closes) == ("1", True)
        server.wait_for("503, more requests at once than limit-concurrency")


@pytest.mark.parametrize("way", WAYS)
def test_idle_connections_do_not_count_as_requests(way: str) -> None:
    with serve(way, "app", "--limit-concurrency", "1") as server, ExitStack() as stack:
        server.ready()
        for _ in range(10):
            wire = stack.enter_context(Wire(server.address))
            assert wire.get("/hello").status == 200


@pytest.mark.parametrize("way", WAYS)
def test_idle_connections_make_room_for_new_ones(way: str) -> None:
    """At limit-connections the one that idled longest is closed for the newcomer."""
    with serve(way, "app", "--limit-connections", "3") as server, ExitStack() as stack:
        server.ready()
        wires = [stack.enter_context(Wire(server.address)) for _ in range(5)]
        for wire in wires:
            assert wire.get("/hello").body == b"hello"
        for wire in wires[:2]:
            wire.end()
        for wire in wires[2:]:
            assert wire.get("/hello").body == b"hello"


@pytest.mark.parametrize("way", WAYS)
def test_busy_connections_make_newcomers_wait(way: str) -> None:
    with serve(way, "app", "--limit-connections", "2", "--threads", "4") as server, ExitStack() as stack:
        server.ready()
        first, second, third = [stack.enter_context(Wire(server.address)) for _ in range(3)]
        first.send(GET % b"/hold?first")
        second.send(GET % b"/hello" + b"GET /hel")  # never idle
        assert second.final().status == 200
        third.send(GET % b"/hello")
        second.send(b"lo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert second.final().status == 200
        second.end()
        assert third.final().status == 200
        assert third.get("/release?first").body == b"released"
        assert first.final().body == b"held"


@pytest.mark.parametrize("repetition", range(5))
def test_a_burst_is_not_kept_from_the_client(server: Portway, repetition: int) -> None:
    """Pieces may be sent together, but all of them before the application has taken its time (PEP 3333)."""
    name = b"burst-%d" % repetition
    with Wire(server.address) as wire, Wire(server.address) as other:
        wire.send(GET % b"/burst?%s" % name)
        while b"39" not in wire.received:
            assert wire.more()
        assert other.get(f"/release?{name.decode()}").body == b"released"
        response = wire.final()
        assert response.body == b"".join(b"%02d" % number for number in range(40)) + b"held" + b"z" * 220_010
        assert response.chunks == (*[2] * 40, 4, 1, 20_000, 2, 3, 200_000, 4)
        assert wire.get("/hello").body == b"hello"
