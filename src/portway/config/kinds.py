"""The kinds of values an option can have: reading them from text and from TOML, and writing them.

Text is what a flag or an environment variable holds; TOML arrives with a type, and a wrong type is
refused rather than converted (`workers = "4"` is an error, not 4). A kind raises `Refused` with what
the value must be; where the value came from is added by the caller, who knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})

Check = Callable[[str], str]
"""Returns the value in its normal spelling, or raises Refused."""


class Refused(ValueError):
    """The value is not one of this kind; the text says what it must be ("must be …").

    Attributes:
        offender: The one item at fault when the value holds several, else None.
    """

    offender: object = None


class Kind:
    """Reads and writes one kind of value. The base reads any text.

    Attributes:
        metavar: What `--help` shows in the value's place.
        many: Whether the option takes several values: its flag is repeated, its TOML is an array.
    """

    metavar = "TEXT"
    many = False

    def from_text(self, text: str) -> Any:
        """Return the value that a flag or an environment variable spells, or raise Refused."""
        raise NotImplementedError

    def from_toml(self, value: object) -> Any:
        """Return the value that a TOML file holds, or raise Refused."""
        raise NotImplementedError

    def to_toml(self, value: Any) -> str:
        """Return the TOML spelling of a value; reading it back gives the same value."""
        return str(value)

    def limits(self) -> str:
        """Return the range in words for the reference page, or "" when there is none."""
        return ""


class Text(Kind):
    """A line of text; `check` refuses or rewrites it."""

    def __init__(self, metavar: str = "TEXT", check: Check | None = None) -> None:
        self.metavar = metavar
        self._check = check

    def from_text(self, text: str) -> str:
        if not all(letter.isprintable() for letter in text):
            raise Refused("must not contain control characters or bytes that are not UTF-8")
        return self._check(text) if self._check else text

    def from_toml(self, value: object) -> str:
        if not isinstance(value, str):
            raise Refused("must be a string")
        return self.from_text(value)

    def to_toml(self, value: str) -> str:
        # JSON's escapes are TOML's, and Text refuses what JSON leaves alone but TOML does not (DEL).
        return json.dumps(value, ensure_ascii=False)


class Choice(Text):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        super().__init__("|".join(words))
        self.words = words

    def from_text(self, text: str) -> str:
        if text not in self.words:
            raise Refused("must be " + " or ".join([", ".join(self.words[:-1]), self.words[-1]]))
        return text


class Numbered(Choice):
    """One of a few words, or its number counted from 0, as gunicorn and uvicorn have it."""

    def from_text(self, text: str) -> str:
        return super().from_text(self.words[int(text)] if text in map(str, range(len(self.words))) else text)

    def from_toml(self, value: object) -> str:
        return super().from_toml(str(value) if type(value) is int else value)


class Switch(Kind):
    """On or off: `--name` and `--no-name`, `true` and `false`."""

    metavar = ""

    def from_text(self, text: str) -> bool:
        word = text.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise Refused("must be true or false (or 1, 0, yes, no, on, off)")

    def from_toml(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise Refused("must be true or false")
        return value

    def to_toml(self, value: bool) -> str:
        return "true" if value else "false"


class Many(Kind):
    """Several values of one kind: a repeated flag, a TOML array, a comma list in the environment.

    Args:
        of: The kind of each value.
        minimum: The fewest values allowed.
    """

    many = True

    def __init__(self, of: Text, minimum: int = 0) -> None:
        self._of = of
        self._minimum = minimum
        self.metavar = of.metavar

    def from_text(self, text: str) -> tuple[str, ...]:
        return self._collect([part.strip() for part in text.split(",") if part.strip()])

    def from_flags(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the values of a flag given several times; a comma inside one is part of it."""
        return self._collect(list(values))

    def from_toml(self, value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            return self._collect([value])
        if not isinstance(value, list):
            raise Refused("must be a string or an array of strings")
        return self._collect(value)

    def to_toml(self, value: tuple[str, ...]) -> str:
        return "[" + ", ".join(self._of.to_toml(item) for item in value) + "]"

    def _collect(self, values: list[Any]) -> tuple[str, ...]:
        items = tuple(self._item(value) for value in values)
        if len(items) < self._minimum:
            raise Refused(f"must hold at least {self._minimum} value")
        for position, item in enumerate(items):
            if item in items[:position]:
                raise _refused("must not hold a value twice", item)
        return items

    def _item(self, value: object) -> str:
        try:
            return self._of.from_toml(value)
        except Refused as refusal:
            raise _refused(str(refusal), value) from None


class Listed(Many):
    """Several values; a comma separates them on the command line, too, as in gunicorn and uvicorn."""

    def from_flags(self, values: tuple[str, ...]) -> tuple[str, ...]:
        return self.from_text(",".join(values))

    def from_toml(self, value: object) -> tuple[str, ...]:
        return self.from_text(value) if isinstance(value, str) else super().from_toml(value)


def _refused(problem: str, offender: object) -> Refused:
    refusal = Refused(problem)
    refusal.offender = offender
    return refusal
