"""Clients that have to beat a deadline of the server, on a machine that may stand still for seconds.

A client that was slower than the server waits has been cut, and rightly: what it saw proves nothing. So such
a test measures its own pauses, and begins again when one was too long::

    for pace in paced(0.4):
        with pace, Wire(address) as wire:
            wire.send(...)
            pace.over()
            assert ...

What fails although every pause was short enough is a failure, and so is what fails time after time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

ATTEMPTS = 8


class Pace:
    """The longest pause of a client in one attempt. A context manager.

    Args:
        limit_s: A pause as long as that excuses whatever goes wrong.
        last: Whether nothing is excused any more.
    """

    def __init__(self, limit_s: float, last: bool) -> None:
        self._limit_s = limit_s
        self._last = last
        self._measures = True
        self._since = 0.0
        self._longest_s = 0.0
        self.kept = False

    def step(self) -> None:
        """A pause has ended: the client has just done what the server waits for."""
        now = time.monotonic()
        if self._measures:
            self._longest_s = max(self._longest_s, now - self._since)
        self._since = now

    def over(self) -> None:
        """From here on the server does not wait for the client, or is meant to lose its patience."""
        self.step()
        self._measures = False

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.step()
        self.kept = kind is None
        late = self._longest_s >= self._limit_s and not self._last
        return late and isinstance(error, Exception)


def paced(limit_s: float) -> Iterator[Pace]:
    """Yield attempts until one was made.

    Args:
        limit_s: How long a client may pause at most; half of the server's deadline where steps follow each
            other, since the server may count a pause from a little before.
    """
    for number in range(ATTEMPTS):
        pace = Pace(limit_s, last=number == ATTEMPTS - 1)
        yield pace
        if pace.kept:
            return
