"""Addresses to listen on: `HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `unix:PATH`, `unix:@NAME`, `fd://N`, `fd://NAME`.

Strict, because a mistyped address that is taken for something else listens where nobody looks:
a bare host or port, a URL, a number that only looks like an IPv4 address are all refused.
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from portway.config.kinds import Refused

FORMS = "must be HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, unix:@NAME, fd://N or fd://NAME"
MAX_PORT = 65_535
MAX_UNIX_PATH = 107
"""Bytes in a Unix socket's path: Linux has 108 with the final NUL. (macOS has 104.)"""

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,254}", re.ASCII)


class TCPAddress(Struct, frozen=True):
    """A host (an IP address, without brackets, or a name) and a port; port 0 lets the kernel pick."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(Struct, frozen=True):
    """A path in the file system, a relative one starting at the working directory; or @NAME.

    @NAME is an abstract socket (Linux, unix(7)): it has no file, so no permissions either, and whoever is
    in the same network namespace can connect.
    """

    path: str

    @property
    def abstract(self) -> bool:
        """Whether there is no file."""
        return self.path.startswith("@")

    def __str__(self) -> str:
        return f"unix:{self.path}"


class InheritedSocket(Struct, frozen=True):
    """A descriptor that is a listening socket already, opened by whoever started the server.

    Attributes:
        fd: Its number, or the name that systemd knows it by.
    """

    fd: int | str

    def __str__(self) -> str:
        return f"fd://{self.fd}"


Address = TCPAddress | UnixAddress | InheritedSocket


def parse_address(text: str) -> Address:
    """Return what an address names.

    Args:
        text: One value of the `bind` option.

    Raises:
        Refused: It has none of the forms; the text says which part is wrong.
    """
    if text.startswith("unix:"):
        return UnixAddress(_unix_path(text.removeprefix("unix:")))
    if text.startswith("fd:"):
        return InheritedSocket(_descriptor(text))
    if "://" in text:
        raise Refused(f"{FORMS} (an address is not a URL)")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise Refused(FORMS)
    return TCPAddress(_host(host), _port(port))


def _unix_path(path: str) -> str:
    if path.startswith("//"):  # unix:///run/x.sock, as URLs have it
        path = path.removeprefix("//")
        if not path.startswith("/"):
            raise Refused("must have an absolute path after unix://")
    if not path or path == "@" or path.endswith("/") or "\0" in path:
        raise Refused("must name a file after unix:")
    if len(path.encode()) > MAX_UNIX_PATH:
        raise Refused(f"must have a path of at most {MAX_UNIX_PATH} bytes (it has {len(path.encode())})")
    return path


def _descriptor(text: str) -> int | str:
    number = text.removeprefix("fd://")
    if number != text and _NAME.fullmatch(number):
        return number
    if number == text or not _NUMBER.fullmatch(number) or not 3 <= int(number) <= 2**31 - 1:
        raise Refused("must name a descriptor from 3 on after fd:// (0, 1 and 2 are the standard streams)")
    return int(number)


def _port(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MAX_PORT:
        raise Refused(f"must have a port from 0 to {MAX_PORT}")
    return int(text)


def _host(text: str) -> str:
    if text == "":
        return "0.0.0.0"  # as gunicorn reads ":8000"
    if text.startswith("[") and text.endswith("]"):
        return _ipv6(text[1:-1])
    if ":" in text:
        raise Refused("must have an IPv6 address in brackets, as [::1]:8000")
    labels = text.removesuffix(".").split(".")
    if labels[-1].isdigit():  # RFC 3696 section 2: no host name ends in an all-numeric label
        return _ipv4(text)
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("must have a host name or an IP address before the colon")
    return text.lower()


def _ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        raise Refused("must have a whole IPv4 address, as 127.0.0.1") from None


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise Refused("must have an IPv6 address between the brackets") from None
    if address.ipv4_mapped and not address.scope_id:
        return f"::ffff:{address.ipv4_mapped}"  # RFC 5952, section 5; Python does so itself from 3.13 on
    return str(address)
