"""Kinds of values that are amounts: counts, sizes in bytes, seconds, permission bits.

A range belongs to every one of them, and every refusal names it.
"""

from __future__ import annotations

import re

from portway.config.kinds import Kind, Refused

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,18})\s?([kmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_SIZE_FORM = 'must be a number of bytes such as 65536, "64k" or "16M"'
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_REAL = re.compile(r"[+-]?(?:[0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})", re.ASCII)
_OCTAL = re.compile(r"(?:0o)?[0-7]{1,6}", re.ASCII)


class Count(Kind):
    """A whole number from `minimum` to `maximum`."""

    metavar = "N"

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def from_text(self, text: str) -> int:
        if not _WHOLE.fullmatch(text):
            raise Refused(f"must be a whole number {self.limits()}")
        return self._in_range(int(text))

    def from_toml(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"must be a whole number {self.limits()}")
        return self._in_range(value)

    def limits(self) -> str:
        return f"from {self.minimum} to {self.maximum}"

    def _in_range(self, number: int) -> int:
        if not self.minimum <= number <= self.maximum:
            raise Refused(f"must be {self.limits()}")
        return number


class Size(Count):
    """A number of bytes: a whole number, or text such as "64k", "16M", "1G" (powers of 1,024)."""

    metavar = "SIZE"

    def from_text(self, text: str) -> int:
        match = _SIZE.fullmatch(text.strip())
        if not match:
            raise Refused(_SIZE_FORM)
        return self._in_range(int(match[1]) * UNITS[match[2].lower()])

    def from_toml(self, value: object) -> int:
        if isinstance(value, str):
            return self.from_text(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(_SIZE_FORM)
        return self._in_range(value)

    def limits(self) -> str:
        return f"from {spell_size(self.minimum)} to {spell_size(self.maximum)}"


class Seconds(Kind):
    """A number of seconds, whole or not, from `minimum` to `maximum`."""

    metavar = "SECONDS"

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def from_text(self, text: str) -> float:
        if not _REAL.fullmatch(text.strip()):
            raise Refused(f"must be a number of seconds {self.limits()}")
        return self._in_range(float(text))

    def from_toml(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Refused(f"must be a number of seconds {self.limits()}")
        return self._in_range(value)

    def to_toml(self, value: float) -> str:
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)

    def limits(self) -> str:
        return f"from {self.minimum:g} to {self.maximum:g}"

    def _in_range(self, number: float) -> float:
        # The comparison comes before float(): an enormous TOML integer does not fit into one.
        # NaN fails every comparison, so it is refused too.
        if not self.minimum <= number <= self.maximum:
            raise Refused(f"must be {self.limits()} seconds")
        return float(number)


class Mode(Kind):
    """File permission bits, written in octal; None keeps what the process inherited."""

    metavar = "OCTAL"

    def from_text(self, text: str) -> int | None:
        if text == "":
            return None
        if not _OCTAL.fullmatch(text):
            raise Refused('must be an octal number such as "022"')
        return self.from_toml(int(text.removeprefix("0o"), 8))

    def from_toml(self, value: object) -> int | None:
        if isinstance(value, str):
            return self.from_text(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 0o777:
            raise Refused("must be from 0o000 to 0o777")
        return value

    def to_toml(self, value: int | None) -> str:
        return '""' if value is None else f"0o{value:03o}"

    def limits(self) -> str:
        return "from 0o000 to 0o777"


def spell_size(size: int) -> str:
    """Return a number of bytes as the options spell it: 1048576 is "1M", 8190 is "8190"."""
    for letter in "TGMk":
        unit = UNITS[letter.lower()]
        if size >= unit and size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)
