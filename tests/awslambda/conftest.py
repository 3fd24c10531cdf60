"""Handlers over recording applications, for both interfaces."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda import handler
from portway.awslambda.adapter import LambdaHandler
from portway.awslambda.emulator.function import Function, command_of
from tests.awslambda.applications import Application
from tests.awslambda.emulated import FN, WAIT_S, Emulated
from tests.awslambda.peers import needs

Handler = Callable[..., LambdaHandler]
CLIENTS = [pytest.param("aws", marks=needs("awslambdaric")), "portway"]


@pytest.fixture(params=["wsgi", "asgi"])
def interface(request: pytest.FixtureRequest) -> str:
    """The interface that the test's application has."""
    return str(request.param)


@pytest.fixture(autouse=True)
def own_sigterm() -> Iterator[None]:
    """A handler takes SIGTERM for its environment; the test process takes it back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def application() -> Application:
    """An application that records what it sees."""
    return Application()


@pytest.fixture
def made() -> Iterator[Handler]:
    """Make handlers whose event loops are closed after the test."""
    handlers: list[LambdaHandler] = []

    def make(app: Any, **options: Any) -> LambdaHandler:
        found = handler(app, **options)
        handlers.append(found)
        return found

    yield make
    for found in handlers:
        found.close()


@pytest.fixture
def lambda_handler(application: Application, interface: str, made: Handler) -> LambdaHandler:
    """A handler over the recording application."""
    return made(getattr(application, interface), lifespan="off")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """The Runtime API's client."""
    return str(request.param)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Emulated]]:
    """Make pools that end with the test. Their functions have time, unless the test says otherwise."""
    (tmp_path / "fn.py").write_text(FN)
    pools: list[Emulated] = []

    def made(client: str = "portway", handler: str = "fn.handler", **options: Any) -> Emulated:
        own = {name: options.pop(name) for name in ("limit", "reload") if name in options}
        options.setdefault("timeout_s", WAIT_S)
        function = Function(command_of(client, handler), handler, tmp_path, **options)
        pools.append(Emulated(function, **own))
        return pools[-1]

    yield made
    for pool in pools:
        pool.close()
        assert len(pool) == 0
