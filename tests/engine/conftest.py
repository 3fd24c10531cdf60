"""Servers for the engine's tests: real `portway serve` processes, one for each way to run, shared by all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.certificates import certificate
from tests.support.processes import Portway

APPS = Path(__file__).parent / "apps"
ROOT = APPS.parent.parent.parent
# What lets a fixture application import its neighbours, and a run on another build of the package find that.
IMPORTING = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
# Driver, poller, and for ASGI the event loop where it is not asyncio's own; then whether with TLS.
WSGI_WAYS = ("wsgi-epoll", "wsgi-poll")
ASGI_WAYS = ("asgi-epoll", "asgi-poll", "asgi-epoll-uvloop", "asgi-poll-uvloop")
WAYS = (*WSGI_WAYS, *ASGI_WAYS)
# For tests of what the bytes of a connection go through; parsing and refusing are the same above TLS.
TLS_WAYS = ("wsgi-epoll-tls", "wsgi-poll-tls", "asgi-epoll-tls", "asgi-poll-tls")
# Everything small, so that a limit is reached with little.
TIGHT = (
    *("--limit-request-line", "300", "--limit-request-field-size", "300", "--limit-request-head", "700"),
    *("--limit-request-fields", "10", "--limit-request-body", "100000", "--body-memory", "4096"),
)
# Only for tests that wait for a deadline: what must beat one fails when the machine stands still (`paced`).
DEADLINE_S = 0.4
HURRIED = tuple(
    part
    for deadline in ("header-timeout", "body-timeout", "keep-alive", "write-timeout")
    for part in (f"--{deadline}", str(DEADLINE_S))
)


def serve(way: str, app: str = "app", *args: str, env: Mapping[str, str] | None = None) -> Portway:
    """Start a server.

    Args:
        way: One of `WAYS`.
        app: Which of the applications: `apps/wsgi_APP.py` or `apps/asgi_APP.py`.
        args: Further arguments of `portway serve`.
        env: Further environment variables.
    """
    driver, poller, *further = way.split("-")
    if "tls" in further:
        args += ("--certfile", str(certificate("portway.test").pem))
    args += ("--loop", "uvloop") if "uvloop" in further else ()
    variables = {"PORTWAY_POLLER": poller, **IMPORTING, **(env or {})}
    return Portway(str(APPS / f"{driver}_{app}.py"), *args, env=variables)


def server_fixture(app: str, *args: str, ways: tuple[str, ...] = WAYS) -> Callable[..., Iterator[Portway]]:
    """Return a fixture: a server for each way to run, started once for all tests that use it.

    No request of a test may break a worker: it is the same one at the end.
    """

    @pytest.fixture(scope="session", params=ways)
    def fixture(request: pytest.FixtureRequest) -> Iterator[Portway]:
        with serve(request.param, app, *args) as server:
            (worker,) = server.ready().workers()
            yield server
            assert server.workers() == [worker], server.log
            assert server.stop() == 0
            assert "failed at engine" not in server.log, server.log

    return fixture


server = server_fixture("app")
"""With every default."""
tight = server_fixture("app", *TIGHT)
"""With limits that are soon reached."""
hurried = server_fixture("app", *HURRIED)
"""With deadlines that fall soon."""
