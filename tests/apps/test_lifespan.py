"""The lifespan: every way an application takes part in it, or does not, in the three modes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from portway.apps.lifespan import Lifespan, Mode
from portway.errors import ShutdownFailed, StartupFailed

App = Callable[..., Awaitable[None]]
AGES_S = 50.0
SHORT_S = 0.05


class Recorder:
    """An application that takes part and writes down what it was given."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.scope: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        for phase in ("startup", "shutdown"):
            message = await receive()
            self.seen.append(message["type"])
            scope["state"][phase] = True
            await send({"type": f"lifespan.{phase}.complete"})
        self.seen.append("returned")


def run(app: App, mode: Mode = "auto", timeout_s: float | None = AGES_S) -> Lifespan:
    """Start and stop an application; what either raises comes out. No task may be left behind."""

    async def both() -> Lifespan:
        lifespan = Lifespan(app, mode)
        try:
            await lifespan.startup(timeout_s)
            await lifespan.shutdown(timeout_s)
        finally:
            assert asyncio.all_tasks() == {asyncio.current_task()}
        return lifespan

    return asyncio.run(both(), debug=True)


def started(app: App, mode: Mode = "auto") -> Lifespan:
    """Only start it, as far as tests of `supported` and `error` go."""

    async def start() -> tuple[Lifespan, bool]:
        lifespan = Lifespan(app, mode)
        await lifespan.startup(AGES_S)
        supported = lifespan.supported
        await lifespan.shutdown(AGES_S)
        return lifespan, supported

    lifespan, supported = asyncio.run(start(), debug=True)
    lifespan.supported = supported
    return lifespan


def test_both_phases() -> None:
    app = Recorder()
    lifespan = run(app)
    assert app.seen == ["lifespan.startup", "lifespan.shutdown", "returned"]
    assert app.scope["type"] == "lifespan"
    assert app.scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
    assert lifespan.state == {"startup": True, "shutdown": True}
    assert lifespan.error is None


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_supported(mode: Mode) -> None:
    assert started(Recorder(), mode).supported


def test_a_state_that_was_passed_in_is_the_one_that_is_filled() -> None:
    async def both() -> None:
        state: dict[str, Any] = {}
        lifespan = Lifespan(Recorder(), "on", state)
        await lifespan.startup()
        assert state == {"startup": True} and lifespan.state is state
        await lifespan.shutdown()

    asyncio.run(both())


def test_off_never_calls_the_application() -> None:
    app = Recorder()
    assert run(app, "off").supported is False
    assert app.seen == []


async def raises_on_scope(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http", "only http"


async def raises_on_startup(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    raise ValueError("unknown message")


def raises_when_called(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    raise TypeError("no lifespan")


async def returns_at_once(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return


async def returns_none_after_startup(scope: Any, receive: Any, send: Any) -> None:
    await receive()


async def sends_nonsense(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})


async def sends_shutdown_first(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "lifespan.shutdown.complete"})


async def sends_no_type(scope: Any, receive: Any, send: Any) -> None:
    await send({})


async def cancels_itself(scope: Any, receive: Any, send: Any) -> None:
    raise asyncio.CancelledError


UNSUPPORTING: list[App] = [
    raises_on_scope,
    raises_on_startup,
    raises_when_called,
    returns_at_once,
    returns_none_after_startup,
    sends_nonsense,
    sends_shutdown_first,
    sends_no_type,
    cancels_itself,
]


@pytest.mark.parametrize("app", UNSUPPORTING)
def test_auto_serves_an_application_without_lifespan(app: App) -> None:
    lifespan = run(app)
    assert not lifespan.supported
    expects_error = app not in (returns_at_once, returns_none_after_startup, cancels_itself)
    assert (lifespan.error is not None) == expects_error


@pytest.mark.parametrize("app", UNSUPPORTING)
def test_on_refuses_it(app: App) -> None:
    with pytest.raises(StartupFailed, match=r"^the application does not support lifespan: it ") as caught:
        run(app, "on")
    assert caught.value.hint == "--lifespan auto serves it without."


def test_on_shows_the_applications_traceback() -> None:
    with pytest.raises(StartupFailed) as caught:
        run(raises_on_startup, "on")
    assert str(caught.value).endswith("it raised ValueError: unknown message")
    assert "in raises_on_startup" in caught.value.details
    assert "portway/apps" not in caught.value.details


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_startup_that_says_it_failed(mode: Mode) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database\nsecond line"})

    with pytest.raises(StartupFailed, match=r"^the application's startup failed: no database$") as caught:
        run(app, mode)
    assert caught.value.exit_code == 3


def test_a_failed_startup_without_a_message() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed"})
        await receive()
        await receive()

    with pytest.raises(StartupFailed, match=r"^the application's startup failed$"):
        run(app)


def test_sys_exit_in_the_startup() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise SystemExit(7)

    with pytest.raises(StartupFailed, match=r"^the application called sys.exit\(7\) in its startup$"):
        run(app)


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_startup_that_hangs_is_bounded_and_cancelled(mode: Mode) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")

    with pytest.raises(StartupFailed, match=r"startup did not finish in 0.05 seconds$"):
        run(app, mode, SHORT_S)
    assert ended == ["cancelled"]


def test_a_timeout_of_the_applications_own_is_not_ours() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    with pytest.raises(StartupFailed, match="it raised TimeoutError"):
        run(app, "on")


def test_cancelling_the_startup_ends_the_applications_task() -> None:
    ended: list[str] = []

    async def cancel() -> None:
        begun = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        task = asyncio.create_task(Lifespan(app, "auto").startup(AGES_S))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(cancel())
    assert ended == ["cancelled"]


async def through_startup(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


def test_a_shutdown_that_says_it_failed() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await through_startup(receive, send)
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "not flushed"})

    with pytest.raises(ShutdownFailed, match=r"^the application's shutdown failed: not flushed$"):
        run(app)


def test_a_shutdown_that_raises() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await through_startup(receive, send)
        await receive()
        raise KeyError("pool")

    with pytest.raises(
        ShutdownFailed, match=r"^the application's lifespan raised KeyError: 'pool'$"
    ) as caught:
        run(app)
    assert "in app" in caught.value.details


def test_a_shutdown_that_hangs_is_bounded() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await through_startup(receive, send)
        await receive()
        await asyncio.Event().wait()

    async def both() -> None:
        lifespan = Lifespan(app, "auto")
        await lifespan.startup(AGES_S)
        with pytest.raises(ShutdownFailed, match=r"shutdown did not finish in 0.05 seconds$"):
            await lifespan.shutdown(SHORT_S)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(both())


async def returns_after_startup(scope: Any, receive: Any, send: Any) -> None:
    await through_startup(receive, send)


async def never_answers_shutdown(scope: Any, receive: Any, send: Any) -> None:
    await through_startup(receive, send)
    await receive()


async def loops_for_ever(scope: Any, receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})


async def loops_and_ignores_shutdown(scope: Any, receive: Any, send: Any) -> None:
    await through_startup(receive, send)
    while True:
        await receive()


async def works_after_answering(scope: Any, receive: Any, send: Any) -> None:
    await through_startup(receive, send)
    await receive()
    await send({"type": "lifespan.shutdown.complete"})
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "app",
    [
        returns_after_startup,
        never_answers_shutdown,
        loops_for_ever,
        loops_and_ignores_shutdown,
        works_after_answering,
    ],
)
def test_sloppy_applications_stop_without_a_complaint(app: App) -> None:
    assert run(app).error is None


def test_an_application_that_dies_between_the_phases_is_reported_at_the_end() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await through_startup(receive, send)
        raise OSError("background work")

    with pytest.raises(ShutdownFailed, match=r"raised OSError: background work$"):
        run(app)


@pytest.mark.parametrize(
    "kind", ["lifespan.startup.complete", "lifespan.shutdown.complete", "lifespan.other", "x"]
)
def test_messages_out_of_turn_raise_in_the_application(kind: str) -> None:
    caught: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await through_startup(receive, send)
        with pytest.raises(RuntimeError) as error:
            await send({"type": kind})
        caught.append(str(error.value))
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    run(app)
    assert len(caught) == 1 and repr(kind) in caught[0]


def test_shutdown_without_startup_and_twice_does_nothing() -> None:
    async def twice() -> None:
        app = Recorder()
        lifespan = Lifespan(app, "auto")
        await lifespan.shutdown()
        await lifespan.startup()
        await lifespan.shutdown()
        await lifespan.shutdown()
        assert app.seen.count("lifespan.shutdown") == 1

    asyncio.run(twice())


def test_starlette() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, object]]:
        events.append("up")
        yield {"pool": 1}
        events.append("down")

    result = run(cast(App, Starlette(lifespan=lifespan)), "on")
    assert (events, result.state) == (["up", "down"], {"pool": 1})


def test_starlette_that_fails_shows_its_own_traceback() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ConnectionError("no database")
        yield

    with pytest.raises(StartupFailed, match=r"^the application's startup failed") as caught:
        run(cast(App, Starlette(lifespan=lifespan)))
    assert "ConnectionError: no database" in caught.value.details


def test_context_of_the_startup_is_not_shared_with_the_caller() -> None:
    async def both() -> None:
        lifespan = Lifespan(Recorder(), "auto")
        before = asyncio.current_task()
        await lifespan.startup()
        assert asyncio.current_task() is before
        await lifespan.shutdown()

    asyncio.run(both())
