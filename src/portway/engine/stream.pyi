"""A connection that changes its protocol (RFC 9110, section 7.8)."""

from collections.abc import Iterable
from typing import Protocol

class Sink(Protocol):
    """Takes what happens to a connection, in the thread of its event loop. No method may block."""

    def received(self, data: bytes, /) -> None:
        """Bytes came. An exception ends the connection."""

    def flushed(self) -> None:
        """All that was written has been sent, after some of it had to wait for the client."""

    def ended(self) -> None:
        """The client will send no more; it may still read."""

    def lost(self) -> None:
        """The connection is gone. Nothing is called after it."""

    def server_ends(self) -> None:
        """The server drains: the connection is cut at the end of the grace period."""

class Stream:
    """The connection of a request that asks for another protocol.

    It is `portway.upgrade` in the extensions of the scope, and belongs to the thread of the event loop.
    Until `switch` the request is an ordinary one.
    """

    @property
    def is_open(self) -> bool:
        """Whether the protocol has changed and the connection not ended."""

    def attach(self, sink: Sink, /) -> None:
        """Let somebody else than ASGI's `receive` have what happens, from now on."""

    def switch(self, headers: Iterable[tuple[bytes, bytes]], /) -> None:
        """Answer 101; bytes that the client has sent too early reach the sink before this returns.

        Args:
            headers: `upgrade` among them names the protocol.

        Raises:
            BadResponse: The request is not HTTP/1.1, has a body, or a field is not valid. Nothing was sent.
            ClientDisconnected: The client is gone.
            RuntimeError: The response has begun.
        """

    def write(self, data: bytes, /) -> bool:
        """Send bytes; what the client does not read yet is kept. Nothing happens after the end.

        Returns:
            Whether to wait for `drained` before more is written.
        """

    async def drained(self) -> None:
        """Return when the client has read.

        Raises:
            ClientDisconnected: It is gone.
        """

    def hold(self) -> None:
        """Read nothing more from the client."""

    def go_on(self) -> None:
        """Read again. What is there already reaches the sink before this returns."""

    def failed(self, exc: Exception, /) -> bool:
        """Put what the application raised into the error log, now: the connection may take its time to end.

        Returns:
            Whether it is there. Not when it comes of the client's leaving: that is raised to the engine after
            the end, which tells whether it is worth an entry.
        """

    def end(self) -> None:
        """End the connection when all is sent; what the client still sends is dropped. Idempotent.

        The sink is called no more.
        """
