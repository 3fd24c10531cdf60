"""The monitor's end of the channel with the arbiter."""

from __future__ import annotations

import asyncio
import itertools
import os
import time

from portway.server.messages import Channel, Command, Done, Stacks, State

ANSWER_S = 5.0
"""Seconds that the arbiter has to answer a command."""


class Link:
    """The monitor's view of the arbiter: its last word, and a way to ask it. Owned by the event loop.

    Attributes:
        state: What the arbiter said last.
        heard: When, in monotonic seconds.
        lost: Set when the arbiter is gone.

    Args:
        channel: The monitor's end of the socket pair with the arbiter.
    """

    def __init__(self, channel: Channel) -> None:
        self.state = State(os.getppid(), time.time(), time.monotonic())
        self.heard = time.monotonic()
        self.lost = asyncio.Event()
        self._channel = channel
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._stacks: dict[int, asyncio.Future[str]] = {}
        self._news = asyncio.Event()

    def listen(self) -> None:
        """Begin to hear what the arbiter says."""
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._hear)

    def _hear(self) -> None:
        for message in self._channel.receive():
            match message:
                case State():
                    self.state, self.heard = message, time.monotonic()
                    self._news.set()
                case Done() if waiting := self._waiting.get(message.number):
                    if not waiting.done():
                        waiting.set_result(message)
                case Stacks() if stack := self._stacks.get(message.pid):
                    if not stack.done():
                        stack.set_result(message.text)
        if self._channel.closed_by_peer:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self.lost.set()

    async def news(self) -> None:
        """Return when the arbiter has said something."""
        self._news.clear()
        await self._news.wait()

    async def ask(self, name: str, argument: str = "") -> Done:
        """Have the arbiter do something.

        Raises:
            TimeoutError: It does not answer.
        """
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.offer(Command(number, name, argument))
            return await asyncio.wait_for(self._waiting[number], ANSWER_S)
        finally:
            del self._waiting[number]

    async def stack(self, pid: int, patience_s: float) -> str | None:
        """Return what a worker is doing, or None when it does not answer in time."""
        waiting = self._stacks.get(pid)
        if waiting is None or waiting.done():
            waiting = self._stacks[pid] = asyncio.get_running_loop().create_future()
        try:
            if (await self.ask("stacks", str(pid))).error:
                return None
            return await asyncio.wait_for(asyncio.shield(waiting), patience_s)
        except TimeoutError:
            return None
        finally:
            if self._stacks.get(pid) is waiting:
                del self._stacks[pid]
