"""Sockets to listen on: opened by the arbiter before it forks, shared by all workers.

TCP sockets get SO_REUSEADDR, so that a restart does not wait for old connections' TIME_WAIT; never
SO_REUSEPORT, which spreads connections by a hash and resets those queued at a worker that ends (but see
`relisten`). An IPv6 socket takes IPv6 only: `[::]:80` and `0.0.0.0:80` can then stand side by side, and an
IPv4 client never appears as a mapped address that an address check overlooks.

The file of a Unix socket has its owner and its permissions before anybody can connect: it is made under a
umask, and nobody listens on it until it has been given away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from msgspec import Struct

from portway.config.address import Address, InheritedSocket, TCPAddress, UnixAddress, parse_address
from portway.errors import BindError
from portway.server.activation import Passed
from portway.server.privileges import KEEP, user_name

_SO_ATTACH_FILTER = 26
"""Linux, socket(7); the socket module does not name it."""
_NO_SYN = b"".join(
    struct.pack("HBBI", code, true, false, operand)
    for code, true, false, operand in (
        (0x30, 0, 0, 13),  # load the byte of the TCP header that has the flags (RFC 9293, section 3.1)
        (0x45, 0, 1, 0x02),  # is SYN set?
        (0x06, 0, 0, 0),  # drop the packet
        (0x06, 0, 0, 0xFFFFFFFF),  # keep it
    )
)
"""A packet filter (Linux, Documentation/networking/filter.rst) that drops whatever opens a connection."""


class SocketFiles(Struct, frozen=True):
    """How the files of Unix sockets are made.

    Attributes:
        mode: Permission bits, or None to leave them to the umask.
        uid: The owner, or KEEP.
        gid: The group, or KEEP.
    """

    mode: int | None = None
    uid: int = KEEP
    gid: int = KEEP


class Role(Enum):
    """What a listener is for."""

    PLAIN = "plain"
    TLS = "tls"
    REDIRECT = "redirect"


class Place(Struct, frozen=True):
    """All that a connection has of the listener that it was accepted from.

    Attributes:
        role: What the listener is for.
        family: The family of its socket.
        name: What its socket is bound to, as `getsockname` returns it.
    """

    role: Role
    family: int
    name: Any


class Listener:
    """A listening, non-blocking socket and the file it may have left behind.

    Args:
        sock: The socket; the listener owns it.
        address: The address as the `bind` option spells it.
        role: What it is for. A Unix socket is never for TLS: whoever connects to it is on this machine.

    Attributes:
        number: What the workers call it among themselves, see `Listening`.
        place: What its connections are told of it.
    """

    def __init__(self, sock: socket.socket, address: Address, role: Role = Role.PLAIN) -> None:
        self.sock = sock
        self.address = address
        self.role = fitting(role, sock)
        self.number = 0
        self.place = Place(self.role, sock.family, sock.getsockname())
        self._owner = os.getpid()
        self._file = (
            _inode(address.path) if isinstance(address, UnixAddress) and not address.abstract else None
        )
        sock.setblocking(False)

    def __str__(self) -> str:
        """The address as the start line shows it, the port that the kernel picked included."""
        shown = self.url
        if isinstance(self.address, UnixAddress):
            return shown
        if self.role is Role.REDIRECT:
            shown += ", leading to https"
        return f"{self.address} ({shown})" if isinstance(self.address, InheritedSocket) else shown

    @property
    def url(self) -> str:
        """Where clients find it: "http://127.0.0.1:8000", "unix:/run/x.sock"."""
        where = self.place.name
        if isinstance(self.address, UnixAddress):
            return str(self.address)
        if self.place.family == socket.AF_UNIX:
            return f"unix:{os.fsdecode(where).replace(chr(0), '@')}"
        return f"{'https' if self.role is Role.TLS else 'http'}://{TCPAddress(where[0], where[1])}"

    @property
    def closed(self) -> bool:
        """Whether this process has closed it."""
        return self.sock.fileno() < 0

    def has_file(self, path: str) -> bool:
        """Whether the file there is that of this socket."""
        with contextlib.suppress(OSError):
            return self._file is not None and _inode(path) == self._file
        return False

    def turn_away(self) -> None:
        """Have the kernel ignore new connections, for all processes that have the socket and will close it.

        Closing resets what waits to be accepted, and between the last accept and the close more could
        come. After this nothing does; whoever tries a second time, as TCP does by itself, is refused cleanly.
        Only for a socket that nobody else will go on listening on. Linux; elsewhere it does nothing.
        """
        if sys.platform == "linux" and isinstance(self.address, TCPAddress):
            import ctypes  # late: for the end

            program = ctypes.create_string_buffer(_NO_SYN, len(_NO_SYN))
            count = len(_NO_SYN) // 8
            with contextlib.suppress(OSError):
                pointer = struct.pack(
                    "HxxxxxxP" if struct.calcsize("P") == 8 else "HxxP", count, ctypes.addressof(program)
                )
                self.sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)

    def close(self, keep_file: bool = False) -> None:
        """Close the socket; the process that made a Unix socket also removes its file. Idempotent.

        Args:
            keep_file: Leave the file: another server listens on the same socket.
        """
        self.sock.close()
        if keep_file:
            self._file = None
        if isinstance(self.address, UnixAddress) and self._file is not None and os.getpid() == self._owner:
            with contextlib.suppress(OSError):
                if self.has_file(self.address.path):  # else another server has put its own socket there
                    os.unlink(self.address.path)
            self._file = None


def fitting(role: Role, sock: socket.socket) -> Role:
    """Return what a listener of a role is for when it has this socket."""
    return Role.PLAIN if role is Role.TLS and sock.family == socket.AF_UNIX else role


def same_socket(one: Listener, other: Listener) -> bool:
    """Whether two listeners have one socket of the system between them, under two descriptors."""
    return os.path.samestat(os.fstat(one.sock.fileno()), os.fstat(other.sock.fileno()))


ListenTCP = Callable[[int, tuple[object, ...], int], socket.socket]
"""Opens a TCP socket: family, address, backlog."""


def open_listeners(
    addresses: Sequence[str],
    backlog: int,
    files: SocketFiles = SocketFiles(),  # noqa: B008 - frozen
    inherited: Mapping[str, list[int]] | None = None,
    passed: Sequence[Passed] = (),
    roles: Sequence[Role] = (),
) -> list[Listener]:
    """Listen on every address, or on none.

    Args:
        addresses: Values of the `bind` option.
        backlog: Connections that the kernel keeps waiting.
        files: How the files of Unix sockets are made.
        inherited: Descriptors of sockets that listen already, by address; those not asked for are closed.
        passed: Sockets that systemd passed. They take the place of the addresses with the first role, unless
            these name descriptors themselves.
        roles: What each address is for; without it, for the application in plain HTTP.

    Returns:
        At least one listener per address; a host name that has IPv4 and IPv6 addresses gives several.

    Raises:
        BindError: One of them cannot be listened on; the others are closed again.
    """
    listeners: list[Listener] = []
    given = dict(inherited or {})
    try:
        pairs = list(zip(addresses, roles or [Role.PLAIN] * len(addresses), strict=True))
        wanted = wanted_places(pairs, passed, given)
        for place, (address, role) in enumerate(wanted):
            # several of the same spelling (port 0) share what there is
            alike = sum(other == address for other, _ in wanted[place:])
            if descriptors := _take(given, str(address), alike):
                listeners += [Listener(_adopt(descriptor), address, role) for descriptor in descriptors]
            else:
                listeners += open_address(address, backlog, files, passed, role)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    for number, listener in enumerate(listeners):
        listener.number = number
    for descriptor in (descriptor for unwanted in given.values() for descriptor in unwanted):
        os.close(descriptor)
    return listeners


def wanted_places(
    pairs: Sequence[tuple[str, Role]], passed: Sequence[Passed], given: Iterable[str] = ()
) -> list[tuple[Address, Role]]:
    """Return what is to be listened on. See `open_listeners`."""
    wanted = [(parse_address(text), role) for text, role in pairs]
    if any(isinstance(address, InheritedSocket) for address, _ in wanted):
        return wanted
    # An older arbiter passes on what systemd gave to it.
    again = [address for address in map(parse_address, given) if isinstance(address, InheritedSocket)]
    instead = [*again, *(InheritedSocket(one.fd) for one in passed)]
    if not instead:
        return wanted
    first = pairs[0][1]
    return [*((address, first) for address in instead), *(pair for pair in wanted if pair[1] is not first)]


def _take(given: dict[str, list[int]], address: str, among: int) -> list[int]:
    """Take an address's share of the descriptors that were inherited for it."""
    descriptors = given.pop(address, [])
    share = -(-len(descriptors) // among)
    if descriptors[share:]:
        given[address] = descriptors[share:]
    return descriptors[:share]


def _adopt(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    return sock


def open_address(
    address: Address,
    backlog: int,
    files: SocketFiles,
    passed: Sequence[Passed],
    role: Role,
    listen: ListenTCP | None = None,
) -> list[Listener]:
    """Listen on one address; for the arguments see `open_listeners`.

    Args:
        listen: Opens a TCP socket, in place of `listen_tcp`.

    Raises:
        BindError: It cannot be listened on.
    """
    try:
        match address:
            case TCPAddress():
                return [Listener(sock, address, role) for sock in _open_tcp(address, backlog, listen)]
            case UnixAddress():
                return [Listener(_open_unix(address, backlog, files), address, role)]
            case InheritedSocket():
                return [Listener(take_over(fd), address, role) for fd in descriptors_of(address, passed)]
    except OSError as error:
        raise cannot_listen(error, address) from error


def cannot_listen(error: OSError, address: Address) -> BindError:
    """Return what is said of an address that cannot be listened on."""
    return BindError(str(address), _reason(error), _hint(error, address))


def _open_tcp(address: TCPAddress, backlog: int, listen: ListenTCP | None) -> list[socket.socket]:
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
                opened.append((listen or listen_tcp)(family, where, backlog))
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


def listen_tcp(
    family: int, where: tuple[object, ...], backlog: int, shares_port: bool = False
) -> socket.socket:
    """Listen on one address of the system.

    Args:
        family: AF_INET or AF_INET6.
        where: The address.
        backlog: Connections that the kernel keeps waiting.
        shares_port: Set SO_REUSEPORT first.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _open_unix(address: UnixAddress, backlog: int, files: SocketFiles) -> socket.socket:
    if not address.abstract:
        remove_stale(address.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made = None
    try:
        if address.abstract:
            sock.bind("\0" + address.path[1:])
        else:
            with _mode_of_new_files(files.mode):
                sock.bind(address.path)
            made = address.path
            if (files.uid, files.gid) != (KEEP, KEEP):
                _give(address.path, files)
        sock.listen(backlog)
    except OSError:
        sock.close()
        if made is not None:
            with contextlib.suppress(OSError):
                os.unlink(made)
        raise
    return sock


def _give(path: str, files: SocketFiles) -> None:
    try:
        os.chown(path, files.uid, files.gid, follow_symlinks=False)
    except PermissionError as error:
        raise NotGiven(error.errno, "this process may not give its socket away") from error


class NotGiven(PermissionError):
    """A Unix socket could be made, and not given to the owner that was asked for."""


@contextlib.contextmanager
def _mode_of_new_files(mode: int | None) -> Iterator[None]:
    """Let new files have exactly these bits. For the arbiter, which has one thread."""
    if mode is None:
        yield
        return
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def remove_stale(path: str) -> None:
    """Remove a socket that nobody answers on; anything else stays and makes the bind fail."""
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise FileExistsError(errno.EEXIST, "a file that is not a socket stands there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog answers EAGAIN, and is no stale socket
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            try:
                os.unlink(path)
            except PermissionError as error:
                raise ForeignSocket(
                    errno.EPERM, f"an old socket of {user_name(there.st_uid)} stands there"
                ) from error
        except PermissionError as error:
            raise ForeignSocket(errno.EPERM, f"a socket of {user_name(there.st_uid)} stands there") from error
        except OSError as error:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)) from error


class ForeignSocket(PermissionError):
    """A socket stands there that belongs to somebody else."""


def descriptors_of(address: InheritedSocket, passed: Sequence[Passed]) -> list[int]:
    """Return the descriptors that an `fd://` address names.

    Raises:
        BindError: systemd passed none of that name.
    """
    if isinstance(address.fd, int):
        return [address.fd]
    named = [one.fd for one in passed if one.name == address.fd]
    if not named:
        known = ", ".join(sorted({one.name for one in passed if one.name})) or "none"
        raise BindError(
            str(address),
            "systemd passed no socket of that name",
            f"FileDescriptorName= in the socket unit names it; passed were: {known}.",
        )
    return named


def take_over(fd: int) -> socket.socket:
    """Return a descriptor that listens already as a socket.

    Raises:
        OSError: It does not listen; it stays open.
    """
    sock = socket.socket(fileno=fd)
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
    if isinstance(error, NotGiven):
        return "--uds-owner and --user need root, or a group that this process is a member of."
    if isinstance(error, ForeignSocket) and isinstance(address, UnixAddress):
        return f"remove {address.path} as its owner or as root, or use another --bind."
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
