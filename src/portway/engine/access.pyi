"""Access records, encoded from the raw bytes of the request and written whole lines at a time."""

from collections.abc import Sequence
from typing import Protocol, final

class _Piece(Protocol):
    """Bytes that are always the same, then a field by its name; see `portway.config.access_format`."""

    @property
    def literal(self) -> bytes: ...
    @property
    def field(self) -> str: ...
    @property
    def header(self) -> bytes: ...

class _Target(Protocol):
    """Where records go, and their form. The descriptor may change between two writes (log rotation)."""

    @property
    def fd(self) -> int: ...
    @property
    def json(self) -> bool: ...
    @property
    def pieces(self) -> Sequence[_Piece]: ...
    @property
    def exclude(self) -> Sequence[bytes]: ...

@final
class AccessLog:
    """What an engine keeps for its access log. It has no methods for Python.

    Args:
        target: Where the lines go. A descriptor that takes nothing for a while never holds up a request:
            lines are kept up to a size, then counted as lost.

    Raises:
        KeyError: A piece names a field that does not exist.
    """

    def __init__(self, target: _Target) -> None: ...
