"""How many workers: a number, a range that the server chooses from, or `auto`."""

from __future__ import annotations

import re

from msgspec import Struct

from portway.config.kinds import Kind, Refused

_RANGE = re.compile(r"([0-9]{1,6})(?::([0-9]{1,6}))?", re.ASCII)


class WorkerRange(Struct, frozen=True):
    """How many workers there may be.

    Attributes:
        minimum: The fewest, and with how many the server starts.
        maximum: The most; 0 for the number of processors, which is not known before the server runs.
    """

    minimum: int
    maximum: int

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return self.minimum == self.maximum


class WorkerCount(Kind):
    """`4`, `2:8` or `auto`, each number from 1 to `most`."""

    metavar = "N|MIN:MAX|auto"

    def __init__(self, most: int) -> None:
        self.most = most

    def from_text(self, text: str) -> WorkerRange:
        if text.strip().lower() == "auto":
            return WorkerRange(1, 0)
        match = _RANGE.fullmatch(text.strip())
        if not match:
            raise Refused(f"must be a whole number {self.limits()}, a range such as 2:8, or auto")
        minimum = int(match[1])
        maximum = int(match[2]) if match[2] else minimum
        if not (1 <= minimum <= self.most and 1 <= maximum <= self.most):
            raise Refused(f"must be {self.limits()}")
        if minimum > maximum:
            raise Refused("must have the smaller number first")
        return WorkerRange(minimum, maximum)

    def from_toml(self, value: object) -> WorkerRange:
        if isinstance(value, WorkerRange):
            return value
        if isinstance(value, str) and not value.strip().isdecimal():
            return self.from_text(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"must be a whole number {self.limits()}, a range such as 2:8, or auto")
        if not 1 <= value <= self.most:
            raise Refused(f"must be {self.limits()}")
        return WorkerRange(value, value)

    def to_toml(self, value: WorkerRange) -> str:
        spelled = spell_workers(value)
        return spelled if value.is_fixed else f'"{spelled}"'

    def limits(self) -> str:
        return f"from 1 to {self.most}"


def spell_workers(value: WorkerRange) -> str:
    """Return the range as the option spells it."""
    if value == WorkerRange(1, 0):
        return "auto"
    return str(value.minimum) if value.is_fixed else f"{value.minimum}:{value.maximum}"
