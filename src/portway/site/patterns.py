"""Path patterns as CloudFront has them, and the form of a path that they are matched against.

`*` stands for any bytes or none, slashes among them; `?` for exactly one byte. Everything else stands for
itself, and case counts. A pattern is matched against the whole path, without the query; its leading slash
may be left out.

The path is decoded once, several slashes become one, and dot segments are removed (RFC 3986, sections
6.2.2.2 and 5.2.4; "multiple slashes (//) or periods (..)" is what CloudFront's guide says of its own
matching) before a rule looks at it, so that no spelling of a path gets round one. The engine's table does
the same in compiled code; a test holds the two together.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

MOST_CHARACTERS = 255
"""CloudFront's limit for a pattern."""

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SLASH, _DOT = rb"(?:/|%2[Ff])", rb"(?:\.|%2[Ee])"
_DOT_SEGMENT = re.compile(_SLASH + _DOT + rb"{1,2}(?:" + _SLASH + rb"|$)")
_SIGNS = "_ - . * ? $ / ~ \" ' @ : + &"
_FOREIGN = re.compile(r"""[^A-Za-z0-9_\-.*$/~"'@:+&?]""", re.ASCII)


class Path(Struct, frozen=True):
    """The path of a request as rules see it.

    Attributes:
        path: Decoded, without dot segments and empty ones; begins with a slash.
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
    path, climbs = without_dot_segments(path)
    return Path(path, problem or ("it climbs out of the root" if climbs else ""))


def without_dot_segments(path: bytes) -> tuple[bytes, bool]:
    """Return a decoded path without dot segments and empty ones, and whether it climbs above the root."""
    segments: list[bytes] = []
    climbs = False
    parts = path.split(b"/")[1:]
    for part in parts:
        if part == b"..":
            climbs = climbs or not segments
            segments[-1:] = []
        elif part not in (b"", b"."):
            segments.append(part)
    names_a_directory = segments and parts[-1] in (b"", b".", b"..")
    return b"/" + b"/".join(segments) + (b"/" if names_a_directory else b""), climbs


def has_dot_segments(path: bytes) -> bool:
    """Whether a path, as it was sent, has a `.` or `..` in it, which not all read alike."""
    return _DOT_SEGMENT.search(path) is not None


def match(pattern: str, path: bytes) -> bytes | None:
    """Return what the last `*` of a pattern took of a normalised path; None where it does not match.

    Every other `*` takes as little as it can. Without any the text is empty.
    """
    found = _expression(with_slash(pattern)).fullmatch(path)
    if found is None:
        return None
    return found[1] if found.re.groups else b""


def matches(pattern: str, path: bytes) -> bool:
    """Whether a pattern takes a normalised path."""
    return match(pattern, path) is not None


@lru_cache(1024)
def _expression(pattern: str) -> re.Pattern[bytes]:
    """Return the expression of a pattern.

    Each part between two stars is taken where it comes first and never looked for again (an atomic group):
    for such patterns that is enough, and no path makes it slow.
    """
    first, *parts = [re.escape(part).replace(r"\?", ".").encode() for part in pattern.split("*")]
    if not parts:
        return re.compile(first, re.DOTALL)
    between = b"".join(b"(?>.*?%b)" % part for part in parts[:-1])
    return re.compile(first + between + b"(.*)" + parts[-1], re.DOTALL)


def with_slash(pattern: str) -> str:
    """Return a pattern with its leading slash, which CloudFront lets one leave out."""
    return pattern if pattern.startswith("/") else f"/{pattern}"


def directory_of(pattern: str) -> str:
    """Return the directory of a pattern's literal start, with its slash: "/static/" of "/static/*"."""
    literal = re.split(r"[*?]", with_slash(pattern), maxsplit=1)[0]
    return literal[: literal.rfind("/") + 1]


def problem_of(pattern: str) -> str:
    """Return why CloudFront would not take a pattern, as "must …", or ""."""
    if not pattern:
        return "must not be empty"
    if len(with_slash(pattern)) > MOST_CHARACTERS:
        return f"must have at most {MOST_CHARACTERS} characters, its leading slash among them"
    if "://" in pattern:
        return "must be the path alone, without scheme and host"
    return f"must hold only letters, digits and {_SIGNS}" if foreign_in(pattern) else ""


def foreign_in(pattern: str) -> str:
    """Return the first character of a pattern that CloudFront does not take in one, or ""."""
    found = _FOREIGN.search(pattern)
    return found[0] if found else ""
