"""Where connections come from: listeners, and other workers."""

import socket
import ssl
from collections.abc import Mapping
from typing import Any, Protocol

from portway.engine.tls import TLS
from portway.engine.transfer import Transferor

class TLSPolicy(Protocol):
    """What the engine asks about TLS. Any engine thread may call any method."""

    @property
    def context(self) -> ssl.SSLContext:
        """The context that a connection begins with."""

    def environ(self, layer: TLS, /) -> dict[str, Any]:
        """Return what each environ of a connection has beside the usual. Called once for each."""

    def extension(self, layer: TLS, /) -> dict[str, Any]:
        """Return the `tls` extension of the scopes of a connection. Called once for each."""

class Redirect(Protocol):
    """Answers a request: (status, whole field lines, text) from method, host, path and query."""

    def __call__(
        self, method: bytes, host: bytes | None, path: bytes, query: bytes, /
    ) -> tuple[int, bytes, bytes]: ...

class Acceptor(Transferor):
    """Listeners, hand-over and draining. Not used itself: see `WSGIEngine` and `ASGIEngine`."""

    def add_listener(
        self,
        sock: socket.socket,
        /,
        tls: TLSPolicy | None = None,
        redirect: Redirect | None = None,
        number: int | None = None,
    ) -> None:
        """Accept from a listening socket, TCP or Unix. Call it before the engine runs.

        Args:
            sock: Made non-blocking here. The engine keeps the object, and never closes it.
            tls: What its connections are encrypted with, None for none.
            redirect: Answers every request of its connections instead of the application.
            number: What workers that hand connections over to each other call it; by default the first is 0.
        """

    def know_listener(
        self,
        number: int,
        family: int,
        name: Any,
        /,
        tls: TLSPolicy | None = None,
        redirect: Redirect | None = None,
    ) -> object:
        """Take over connections that other workers have accepted from a listener. Call it as `add_listener`.

        Args:
            number: Its number.
            family: That of its socket.
            name: What its socket is bound to, as `getsockname` returned it.
            tls: As for `add_listener`.
            redirect: As for `add_listener`.
        """

    def add_handover(self, sock: socket.socket, targets: Mapping[int, socket.socket], /) -> None:
        """Exchange accepted connections with other workers. Call it once, before the engine runs.

        Args:
            sock: This worker's end of its SOCK_SEQPACKET pair; connections arrive on it as SCM_RIGHTS.
            targets: Slot index to the write end of that slot's pair.
        """
