"""What trusted proxies say of a request: X-Forwarded-* and Forwarded."""

from collections.abc import Iterable
from typing import Protocol, TypedDict

class _Settings(Protocol):
    @property
    def forwarded_allow_ips(self) -> tuple[str, ...]: ...
    @property
    def forwarded_headers(self) -> tuple[str, ...]: ...
    @property
    def forwarded_hops(self) -> int: ...

class _Claim(TypedDict):
    """What `Trust.resolve` returns; None where nothing was said.

    `hidden`: there is a client, and nobody says who. `trouble`: what could not be used.
    """

    client: tuple[str, int] | None
    hidden: bool
    scheme: str | None
    host: bytes | None
    server: tuple[str, int] | None
    prefix: str | None
    trouble: str | None

class Trust:
    """Which peers are believed, in what, and how far back."""

    def __init__(self, settings: _Settings) -> None: ...
    def trusts(self, peer: str) -> bool:
        """Return whether fields of this peer, an address or `unix`, are honoured."""
    def resolve(
        self, fields: Iterable[tuple[bytes, bytes]], host: bytes = ..., scheme: str = ...
    ) -> _Claim | None:
        """Read the fields of a trusted peer, for tests; the engine itself makes no dict.

        Args:
            fields: (name, value) as they arrived.
            host: The value of Host.
            scheme: The connection's own.

        Returns:
            None when they say nothing. It never raises, whatever the values are.
        """
