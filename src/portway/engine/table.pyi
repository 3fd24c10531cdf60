"""The route table of a site: ordered patterns, each with who answers."""

class Table:
    """Rules in their order; the first whose pattern matches a path in its normal form answers it.

    Made before the engine serves, and not changed from then on. Patterns begin with a slash; `*` stands for
    any bytes or none, `?` for one byte.
    """

    count: int

    def add_app(self, pattern: bytes, number: int) -> None:
        """Let an application answer; `number` says which one to who asks `match`."""

    def add_files(self, pattern: bytes, folder: object) -> None:
        """Let files of a `Folder` answer."""

    def add_redirect(self, pattern: bytes, to: bytes, status: int) -> None:
        """Send clients elsewhere.

        Args:
            pattern: Which paths.
            to: A path or an http URL, percent-encoded. The first `*` in it takes what the pattern's last one
                took.
            status: 301, 302, 307 or 308.

        Raises:
            ValueError: `to` is neither, or a client could choose its host.
        """

    def add_elsewhere(self, pattern: bytes, number: int) -> None:
        """Let the sibling engine of this process answer."""

    def match(self, path: bytes) -> int | None:
        """Return the place of the first rule that takes a path, from 0, or None."""
