"""Sockets to listen on: opened by the arbiter before it forks, shared by all workers.

TCP sockets get SO_REUSEADDR, so that a restart does not wait for old connections' TIME_WAIT; never
SO_REUSEPORT, which spreads connections by a hash and resets those queued at a worker that ends. An
IPv6 socket takes IPv6 only: `[::]:80` and `0.0.0.0:80` can then stand side by side, and an IPv4
client never appears as a mapped address that an address check overlooks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Mapping

from portway.config.address import Address, InheritedSocket, TCPAddress, UnixAddress, parse_address
from portway.errors import BindError
from portway.server.privileges import Identity


class Listener:
    """A listening, non-blocking socket and the file it may have left behind.

    Args:
        sock: The socket; the listener owns it.
        address: The address as the `bind` option spells it.
    """

    def __init__(self, sock: socket.socket, address: Address) -> None:
        self.sock = sock
        self.address = address
        self._owner = os.getpid()
        self._file = _inode(address.path) if isinstance(address, UnixAddress) else None
        sock.setblocking(False)

    def __str__(self) -> str:
        """The address as the start line shows it, the port that the kernel picked included."""
        where = self.sock.getsockname()
        if isinstance(self.address, UnixAddress):
            return str(self.address)
        if self.sock.family == socket.AF_UNIX:
            shown = f"unix:{os.fsdecode(where)}"
        else:
            shown = f"http://{TCPAddress(where[0], where[1])}"
        return f"{self.address} ({shown})" if isinstance(self.address, InheritedSocket) else shown

    def close(self, keep_file: bool = False) -> None:
        """Close the socket; the process that made a Unix socket also removes its file. Idempotent.

        Args:
            keep_file: Leave the file: another server listens on the same socket.
        """
        self.sock.close()
        if keep_file:
            self._file = None
        if isinstance(self.address, UnixAddress) and os.getpid() == self._owner and self._file is not None:
            with contextlib.suppress(OSError):
                # Another server may have put its own socket there meanwhile.
                if _inode(self.address.path) == self._file:
                    os.unlink(self.address.path)
            self._file = None


def open_listeners(
    addresses: tuple[str, ...],
    backlog: int,
    owner: Identity | None,
    inherited: Mapping[str, list[int]] | None = None,
) -> list[Listener]:
    """Listen on every address, or on none.

    Args:
        addresses: Values of the `bind` option.
        backlog: Connections that the kernel keeps waiting.
        owner: To whom the file of a Unix socket is given.
        inherited: Descriptors of sockets that listen already, by address; those not asked for are closed.

    Returns:
        At least one listener per address; a host name that has IPv4 and IPv6 addresses gives several.

    Raises:
        BindError: One of them cannot be listened on; the others are closed again.
    """
    listeners: list[Listener] = []
    given = dict(inherited or {})
    try:
        for text in addresses:
            address = parse_address(text)
            if descriptors := given.pop(str(address), None):
                listeners += [Listener(_adopt(descriptor), address) for descriptor in descriptors]
            else:
                listeners += _open(address, backlog, owner)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    for descriptor in (descriptor for unwanted in given.values() for descriptor in unwanted):
        os.close(descriptor)
    return listeners


def _adopt(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def _open(address: Address, backlog: int, owner: Identity | None) -> list[Listener]:
    try:
        match address:
            case TCPAddress():
                return [Listener(sock, address) for sock in _open_tcp(address, backlog)]
            case UnixAddress():
                return [Listener(_open_unix(address, backlog, owner), address)]
            case InheritedSocket():
                return [Listener(_take_over(address), address)]
    except OSError as error:
        raise BindError(str(address), _reason(error), _hint(error, address)) from error


def _open_tcp(address: TCPAddress, backlog: int) -> list[socket.socket]:
    """Listen on every address that a host name has, as far as this machine has them."""
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
    )
    places = list(dict.fromkeys((family, where) for family, _, _, _, where in found))
    if address.port == 0:
        places = places[:1]  # the kernel would pick a different port for each
    opened: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, where in places:
            try:
                opened.append(_listen_tcp(family, where, backlog))
            except OSError as error:
                # "localhost" names ::1 as well, on machines that have no IPv6 too.
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                absent = error
    except OSError:
        for sock in opened:
            sock.close()
        raise
    if not opened and absent is not None:
        raise absent
    return opened


def _listen_tcp(family: int, where: tuple[object, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _open_unix(address: UnixAddress, backlog: int, owner: Identity | None) -> socket.socket:
    remove_stale(address.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.path)
        if owner is not None:
            owner.own(address.path)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def remove_stale(path: str) -> None:
    """Remove a socket that nobody answers on; anything else stays and makes the bind fail."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is not a socket stands there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog answers EAGAIN, and is no stale socket
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError as error:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from error


def _take_over(address: InheritedSocket) -> socket.socket:
    sock = socket.socket(fileno=address.fd)
    try:
        if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.EINVAL, "the descriptor is a socket, but not a listening stream socket")
        sock.set_inheritable(False)
    except OSError:
        sock.detach()  # not ours to close
        raise
    return sock


def _inode(path: str) -> tuple[int, int]:
    there = os.lstat(path)
    return there.st_dev, there.st_ino


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def _hint(error: OSError, address: Address) -> str | None:
    if isinstance(error, socket.gaierror):
        return "the host name has no address on this machine; 0.0.0.0 or [::] listens on all of them."
    match error.errno, address:
        case errno.EADDRINUSE, TCPAddress(port=port):
            return f"somebody listens there; `ss -ltnp 'sport = :{port}'` shows who. Or use another --bind."
        case errno.EADDRINUSE, UnixAddress(path=path):
            return f"a server answers there already; `ss -lxp src {path}` shows who."
        case errno.EEXIST, UnixAddress(path=path):
            return f"look at {path}, and remove it if nobody needs it."
        case errno.EACCES | errno.EPERM, TCPAddress(port=port) if port < 1024:
            return "a port below 1024 needs root or the capability CAP_NET_BIND_SERVICE."
        case errno.EACCES | errno.EPERM | errno.ENOENT, UnixAddress(path=path):
            return f"the directory {os.path.dirname(os.path.abspath(path))} must exist and be writable."
        case errno.EADDRNOTAVAIL, _:
            return "the address must be one of this machine's (`ip address` lists them), 0.0.0.0 or [::]."
        case ((errno.EBADF | errno.ENOTSOCK | errno.EINVAL), InheritedSocket()):
            return "whoever starts the server must open a listening socket there and let it be inherited."
        case _:
            return None
