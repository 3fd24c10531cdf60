"""Access records, encoded from the raw bytes of the request and written whole lines at a time."""

from typing import Literal, Protocol, final

class _Target(Protocol):
    """Where records go: a descriptor, read anew for each write, so that it may change (log rotation)."""

    @property
    def fd(self) -> int: ...
    @property
    def format(self) -> Literal["combined", "json"]: ...

@final
class AccessLog:
    """What an engine keeps for its access log. It has no methods for Python.

    Args:
        target: Where the lines go. A descriptor that takes nothing for a while never holds up a request:
            lines are kept up to a size, then counted as lost.

    Raises:
        ValueError: The format is neither "combined" nor "json".
    """

    def __init__(self, target: _Target) -> None: ...
