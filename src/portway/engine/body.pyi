"""The request body: Content-Length and chunked framing."""

from collections.abc import Iterable

def read_body(
    pieces: Iterable[bytes], length: int | None = None, limit: int = 0
) -> tuple[bytes, bytes, bool]:
    """Read a body, for tests and tools. The result does not depend on how the bytes are cut into pieces.

    Args:
        pieces: The body as it would arrive, and whatever comes behind it.
        length: Its Content-Length; None reads a chunked body.
        limit: Most bytes of a chunked body (else 413); 0 for no limit.

    Returns:
        The body without its framing, the bytes behind it, and whether its end was seen.

    Raises:
        Refused: With the status that a server answers.
    """
