"""ASGI requests are asyncio tasks like any other: current_task, contexts, cancellation, state, scope."""

from __future__ import annotations

import pytest

from tests.engine.conftest import ASGI_WAYS, serve, server_fixture
from tests.engine.test_asgi_messages import happened
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

served = server_fixture("conformance", ways=ASGI_WAYS)


@pytest.fixture
def asgi(served: Portway) -> Portway:
    """A server whose application remembers nothing of earlier tests."""
    with Wire(served.address) as wire:
        assert wire.get("/forget").status == 200
    return served


def test_each_request_has_a_task_and_a_context_of_its_own(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(b"".join(GET % b"/task?%d" % number for number in range(20)))
        bodies = [wire.final().body for _ in range(20)]
        assert bodies == [b"the lifespan's %d" % number for number in range(20)] or bodies == [
            b"none %d" % number for number in range(20)
        ]
        assert wire.get("/task-over").body == b"{(True, False, True)}"


@pytest.mark.parametrize("way", ASGI_WAYS)
def test_what_a_plain_call_does_belongs_to_the_task(way: str) -> None:
    """A call that is no coroutine function sets context variables of its own request, not of the next."""
    with serve(way, "synchronous", "--interface", "asgi") as server, Wire(server.ready().address) as wire:
        wire.send(b"".join(GET % b"/?%d" % number for number in range(20)))
        assert [wire.final().body for _ in range(20)] == [b"none %d" % number for number in range(20)]
        assert wire.get("/raise").status == 500
        assert wire.get("/?21").body == b"none 21"
        server.wait_for("failed at GET /raise")


def test_parts_that_are_sent_at_once(asgi: Portway) -> None:
    """Who waits for the client to read does not do so for ever when another task has sent the rest."""
    with Wire(asgi.address, receive_buffer=4096) as wire:
        wire.send(GET % b"/send-at-once?20000000")
        assert len(wire.final().body) == 20_000_003
        assert happened(asgi, "sent-at-once") == 1


def test_an_application_may_cancel_itself(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        assert wire.get("/cancel-oneself").body == b"still here"


def test_timeouts_and_task_groups(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        assert wire.get("/timeout-inside").body == b"timed out"
        assert wire.get("/task-group").body == b"012"


def test_a_request_that_is_cancelled_is_answered_500(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/cancelled-from-outside")
        assert happened(asgi, "victim-waits") == 1
        with Wire(asgi.address) as other:
            assert other.get("/cancel").body == b"cancelled"
        assert wire.final().status == 500
        assert wire.get("/hello").body == b"hello"


def test_state_is_copied_and_what_is_in_it_is_shared(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        first = int(wire.get("/state").body.split()[0])
        assert [wire.get("/state").body for _ in range(2)] == [b"%d 2" % (first + 1), b"%d 2" % (first + 2)]


def test_a_scope_that_is_spoilt_spoils_no_other(asgi: Portway) -> None:
    with Wire(asgi.address) as wire:
        seen = {wire.get("/spoil-the-scope").body for _ in range(4)}
    with Wire(asgi.address) as wire:
        seen |= {wire.get("/spoil-the-scope").body for _ in range(4)}
    assert len(seen) == 1
    assert b"spoilt" not in seen.pop()


@pytest.mark.parametrize("count", [5, 16, 17, 40])
def test_pipelined_requests_behind_one_that_waits(asgi: Portway, count: int) -> None:
    """None of them is forgotten when the first is answered outside the engine's own turn."""
    with Wire(asgi.address) as wire:
        wire.send(GET % b"/timeout-inside" + GET % b"/hello" * count)
        assert wire.final().body == b"timed out"
        assert [wire.final().body for _ in range(count)] == [b"hello"] * count
        assert wire.get("/hello").body == b"hello"
