"""The declaration of one option; flag, variable, TOML key, help and reference page come from it."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from portway.config.kinds import Kind

ENV_PREFIX = "PORTWAY_"


class Option(Struct, frozen=True):
    """What stands beside a field of `Settings`.

    Attributes:
        flags: The flag, long spelling last. No flag: an argument of the command, named by `name`.
        kind: How its values are read and written, with their limits.
        help: One or two sentences for `--help` and the reference page.
        unit: The unit of the value, where it has one.
    """

    flags: tuple[str, ...]
    kind: Kind
    help: str
    unit: str = ""

    @property
    def name(self) -> str:
        """The TOML key, and the long flag without its dashes: "limit-request-line"."""
        return self.flags[-1].removeprefix("--")

    @property
    def flag(self) -> str:
        """The option as messages name it on the command line: "--workers", or "APP"."""
        return self.flags[-1] if self.flags[-1].startswith("-") else self.flags[-1].upper()

    @property
    def variable(self) -> str:
        """The environment variable: "PORTWAY_LIMIT_REQUEST_LINE"."""
        return ENV_PREFIX + self.name.replace("-", "_").upper()


class Declared(Struct, frozen=True):
    """An option together with the place in `Settings` that it fills.

    Attributes:
        option: The declaration.
        group: The field of `Settings` that holds the group: "limits".
        field: The field inside the group: "request_line".
        topic: The heading under which help and the reference page show it.
        default: The value when nobody sets it.
    """

    option: Option
    group: str
    field: str
    topic: str
    default: Any
