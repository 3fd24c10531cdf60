"""Where a value came from."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Origin(Struct, frozen=True):
    """The source of one value.

    Attributes:
        source: Which of the four kinds of sources.
        name: The option as that source spells it: "--workers", "WEB_CONCURRENCY", "workers".
        path: The file, for a key of a file or a variable of an environment file.
    """

    source: Literal["flag", "environment", "file", "default"]
    name: str
    path: str = ""

    @property
    def place(self) -> str:
        """Return what follows the name in a message: "in portway.toml", or "" for a flag."""
        if self.path:
            return f"in {self.path}"
        return "in the environment" if self.source == "environment" else ""

    @property
    def comment(self) -> str:
        """Return the origin as `--print-config` shows it."""
        if self.source == "default":
            return "default"
        if self.source == "file":
            return self.path
        kind = "environment" if self.source == "environment" else "flag"
        return f"{kind} {self.name}{self.path and f' in {self.path}'}"

    def __str__(self) -> str:
        """Return the setting with its place, as a message names one side of a conflict."""
        if self.source == "default":
            return f"{self.name} (default)"
        return f"{self.name} {self.place}".rstrip()
