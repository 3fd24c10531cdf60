"""The servers behind a proxy route: whose turn it is, and which of them is left alone for a while.

No I/O and no clock: times come as arguments, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

REST_S = 10.0
"""How long a server that could not be connected to is asked only when no other is left."""


class Upstream:
    """One server.

    Args:
        url: "http://host:port", "https://host", or "http+unix://%2Frun%2Fapp.sock"; nothing is wrong with it.

    Attributes:
        url: The same, for logs.
        socket: The path of its Unix socket, or None.
        secure: Whether it speaks TLS.
        authority: What Host says to it.
        resting_until: Until when it is asked last.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self.secure = parts.scheme == "https"
        self.socket = unquote(parts.netloc) if parts.scheme == "http+unix" else None
        self.authority = b"localhost" if self.socket else parts.netloc.encode("idna")
        self.resting_until = 0.0


class Upstreams:
    """All servers of a route. Belongs to one event loop.

    Args:
        urls: At least one.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._all = [Upstream(url) for url in urls]
        self._turn = 0

    def __iter__(self) -> Iterator[Upstream]:
        return iter(self._all)

    def order(self, now: float) -> list[Upstream]:
        """Return all servers in the order to try them in: each in its turn, those that rest last."""
        if len(self._all) == 1:
            return self._all
        turn, self._turn = self._turn, (self._turn + 1) % len(self._all)
        rotated = self._all[turn:] + self._all[:turn]
        return sorted(rotated, key=lambda upstream: upstream.resting_until > now)

    @staticmethod
    def failed(upstream: Upstream, now: float) -> None:
        """Note that no connection could be made."""
        upstream.resting_until = now + REST_S
