"""The request head of HTTP/1.x: the one place that parses it."""

from typing import TypedDict, final

class _Head(TypedDict):
    """What `HeadParser.parse` returns. Bytes are as they arrived; values without the space around them."""

    method: bytes
    target: bytes
    path: bytes
    query: bytes
    authority: bytes
    minor: int
    fields: list[tuple[bytes, bytes]]
    size: int
    content_length: int | None
    chunked: bool
    close: bool
    keep_alive: bool
    upgrade: bool
    expect_continue: bool

@final
class HeadParser:
    """Parses request heads, one at a time. Not shared between threads.

    Args:
        request_line: Most bytes of the request line, without its CR LF (else 414).
        field: Most bytes of one field line, without its CR LF (else 431).
        block: Most bytes of all field lines together, with their CR LFs (else 431).
        count: Most field lines (else 431).
    """

    def __init__(
        self, request_line: int = 8190, field: int = 8190, block: int = 65536, count: int = 100
    ) -> None: ...
    def parse(self, data: bytes) -> _Head | None:
        """Parse one head, for tests and tools; the engine itself parses without making objects.

        Nothing is remembered from one call to the next: feed a growing prefix until the result is not None.

        Args:
            data: Bytes from the first of the request line on; what follows the head is not looked at.

        Returns:
            The head, `size` bytes long, or None when more bytes are needed.

        Raises:
            Refused: With the status that a server answers. A broken line is refused once it has arrived.
        """
