"""Where a thread or a task is, as the log shows it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from portway.server.stacks import NO_FRAME, of_task, of_thread


def wait_here(started: threading.Event, over: threading.Event) -> None:
    started.set()
    over.wait()


def test_a_thread_is_shown_without_what_is_below_the_application() -> None:
    started, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=wait_here, args=(started, over))
    thread.start()
    started.wait()
    stack = of_thread(thread.ident or 0)
    over.set()
    thread.join()
    assert "in wait_here" in stack
    assert "_bootstrap" not in stack


def test_a_thread_that_is_gone_has_no_stack() -> None:
    assert of_thread(1) == NO_FRAME


async def innermost(future: asyncio.Future[None]) -> None:
    await future


async def numbers(future: asyncio.Future[None]) -> AsyncIterator[int]:
    await innermost(future)
    yield 1


async def outermost(future: asyncio.Future[None]) -> None:
    async for _ in numbers(future):
        pass


async def group_of(future: asyncio.Future[None]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(outermost(future), name="child")


async def stack_of(task: asyncio.Task[None], future: asyncio.Future[None]) -> str:
    for _ in range(3):
        await asyncio.sleep(0)
    stack = of_task(task)
    future.set_result(None)
    await task
    return stack


def test_a_task_is_shown_through_all_that_it_awaits() -> None:
    async def main() -> str:
        future = asyncio.get_running_loop().create_future()
        return await stack_of(asyncio.create_task(outermost(future)), future)

    stack = asyncio.run(main())
    assert stack.index("in outermost") < stack.index("in numbers") < stack.index("in innermost")


def test_a_task_that_waits_for_its_group_is_shown_with_it() -> None:
    async def main() -> str:
        future = asyncio.get_running_loop().create_future()
        return await stack_of(asyncio.create_task(group_of(future)), future)

    stack = asyncio.run(main())
    assert stack.index("in group_of") < stack.index("waits for task 'child'") < stack.index("in innermost")


def test_a_task_that_waits_for_a_thread_is_shown_with_it() -> None:
    started, over = threading.Event(), threading.Event()

    async def in_thread() -> None:
        with ThreadPoolExecutor(1, "pool") as executor:
            await asyncio.get_running_loop().run_in_executor(executor, wait_here, started, over)

    async def main() -> str:
        task = asyncio.create_task(in_thread())
        await asyncio.to_thread(started.wait)
        stack = of_task(task)
        over.set()
        await task
        return stack

    stack = asyncio.run(main())
    assert stack.index("in in_thread") < stack.index("thread 'pool_0'") < stack.index("in wait_here")
