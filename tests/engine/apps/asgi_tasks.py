"""ASGI requests as asyncio tasks: their context, their cancellation, their scope and its state."""

from __future__ import annotations

import asyncio
import contextvars

from tests.engine.apps.asgi_base import Message, Receive, Send, answer, body, kept, note, start

request_number: contextvars.ContextVar[str] = contextvars.ContextVar("request_number", default="none")


async def do_task(scope: Message, receive: Receive, send: Send) -> None:
    """A request is a task of the running loop, and a context of its own."""
    task = asyncio.current_task()
    assert task is not None
    assert task in asyncio.all_tasks()
    assert task.get_loop() is asyncio.get_running_loop()
    before = request_number.get()
    request_number.set(scope["query_string"].decode())
    await asyncio.sleep(0)
    assert asyncio.current_task() is task
    kept.setdefault("tasks", []).append(task)
    assert repr(task)
    task.get_stack()
    await answer(send, f"{before} {request_number.get()}".encode())


async def do_task_over(scope: Message, receive: Receive, send: Send) -> None:
    """What became of the tasks of do_task."""
    tasks: list[asyncio.Task[None]] = kept.pop("tasks")
    assert asyncio.current_task() not in tasks
    states = {(task.done(), task.cancelled(), task.exception() is None) for task in tasks}
    await answer(send, repr(states).encode())


async def do_cancel_oneself(scope: Message, receive: Receive, send: Send) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        task.uncancel()
    await answer(send, b"still here")


async def do_timeout_inside(scope: Message, receive: Receive, send: Send) -> None:
    """asyncio.timeout works by cancelling the task it is in."""
    try:
        async with asyncio.timeout(0.02):
            await asyncio.get_running_loop().create_future()
    except TimeoutError:
        await answer(send, b"timed out")


async def do_task_group(scope: Message, receive: Receive, send: Send) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, number)) for number in range(3)]
    await answer(send, b"".join(b"%d" % task.result() for task in tasks))


async def do_cancelled_from_outside(scope: Message, receive: Receive, send: Send) -> None:
    kept["victim"] = asyncio.current_task()
    await note("victim-waits")
    await asyncio.get_running_loop().create_future()


async def do_cancel(scope: Message, receive: Receive, send: Send) -> None:
    kept.pop("victim").cancel()
    await answer(send, b"cancelled")


async def do_state(scope: Message, receive: Receive, send: Send) -> None:
    """The dict is each request's own, what is in it is everybody's."""
    scope["state"]["shared"]["requests"] += 1
    scope["state"]["number"] += 1
    await answer(send, f"{scope['state']['shared']['requests']} {scope['state']['number']}".encode())


async def do_spoil_the_scope(scope: Message, receive: Receive, send: Send) -> None:
    """Change everything that can be changed; no other request may see it."""
    seen = repr((sorted(scope), sorted(scope["extensions"]), sorted(scope["asgi"]), len(scope["headers"])))
    scope["spoilt"] = True
    scope["extensions"]["spoilt"] = {}
    scope["asgi"]["spoilt"] = True
    scope["headers"].append((b"spoilt", b""))
    await answer(send, seen.encode())


async def do_send_at_once(scope: Message, receive: Receive, send: Send) -> None:
    """Both parts of a body are sent at once; the first is waited for when the response is over."""
    size = int(scope["query_string"])
    await start(send)
    await asyncio.gather(body(send, b"x" * size, True), body(send, b"end"))
    await note("sent-at-once")
