"""Answers with how many of its responses were closed, as PEP 3333 requires of a server.

Frameworks hang work on that call: Django gives back its connections to databases in it.
"""

closed = 0


class Body:
    """One response: thirteen bytes and a count."""

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter([b"%13d" % closed])

    def close(self) -> None:
        """Count."""
        global closed
        closed += 1


def app(environ, start_response):  # type: ignore[no-untyped-def]
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return Body()
