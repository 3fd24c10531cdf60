"""Handlers over recording applications, for both interfaces."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portway.awslambda import handler
from portway.awslambda.adapter import LambdaHandler
from tests.awslambda.applications import Application

Handler = Callable[..., LambdaHandler]


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
