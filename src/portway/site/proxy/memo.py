"""Heads of requests that were made before: a browser repeats its header block, byte for byte.

What is remembered depends on all but the target: fields, method, scheme, version, and the two addresses.
"""

from __future__ import annotations

from typing import Any, Final

from portway.site.proxy.fields import Request, read_request, start_of

_MOST: Final = 64
_MOST_BYTES: Final = 2048


class Memo:
    """Makes the requests of one route. Belongs to one event loop.

    Args:
        name, keep_host, strip: As for `read_request`.
    """

    def __init__(self, name: bytes, *, keep_host: bool, strip: str) -> None:
        self._name = name
        self._keep_host = keep_host
        self._strip = strip
        self._known: dict[tuple[Any, ...], Request] = {}

    def read(self, scope: dict[str, Any]) -> Request:
        """Return what `read_request` returns."""
        client, peer = scope["client"], scope.get("portway.peer")
        key = (
            scope["method"],
            scope["scheme"],
            scope["http_version"],
            client and client[0],
            peer and peer[0],
            "portway.peer" in scope,
            client == peer,
            *scope["headers"],
        )
        known = self._known.get(key)
        if known is not None:
            return Request(
                start_of(scope, self._strip),
                known.host,
                known.rest,
                known.chunked,
                known.has_body,
                known.repeatable,
                known.upgrade,
                known.loops,
            )
        request = read_request(scope, self._name, keep_host=self._keep_host, strip=self._strip)
        if len(request.rest) <= _MOST_BYTES:
            if len(self._known) == _MOST:
                self._known.clear()
            self._known[key] = request
        return request
