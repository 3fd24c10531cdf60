"""Path patterns as CloudFront has them, and the form of a path that they are matched against.

`*` stands for any bytes or none, slashes among them; `?` for exactly one byte. Everything else stands for
itself, and case counts. A pattern is matched against the whole path, without the query.

The path is decoded once and its dot segments are removed (RFC 3986, sections 6.2.2.2 and 5.2.4) before it
is looked at, so that no spelling of a path gets round a rule. The engine's table does the same in
compiled code; a test holds the two together.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Path(Struct, frozen=True):
    """The path of a request as rules see it.

    Attributes:
        path: Decoded and without dot segments; begins with a slash.
        problem: Why no file can have this name ("it climbs out of the root"), or "".
    """

    path: bytes
    problem: str = ""


def normalise(target: bytes) -> Path:
    """Return the path of a request target in origin form, as patterns are matched against it.

    A path that climbs above the root stays at the root, as RFC 3986, 5.2.4 has it, and what is no percent
    escape stays as it is; both are problems, which is why no file answers them.

    Args:
        target: The target as it was sent; a query is left out.
    """
    raw = target.partition(b"?")[0]
    problem = "it has a % that is no escape" if _BAD_ESCAPE.search(raw) else ""
    path = _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), raw)
    if b"\0" in path:
        problem = problem or "it holds a NUL byte"
    segments: list[bytes] = []
    parts = path.split(b"/")[1:]
    for part in parts:
        if part == b"..":
            if not segments:
                problem = problem or "it climbs out of the root"
            segments[-1:] = []
        elif part != b".":
            segments.append(part)
    ends_in_directory = parts[-1:] in ([b"."], [b".."]) and segments
    return Path(b"/" + b"/".join(segments) + (b"/" if ends_in_directory else b""), problem)


@lru_cache(1024)
def _expression(pattern: str) -> re.Pattern[bytes]:
    parts = [re.escape(letter) for letter in pattern]
    text = "".join({r"\*": ".*", r"\?": "."}.get(part, part) for part in parts)
    return re.compile(text.encode(), re.DOTALL)


def matches(pattern: str, path: bytes) -> bool:
    """Whether a pattern takes a path that has been normalised."""
    return _expression(with_slash(pattern)).fullmatch(path) is not None


def with_slash(pattern: str) -> str:
    """Return a pattern with its leading slash, which CloudFront lets one leave out."""
    return pattern if pattern.startswith("/") else f"/{pattern}"


def directory_of(pattern: str) -> str:
    """Return the directory of a pattern's literal start, with its slash: "/static/" of "/static/*"."""
    literal = re.split(r"[*?]", with_slash(pattern), maxsplit=1)[0]
    return literal[: literal.rfind("/") + 1] or "/"
