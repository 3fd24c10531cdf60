"""What an event source is: it tells a request from an event, and writes the answer in its own format."""

from __future__ import annotations

from .paths import below, quote, unquote
from .request import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

    from .reply import Reply
    from .request import Event

BUFFERED_LIMIT = 6_291_556
"""Bytes of a buffered answer as Lambda counts them: 6 MB and a little for the envelope."""


class Source:
    """One kind of front door. Holds no state: one instance serves every event.

    Attributes:
        name: As it stands in logs and in `Request.source`.
        service: The service's own name, for the user.
        limit: Most bytes of an answer's JSON that the service takes.
        surely_fits: A body of fewer bytes is within the limit however its JSON is written (six for one).
        streams: Whether the service takes a streamed answer.
    """

    name: ClassVar[str]
    service: ClassVar[str]
    limit: ClassVar[int] = BUFFERED_LIMIT
    surely_fits: ClassVar[int] = 1_000_000
    streams: ClassVar[bool] = False

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for.

        Args:
            event: An event of this source.
            root_path: Where the application is mounted, when the user says so; None reads it from the event.

        Raises:
            BadEvent: A field is missing or of the wrong type.
        """
        raise NotImplementedError

    def limit_of(self, request: Request) -> int:
        """Return the most bytes of this request's answer."""
        return self.limit

    def answer(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return the reply as the JSON object that this source's service takes."""
        raise NotImplementedError

    def refused(self, event: Event) -> Request:
        """Return a request to answer with an error when the event's own cannot be made."""
        return Request(
            self.name, event, "GET", "", "/", "/", "", (), {}, b"", "", "localhost", 443, "https", "1.1", ""
        )

    def prelude(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return status and header fields of a streamed answer (`streams` sources only)."""
        raise NotImplementedError


def mounted(path: str, prefix: str, root_path: str | None, encoded: bool) -> tuple[str, str, str | None]:
    """Return (root_path, path, raw_path) of a request; raw_path is None when the client's own is lost.

    Args:
        path: The path as the event has it, whatever prefix included; never empty.
        prefix: The part of it that the event shows to be a stage or a base path, or "".
        root_path: What the user set, or None.
        encoded: Whether `path` is percent encoded.
    """
    if root_path is None:
        if not encoded:
            return (prefix, path[len(prefix) :] or "/", None) if prefix else ("", path, None)
        if not prefix:
            return "", unquote(path), path
        return unquote(prefix), unquote(path[len(prefix) :] or "/"), path
    inner = path[len(prefix) :] or "/"
    for whole in (path, inner):
        decoded = unquote(whole) if encoded else whole
        if root_path and below(decoded, root_path):
            return root_path, decoded[len(root_path) :] or "/", whole if encoded else None
    decoded = unquote(inner) if encoded else inner
    return root_path, decoded, quote(root_path) + inner if encoded else None
