"""Where a proxy route sends requests: http, https, or http+unix with the path of a Unix socket."""

from __future__ import annotations

import re
from urllib.parse import quote_from_bytes, unquote, urlsplit

from portway.site.patterns import has_dot_segments, normalise

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*\.?)(?::[0-9]+)?")
_FORM = re.compile(r"(https?|http\+unix)://([^/?#\\\s]+)(/?)", re.ASCII)


def problem_of(url: str) -> str:
    """Return why requests cannot be sent there, as "must …", or ""."""
    form = _FORM.match(url)
    if not form:
        return "must be a URL such as http://127.0.0.1:5173"
    if form.end() != len(url):
        return "must end with its host and port: the path is the request's own"
    if "@" in form[2]:
        return "must not hold a password, which logs and messages would show"
    if form[1] == "http+unix":
        named = unquote(form[2]).startswith("/")
        return "" if named else "must name a socket: http+unix://%2Frun%2Fapp.sock is /run/app.sock"
    try:
        parts = urlsplit(url)
        named = (parts.port is None or parts.port > 0) and parts.netloc[-1] != ":" and _is_host(parts.netloc)
    except ValueError:  # UnicodeError is one
        named = False
    return "" if named else "must name a host, with a port from 1 to 65535 or none"


def _is_host(authority: str) -> bool:
    """Whether a host, with its port, can stand in a Host field: a name, in ASCII or beyond, or an address."""
    return _HOST.fullmatch(authority.encode("idna")) is not None


def normal(url: str) -> str:
    """Return a URL that is fine without the slash at its end."""
    return url.rstrip("/")


def path_for(path: bytes, strip: str) -> bytes:
    """Return the path an upstream is asked for: as it was sent, but for what is stripped, and dot segments.

    Args:
        path: The request's, as it was sent, without the query.
        strip: What is taken off its front, "/api" for example, or "".
    """
    prefix = strip.encode()
    if path.startswith(prefix + b"/") and not has_dot_segments(path):
        return path[len(prefix) :]
    plain = normalise(path).path.removeprefix(prefix)  # the same path in another spelling
    return quote_from_bytes(plain, safe="/:@!$&'()*+,;=~").encode() or b"/"
