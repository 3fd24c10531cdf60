"""Where a thread or a task is, as lines for the log. The server's own frames below it are left out.

Of a task that waits for other tasks or threads, those that it holds in a local variable are shown too: a
request often does its work in one (a task group, a thread pool).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any

BELOW = frozenset({"__main__", "asyncio", "click", "contextlib", "portway", "runpy", "threading"})
"""Packages whose frames are left out below the application's first one."""

MOST_FRAMES = 100
MOST_OTHERS = 10
NO_FRAME = "  in code that is not Python's\n"


def of_thread(ident: int) -> str:
    """Return the stack of a thread, the innermost call last.

    Args:
        ident: `threading.get_ident` of it.
    """
    frame = sys._current_frames().get(ident)
    frames = list(_outwards(frame))[::-1]
    while frames and _package(frames[0]) in BELOW:
        frames.pop(0)
    return _lines(frames) or NO_FRAME


def of_task(task: asyncio.Task[Any]) -> str:
    """Return the stack of a task that waits, through the coroutines it awaits, the innermost last."""
    return "".join(_of_task(task, {task}))


def _of_task(task: asyncio.Task[Any], seen: set[object]) -> Iterator[str]:
    frames, last = _awaited(task.get_coro())
    yield _lines(frames) or NO_FRAME
    others = [other for other in gc.get_referents(last) if isinstance(other, asyncio.Task)]
    for other in [*others, *(_held_by(frames[-1]) if frames else [])]:
        if other in seen or len(seen) > MOST_OTHERS:
            continue
        seen.add(other)
        if isinstance(other, asyncio.Task):
            if not other.done():
                yield f"which waits for task {other.get_name()!r}\n"
                yield from _of_task(other, seen)
        elif other.ident is not None and other.is_alive():
            yield f"which may wait for thread {other.name!r}\n"
            yield of_thread(other.ident)


def _awaited(awaitable: Any) -> tuple[list[FrameType], object]:
    """Follow a coroutine to what it waits for; return the frames on the way and the last object."""
    frames: list[FrameType] = []
    while len(frames) < MOST_FRAMES:
        kind = _kind(awaitable)
        if kind is None:
            # an asynchronous generator hides behind the awaitable that its `__anext__` returned
            inner = next((each for each in gc.get_referents(awaitable) if _kind(each)), None)
            if inner is None:
                break
            awaitable = inner
            continue
        frame = getattr(awaitable, f"{kind}_frame")
        if frame is not None:
            frames.append(frame)
        awaitable = getattr(awaitable, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
    return frames, awaitable


def _kind(awaitable: object) -> str | None:
    return next((kind for kind in ("cr", "gi", "ag") if hasattr(awaitable, f"{kind}_frame")), None)


def _held_by(frame: FrameType) -> list[asyncio.Task[Any] | threading.Thread]:
    """Return the tasks and threads in a frame's variables, and those of task groups and executors there."""
    found: list[asyncio.Task[Any] | threading.Thread] = []
    for value in list(frame.f_locals.values()):
        members: Iterable[object] = (value,)
        if isinstance(value, ThreadPoolExecutor):
            members = list(value._threads) if len(value._threads) == 1 else ()
        elif isinstance(value, (list, tuple, set, frozenset)):
            members = list(value)
        elif isinstance(getattr(value, "_tasks", None), (set, list)):
            members = list(value._tasks)
        found += [member for member in members if isinstance(member, (asyncio.Task, threading.Thread))]
    return found


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _lines(frames: list[FrameType]) -> str:
    """Return what a traceback would show of the frames."""
    numbered = ((frame, frame.f_lineno) for frame in frames[-MOST_FRAMES:])
    return "".join(traceback.StackSummary.extract(numbered).format())
