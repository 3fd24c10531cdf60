"""Listening on other addresses while the old ones are still listened on: what a reload does with `bind`.

What stays keeps its open socket, with whatever waits in its backlog: an address that is spelled the same,
one that is spelled differently and leads to the same place, a descriptor that was passed. Only the rest is
opened. Nothing is closed here but what could be opened when something else could not.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from portway.config.address import Address, InheritedSocket, TCPAddress, UnixAddress
from portway.errors import BindError
from portway.server.activation import Passed
from portway.server.listeners import (
    Listener,
    Role,
    SocketFiles,
    cannot_listen,
    descriptors_of,
    fitting,
    listen_tcp,
    open_address,
    same_socket,
    take_over,
)


def relisten(
    wanted: Sequence[tuple[Address, Role]],
    backlog: int,
    files: SocketFiles,
    passed: Sequence[Passed],
    held: Iterable[Listener],
) -> list[Listener]:
    """Listen on every address, or open nothing.

    Args:
        wanted: The addresses, and what each is for.
        backlog: Connections that the kernel keeps waiting at a new socket.
        files: How the files of new Unix sockets are made.
        passed: Sockets that systemd passed when the server started.
        held: What is open already.

    Returns:
        Those of `held` that stay as they are, and new ones. A new one may have the socket of a held one: see
        `same_socket`.

    Raises:
        BindError: One of the addresses cannot be listened on.
    """
    others = list(held)
    kept = [
        _claim(others, address, role, among=wanted[place:].count((address, role)))
        for place, (address, role) in enumerate(wanted)
    ]
    opened: list[Listener] = []
    listeners: list[Listener] = []
    try:
        for (address, role), stay in zip(wanted, kept, strict=True):
            fresh = [] if stay else _open(address, backlog, files, passed, role, others)
            opened += fresh
            listeners += stay or fresh
    except BaseException:
        for listener in opened:
            listener.close(keep_file=any(same_socket(listener, other) for other in others))
        raise
    return listeners


def _claim(others: list[Listener], address: Address, role: Role, among: int) -> list[Listener]:
    """Take what an address has already, or its share of that where it is named several times (port 0)."""
    alike = [one for one in others if one.address == address and one.role is fitting(role, one.sock)]
    share = alike[: -(-len(alike) // among)]
    others[:] = [one for one in others if one not in share]
    return share


def _open(
    address: Address,
    backlog: int,
    files: SocketFiles,
    passed: Sequence[Passed],
    role: Role,
    others: Sequence[Listener],
) -> list[Listener]:
    try:
        if isinstance(address, InheritedSocket):
            descriptors = descriptors_of(address, passed)
            return [Listener(_passed(fd, address, passed, others), address, role) for fd in descriptors]
        if isinstance(address, UnixAddress):
            for other in others:
                if other.has_file(address.path) or other.address == address:
                    return [Listener(other.sock.dup(), address, role)]
        return open_address(address, backlog, files, passed, role, partial(_listen, others=others))
    except OSError as error:
        raise cannot_listen(error, address) from error


def _passed(
    fd: int, address: InheritedSocket, passed: Sequence[Passed], others: Sequence[Listener]
) -> socket.socket:
    """Return a socket that was passed. Any other descriptor may be one of this server's own."""
    for other in others:
        if isinstance(other.address, InheritedSocket) and other.sock.fileno() == fd:
            return other.sock.dup()
    if fd not in [one.fd for one in passed]:
        raise BindError(
            str(address),
            "a descriptor is passed to a server when it starts, and not at a reload",
            "a restart by whoever passes it takes it in.",
        )
    sock = take_over(fd)
    try:
        return sock.dup()
    finally:
        sock.detach()  # that one stays open whatever becomes of the listener


def _listen(
    family: int, where: tuple[object, ...], backlog: int, others: Sequence[Listener]
) -> socket.socket:
    """Listen on one address, where this server may listen already.

    The kernel lets two sockets listen on 0.0.0.0 and 127.0.0.1, the same port, only when both have
    SO_REUSEPORT. Since another process of the same user could then join them, they have it for a moment only.
    """
    ours = [one for one in others if one.place.family == family and isinstance(one.address, TCPAddress)]
    for other in ours:
        if other.place.name == where:
            return other.sock.dup()
    beside = [other.sock for other in ours if other.place.name[1] == where[1]]
    with _sharing_port(beside):
        sock = listen_tcp(family, where, backlog, shares_port=bool(beside))
    if beside:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    return sock


@contextlib.contextmanager
def _sharing_port(sockets: Sequence[socket.socket]) -> Iterator[None]:
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        yield
    finally:
        for sock in sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
