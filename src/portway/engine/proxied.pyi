"""The PROXY protocol's header, versions 1 and 2."""

def read_header(data: bytes, versions: int = 3) -> tuple[str | tuple[str, int], int]:
    """Read a header from the front of some bytes, for tests; the engine reads from a socket.

    Args:
        data: Bytes from the first on; what follows the header is not looked at.
        versions: 1 for version 1, 2 for version 2, 3 for both.

    Returns:
        The outcome and the bytes used. "more": bytes are needed. "local": the proxy speaks for itself.
        "nobody": it does not know the client's address. Otherwise the client's address and port.

    Raises:
        ValueError: It is no header.
    """
