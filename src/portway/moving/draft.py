"""A portway.toml in the making, and what could not be put into it."""

from __future__ import annotations

from typing import Any

from portway.config.declared import BY_NAME
from portway.config.kinds import Refused
from portway.errors import shown


class Draft:
    """Options found so far. What an option does not take becomes a note, never a wrong line.

    Attributes:
        values: By option name.
        notes: Lines for whoever moves: what has no equivalent, and what is different.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.notes: list[str] = []

    def put(self, option: str, value: object, source: str) -> None:
        """Set an option.

        Args:
            option: Its name.
            value: As a TOML file would hold it.
            source: What it stands for in the other server's words, for a note.
        """
        self._put(option, value, source, as_text=False)

    def put_word(self, option: str, value: object, source: str) -> None:
        """Set an option to what a command line says: numbers and switches may be spelled out."""
        self._put(option, value, source, as_text=True)

    def _put(self, option: str, value: object, source: str, *, as_text: bool) -> None:
        declared = BY_NAME.get(option)
        if declared is None:
            self.note(source, f"this version of Portway has no {option}")
            return
        kind = declared.option.kind
        try:
            if as_text and isinstance(value, str) and not kind.many:
                self.values[option] = kind.from_text(value)
            else:
                self.values[option] = kind.from_toml(value)
        except Refused as refusal:
            self.note(source, f"{shown(value)} cannot be {option}, which {refusal}")

    def note(self, source: str, why: str) -> None:
        """Write down that something was left out, and why."""
        self.notes.append(f"{source}: {why}")

    def settle_clients(self, source: str) -> None:
        """Leave out the authorities of clients that are not asked: here, one without the other is refused.

        Args:
            source: What the authorities are called in the other server's words.
        """
        if "ca-certs" in self.values and self.values.get("cert-reqs", "none") == "none":
            del self.values["ca-certs"]
            self.note(source, "clients are not asked for a certificate: it had no effect")

    def toml(self) -> str:
        """Return the text of the file: what differs from the defaults, in the order of the reference."""
        lines = []
        for name, declared in BY_NAME.items():
            if name in self.values and self.values[name] != declared.default:
                lines.append(f"{name} = {declared.option.kind.to_toml(self.values[name])}")
        return "".join(f"{line}\n" for line in lines)
