"""ASGI under the handler: one loop, one lifespan, tasks as asyncio makes them."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import sniffio

from portway.awslambda.errors import AppFailed
from tests.awslambda.applications import Context
from tests.awslambda.conftest import Handler
from tests.awslambda.front_doors import Wire, http_api

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


async def answer(send: Any, body: bytes) -> None:
    """Send a whole answer."""
    await send(START)
    await send({"type": "http.response.body", "body": body})


class Lifespan:
    """An application with a lifespan that counts."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.loops: set[int] = set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.loops.add(id(asyncio.get_running_loop()))
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            self.events.append("startup")
            scope["state"]["pool"] = self
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            self.events.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["state"]["pool"] is self
        scope["state"]["mine"] = 1
        self.events.append("request")
        await answer(send, b"ok")


def test_the_lifespan_runs_once_for_all_events(made: Handler) -> None:
    app = Lifespan()
    handler = made(app)
    for _ in range(3):
        assert handler(http_api(Wire()), Context())["statusCode"] == 200
    assert app.events == ["startup", "request", "request", "request"]
    handler.close()
    assert app.events[-1] == "shutdown"
    assert len(app.loops) == 1


def test_one_requests_state_is_not_the_nexts(made: Handler) -> None:
    states = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["shared"] = []
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            states.append(dict(scope["state"]))
            scope["state"]["own"] = True
            scope["state"]["shared"].append(1)
            await answer(send, b"ok")

    handler = made(app)
    handler(http_api(Wire()), Context())
    handler(http_api(Wire()), Context())
    assert [set(state) for state in states] == [{"shared"}, {"shared"}]
    assert states[1]["shared"] == [1, 1]


def test_an_application_without_lifespan_is_served(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        assert "state" not in scope
        await answer(send, b"ok")

    assert made(app)(http_api(Wire()), Context())["body"] == "ok"


def test_an_application_that_must_have_a_lifespan(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raise TypeError("no lifespan here")

    with pytest.raises(AppFailed, match="has no lifespan") as raised:
        made(app, lifespan="on").start()
    assert isinstance(raised.value.__cause__, TypeError)


def test_a_startup_that_fails(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(AppFailed, match="refused its startup: no database"):
        made(app)(http_api(Wire()), Context())


def test_a_shutdown_that_fails_is_logged(made: Handler, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "disk full"})

    handler = made(app)
    handler.start()
    handler.close()
    assert "refused its shutdown: disk full" in caplog.text


@pytest.mark.parametrize("waits", [False, True])
def test_the_task_is_one_of_asyncios_own(waits: bool, made: Handler) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        assert task is not None and task in asyncio.all_tasks()
        assert variable.get() == "unset"
        variable.set("set")
        if waits:
            await asyncio.sleep(0)
        assert asyncio.current_task() is task and variable.get() == "set"
        assert asyncio.get_running_loop() is task.get_loop()
        await answer(send, b"ok")

    handler = made(app, lifespan="off")
    for _ in range(3):
        assert handler(http_api(Wire()), Context())["statusCode"] == 200
    assert variable.get() == "unset"
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


@pytest.mark.parametrize("waits", [0.0, 0.001, None])
def test_time_limits_and_task_groups_see_the_requests_task(waits: float | None, made: Handler) -> None:
    """All of them ask for the current task at the first step, before anything has waited; one never waits."""
    order: list[str] = []

    async def pause(name: str) -> None:
        if waits is not None:
            await asyncio.sleep(waits)
        order.append(name)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            group.create_task(pause("asyncio"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pause, "anyio")
        with anyio.move_on_after(0) as scope_of_nothing:
            await anyio.sleep_forever()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        task = asyncio.current_task()
        assert task is not None and not task.cancelling() and scope_of_nothing.cancelled_caught
        assert sniffio.current_async_library() == "asyncio"
        await answer(send, str(anyio.get_current_task().name).encode())

    handler = made(app, lifespan="off")
    for _ in range(2):
        assert handler(http_api(Wire()), Context())["statusCode"] == 200
    assert order == ["asyncio", "anyio"] * 2


def test_a_task_that_cancels_itself_before_it_waits(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(0)
        task.uncancel()
        await answer(send, b"ok")

    handler = made(app, lifespan="off")
    assert handler(http_api(Wire()), Context())["body"] == "ok"


def test_background_tasks_go_on_between_requests(made: Handler) -> None:
    steps: list[int] = []

    async def background() -> None:
        for number in range(100):
            steps.append(number)
            await asyncio.sleep(0)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["path"] == "/start":
            tasks.append(asyncio.create_task(background()))
        await answer(send, b"ok")

    tasks: list[asyncio.Task[None]] = []
    handler = made(app, lifespan="off")
    handler(http_api(Wire(path="/start")), Context())
    first = len(steps)
    handler(http_api(Wire()), Context())
    assert first >= 1 and len(steps) > first


def test_asynchronous_generators_are_the_loops(made: Handler) -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async for _ in numbers():
            break
        await answer(send, b"ok")

    handler = made(app, lifespan="off")
    for _ in range(6):  # each request gives the ones before it a turn to clean up in
        assert handler(http_api(Wire()), Context())["statusCode"] == 200
    handler.close()
    assert len(closed) >= 3
    assert sys.get_asyncgen_hooks().firstiter is None


def test_receive_waits_for_the_end_of_the_answer(made: Handler) -> None:
    messages = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        messages.append(await receive())
        listener = asyncio.create_task(receive())
        await asyncio.sleep(0)
        assert not listener.done()
        await answer(send, b"ok")
        messages.append(await listener)
        messages.append(await receive())

    assert (
        made(app, lifespan="off")(http_api(Wire(method="POST", body=b"\xff")), Context())["statusCode"] == 200
    )
    assert messages == [
        {"type": "http.request", "body": b"\xff", "more_body": False},
        {"type": "http.disconnect"},
        {"type": "http.disconnect"},
    ]


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.response.body", "body": b"x"}],
        [START, START],
        [START, {"type": "http.response.body"}, {"type": "http.response.body"}],
        [START, {"type": "http.response.trailers", "headers": []}],
        [{"type": "websocket.accept"}],
    ],
)
def test_messages_out_of_turn_are_errors_in_the_application(
    messages: list[dict[str, Any]], made: Handler
) -> None:
    raised = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            for message in messages:
                await send(message)
        except RuntimeError as error:
            raised.append(error)
            raise

    made(app, lifespan="off")(http_api(Wire()), Context())
    assert len(raised) == 1


def test_headers_may_be_any_iterable(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = (pair for pair in [(b"X-One", b"1"), (b"x-one", b"caf\xc3\xa9"), (b"x-old", b"caf\xe9")])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    headers = made(app, lifespan="off")(http_api(Wire()), Context())["headers"]
    assert (headers["x-one"], headers["x-old"]) == ("1, café", "café")


def test_a_body_in_pieces(made: Handler) -> None:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send(START)
        for piece in (b"a", b"", b"b"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)
        await send({"type": "http.response.body"})

    assert made(app, lifespan="off")(http_api(Wire()), Context())["body"] == "ab"


def test_many_names_of_fields_do_not_fill_the_memory(made: Handler) -> None:
    from portway.awslambda import asgi, wsgi

    def plain(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [(f"X-{environ['HTTP_X_N']}-{number}", "1") for number in range(50)])
        return []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await answer(send, b"ok")

    handlers = [made(plain), made(app, lifespan="off")]
    for number in range(100):
        fields = tuple((f"X-{number}-{other}", "1") for other in range(50))
        for handler in handlers:
            assert (
                handler(http_api(Wire(fields=(("X-N", str(number)), *fields))), Context())["statusCode"]
                == 200
            )
    assert len(asgi._names) <= 1100 and len(wsgi._keys) <= 1100
