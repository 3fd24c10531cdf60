"""Where the listener of `--redirect-bind` sends its clients: to the same place under https."""

from __future__ import annotations

import re
from collections.abc import Callable

_AUTHORITY = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::[0-9]*)?")


class Redirect:
    """Answers requests that came without TLS.

    Only to hosts that a certificate is for: whoever chooses the Host of a request that goes through a
    cache must not choose where others are sent.

    Args:
        knows: Tells whether one of the server's certificates is for a host.
        port: The port to send clients to.
    """

    def __init__(self, knows: Callable[[str], bool], port: int) -> None:
        self._knows = knows
        self._port = b"" if port == 443 else b":%d" % port

    def __call__(
        self, method: bytes, host: bytes | None, path: bytes, query: bytes
    ) -> tuple[int, bytes, bytes]:
        """Return status, field lines and text.

        Args:
            method: The request's.
            host: Its Host, or the authority of its target; None when it has none (HTTP/1.0).
            path: Its path as sent.
            query: Its query as sent, without the question mark.
        """
        found = _AUTHORITY.fullmatch(host or b"")
        if found is None or not path.startswith(b"/"):
            return 400, b"", b"this port leads to https, and the request does not say to which host\n"
        name = found[1].lower()
        if not self._knows(name.decode("ascii").strip("[]")):
            return 421, b"", b"this server is not there for that host\n"  # RFC 9110 section 15.5.20
        where = b"https://" + name + self._port + path + (b"?" + query if query else b"")
        # 308 keeps the method and the body (RFC 9110 section 15.4.9); older clients know 301 alone
        status = 301 if method in (b"GET", b"HEAD") else 308
        return status, b"Location: " + where + b"\r\n", b"over there, with TLS\n"
