"""Where a redirect goes, and that no client chooses its host.

A target is a path or an http(s) URL, in the characters of a URL (RFC 3986), with at most one `*`. What the
pattern's last `*` took stands in for it, percent-encoded. `//host/…` is a network-path reference (RFC 3986,
section 4.2), and browsers read `/\\` as it (WHATWG URL): neither can be written, and none comes out of what
a `*` took.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_FOREIGN = re.compile(r"[^!-~]|[\"<>\\^`{|}]|%(?![0-9A-Fa-f]{2})")
_SAFE = "/-._~!$&'()*+,;=:@"
"""What may stand in a path as it is, RFC 3986, section 3.3; letters and digits with it."""


def problem_of(to: str, pattern: str) -> str:
    """Return why a pattern's requests cannot be sent there, as "must …", or ""."""
    if not to or _FOREIGN.search(to):
        return "must be written in the characters of a URL, others percent-encoded"
    if to.count("*") > 1:
        return "must have one * at most"
    if "*" in to[len(re.split(r"[?#]", to, maxsplit=1)[0]) :]:
        return "must have its * in the path, before any ? or #"
    if "*" in to and "*" not in pattern:
        return f"must not have a *, since {pattern!r} has none"
    if to.startswith("/"):
        return "must not begin with //, which names a host; write its scheme" if to.startswith("//") else ""
    return _problem_of_url(to)


def _problem_of_url(to: str) -> str:
    if not re.match(r"https?://", to):
        return "must be a path that begins with /, or a URL that begins with http:// or https://"
    if "*" in to.partition("//")[2].partition("/")[0]:
        return "must not let clients choose the host: put a / before the *"
    try:
        parts = urlsplit(to)
        named = parts.hostname and (parts.port is None or parts.port > 0) and parts.username is None
    except ValueError:
        named = None
    return "" if named else "must name a host, with or without a port, and no user"


def location(to: str, star: bytes, query: str = "") -> str:
    """Return the Location of one request.

    Args:
        to: The target; `problem_of` has nothing against it.
        star: What the pattern's last `*` took of the normalised path.
        query: The query of the request, as it was sent; it is kept where the target has none of its own.
    """
    before, mark, behind = to.partition("*")
    text = before + (quote(star, safe=_SAFE) + behind if mark else "")
    if query and "?" not in to:
        head, sign, fragment = text.partition("#")
        text = f"{head}?{query}{sign}{fragment}"
    return re.sub(r"^/{2,}", "/", text) if to.startswith("/") else text
