"""Which certificate is for which name: exact names first, then wildcards (RFC 6125 section 6.4.3)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Names(Generic[T]):
    """Finds what belongs to a host name or an address. Of two that claim one name, the first has it.

    Args:
        entries: Something, the DNS names that it is for, and the IP addresses.
    """

    def __init__(self, entries: Iterable[tuple[T, Iterable[str], Iterable[str]]]) -> None:
        self._exact: dict[str, T] = {}
        for entry, names, addresses in entries:
            for name in names:
                self._exact.setdefault(name.lower().rstrip("."), entry)
            for address in addresses:
                self._exact.setdefault(_address(address) or address, entry)

    def find(self, name: str) -> T | None:
        """Return what belongs to a name, or None.

        Args:
            name: A host name, or an IP address without brackets.
        """
        plain = _address(name) or name.lower().rstrip(".")
        if plain.startswith("*"):
            return None
        return self._exact.get(plain) or self._exact.get(f"*.{plain.partition('.')[2]}")


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
