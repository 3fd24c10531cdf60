"""A streamed answer: what the drivers know of where it goes."""

from __future__ import annotations

from .events.reply import NO_BODY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from .events.reply import Reply

    class Output(Protocol):
        """One streamed answer. Calls come in the order start, write…, from one thread.

        Attributes:
            started: Whether status and fields have left.
        """

        started: bool

        def start(self, reply: Reply) -> None:
            """Send status and fields."""

        def write(self, data: bytes) -> None:
            """Send one piece of the body, waiting until the peer has taken it."""


def whole(reply: Reply, length: int, head: bool) -> Reply:
    """Return the head of an answer whose whole body is known before a byte of it has left.

    It gets its length. For an empty one that is no nicety: streamed without, some clients of Function
    URLs wait for a body until the function's time is up.
    """
    if not head and reply.status not in NO_BODY and "content-length" not in reply.known:
        reply.add("content-length", str(length))
    return reply
