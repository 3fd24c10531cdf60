"""What a worker is doing, in words: the Python stack of each thread and of each asyncio task.

A worker is asked by SIGURG, whose default action is none, and answers on its channel. Python runs the
handler between two instructions, so a worker that is busy in Python answers, and one that is stuck in
native code does not: that it does not is the answer.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import TYPE_CHECKING

from portway.server.messages import Channel, Stacks

if TYPE_CHECKING:
    import asyncio

ASK = signal.SIGURG
MAX_TEXT = 32 * 1024
"""Characters of an answer; what is beyond is left out and said to be."""


class StackTeller:
    """Answers ASK. Any thread may call `tell`; while one does, further calls do nothing.

    Args:
        channel: The worker's end of the socket pair with the arbiter.
        loop: The event loop whose tasks are shown, or None.
    """

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._channel = channel
        self._loop = loop
        self._telling = threading.Lock()

    def handle_signal(self, number: int, frame: FrameType | None) -> None:
        """Answer from a signal handler, which may interrupt anything, an answer under way included."""
        self.tell()

    def tell(self) -> None:
        """Send what every thread and task is doing now."""
        if not self._telling.acquire(blocking=False):
            return
        try:
            self._channel.offer(Stacks(os.getpid(), shortened(describe_stacks(self._loop))))
        finally:
            self._telling.release()


def describe_stacks(loop: asyncio.AbstractEventLoop | None = None) -> str:
    """Return the stacks of this process's threads, and of the tasks of an event loop."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        parts.append(f"thread {names.get(ident, ident)}\n")
        parts += traceback.format_stack(frame)
    if loop is not None:
        import asyncio  # it runs already; a WSGI worker need not have it

        from portway.server.stacks import of_task

        for task in asyncio.all_tasks(loop):
            parts += [f"task {task.get_name()}\n", of_task(task)]
    return "".join(parts)


def shortened(text: str) -> str:
    """Return the text, cut to its first MAX_TEXT characters."""
    if len(text) <= MAX_TEXT:
        return text
    return f"{text[:MAX_TEXT]}\n… {len(text) - MAX_TEXT} more characters\n"
