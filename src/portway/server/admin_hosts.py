"""Whose name a request to the admin listener may bear: the defence against DNS rebinding.

A page in an operator's browser can have its own name resolve to the admin address and then read what it
answers, as of one origin. The Host of such a request is the page's name. So names must be known; an IP
address cannot be made to point elsewhere, and is always taken.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable

from portway.config.address import TCPAddress, parse_address

ANY = "*"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::[0-9]*)?", re.ASCII)


class AdminHosts:
    """The names that count.

    Args:
        bind: The admin listener's address; nobody is asked for a name on a Unix socket.
        more: Further names; "*" is any.
    """

    def __init__(self, bind: str, more: Iterable[str]) -> None:
        address = parse_address(bind)
        self._any = not isinstance(address, TCPAddress) or ANY in more
        own = [address.host] if isinstance(address, TCPAddress) else []
        self._names = {_plain(name) for name in ("localhost", socket.gethostname(), *own, *more)}

    def known(self, host: bytes | None) -> bool:
        """Tell whether a request may be answered.

        Args:
            host: Its Host; None when it has none (HTTP/1.0, which no browser speaks).
        """
        if self._any or host is None:
            return True
        found = _HOST.fullmatch(host.decode("latin-1"))
        if found is None:
            return False
        name = _plain(found[1])
        return name in self._names or name.endswith(".localhost") or _is_address(name)


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _is_address(name: str) -> bool:
    """Tell whether this is an IP address as browsers write it, and not a name that looks like one."""
    try:
        ipaddress.ip_address(name.strip("[]") if name.startswith("[") else name)
    except ValueError:
        return False
    return True
