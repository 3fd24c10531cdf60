"""Slots whose worker died, each with the time at which it gets a new one."""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from portway.server.backoff import Backoff
from portway.server.children import Generation


class Vacancy(Struct, frozen=True):
    """A slot that waits for a worker.

    Attributes:
        slot: Its index.
        generation: The generation it belongs to.
        due: When to start the worker, in monotonic seconds.
    """

    slot: int
    generation: Generation
    due: float


class Vacancies:
    """All slots that wait for a worker, and how often each has failed."""

    def __init__(self) -> None:
        self._open: dict[int, Vacancy] = {}
        self._backoffs: dict[int, Backoff] = {}

    def add(self, slot: int, generation: Generation, lived_s: float, now: float) -> float:
        """Have a slot filled again.

        Args:
            slot: The slot whose worker ended.
            generation: Its generation.
            lived_s: How long that worker had been running.
            now: Monotonic seconds.

        Returns:
            In how many seconds.
        """
        delay = self._backoffs.setdefault(slot, Backoff()).delay_after(lived_s)
        self._open[slot] = Vacancy(slot, generation, now + delay)
        return delay

    def all(self) -> list[Vacancy]:
        """Return every vacancy."""
        return list(self._open.values())

    def of(self, generation: Generation) -> list[Vacancy]:
        """Return a generation's vacancies."""
        return [vacancy for vacancy in self._open.values() if vacancy.generation is generation]

    def take_due(self, now: float) -> list[Vacancy]:
        """Return the vacancies whose time has come, and forget them (not how often they failed)."""
        due = [vacancy for vacancy in self._open.values() if vacancy.due <= now]
        for vacancy in due:
            del self._open[vacancy.slot]
        return due

    def wait(self, vacancy: Vacancy, due: float) -> None:
        """Have a vacancy filled at another time; infinity waits until somebody says otherwise."""
        self._open[vacancy.slot] = replace(vacancy, due=due)

    def forget(self, slot: int) -> None:
        """Forget a slot altogether: it is given back, and its next holder starts afresh."""
        self._open.pop(slot, None)
        self._backoffs.pop(slot, None)

    def next_due(self) -> float:
        """Return when the next one is due, in monotonic seconds; infinity when none waits."""
        return min((vacancy.due for vacancy in self._open.values()), default=math.inf)
