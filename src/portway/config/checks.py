"""Checks of single values: each returns the value in its normal spelling or raises Refused."""

from __future__ import annotations

import ipaddress
import re

from portway.config.address import InheritedSocket, parse_address
from portway.config.kinds import Refused

# RFC 9110 section 5.6.2: what a field name may consist of.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_STAGE = re.compile(r"[0-9A-Za-z_-]{1,128}", re.ASCII)

_TAKEN = frozenset(
    {"host", "connection", "content-length", "content-type", "transfer-encoding", "te", "trailer", "upgrade"}
    | {"expect", "date", "server", "cookie", "set-cookie", "authorization", "proxy", "keep-alive", "location"}
    | {"referer", "user-agent", "x-request-start"}
)
_TRANSPORT_SECURITY = re.compile(r"max-age=[0-9]{1,10}(; ?includeSubDomains)?(; ?preload)?", re.ASCII)


def bind_address(text: str) -> str:
    """Return an address to listen on in its normal spelling; see `portway.config.address`."""
    return str(parse_address(text))


def root_path(text: str) -> str:
    """Return a path prefix: empty, or with a slash at its start and none at its end."""
    if text and (not text.startswith("/") or text.endswith("/")):
        raise Refused("must start with a slash and not end with one")
    if any(letter in text for letter in "?# %\\") or "//" in text:
        raise Refused("must be a plain path, without a query, escapes, spaces or empty segments")
    if any(segment in (".", "..") for segment in text.split("/")):
        raise Refused("must not contain . or .. segments")
    return text


def ready_path(text: str) -> str:
    """Return a request target to ask the application for: a path, or a URL with a host and a path."""
    if text and not re.fullmatch(r"(?:https?://[^/?#\s]+)?/[!-~]*", text, re.ASCII):
        raise Refused("must be a path such as /health, or a URL such as http://example.com/health")
    return text


def header_name(text: str) -> str:
    """Return a field name in lower case; it must be a token that contains an underscore."""
    if not _TOKEN.fullmatch(text):
        raise Refused("must be a field name")
    if "_" not in text:
        raise Refused('must contain "_": other fields are never dropped')
    return text.lower()


FORWARDED = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)
"""The fields of one family; the other one is `forwarded`."""

_OWNER = re.compile(r"[\w.-]+\$?(?::[\w.-]+)?|:[\w.-]+", re.ASCII)


def peer(text: str) -> str:
    """Return a peer in its normal spelling: an address, a network, `unix` or `*`."""
    if text in ("*", "unix"):
        return text
    try:
        if "/" not in text:
            return str(ipaddress.ip_address(text))
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Refused("must be an IP address, a network such as 10.0.0.0/8, unix or *") from None
    if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise Refused(f"must be a network, as {network}, or an address without a slash")
    return str(network)


def forwarded_header(text: str) -> str:
    """Return a field in lower case, one of those that tell about a request that was forwarded."""
    if text.lower() not in (*FORWARDED, "forwarded"):
        raise Refused(f"must be one of {', '.join(FORWARDED)}, or forwarded")
    return text.lower()


def owner(text: str) -> str:
    """Return USER, USER:GROUP or :GROUP; whether they exist is looked at when the server starts."""
    if text and not _OWNER.fullmatch(text):
        raise Refused("must be USER, USER:GROUP or :GROUP")
    return text


def id_header(text: str) -> str:
    """Return a field name that request ids may travel in."""
    if text and (not _TOKEN.fullmatch(text) or "_" in text):
        raise Refused("must be a field name without underscores, such as X-Request-ID")
    if text.lower() in _TAKEN:
        raise Refused("must not be a field that means something else")
    return text


def admin_address(text: str) -> str:
    """Return an address for the admin listener, or an empty text for none."""
    if not text:
        return text
    address = parse_address(text)
    if isinstance(address, InheritedSocket):
        raise Refused("must be HOST:PORT or unix:PATH")
    return str(address)


def admin_name(text: str) -> str:
    """Return the name of a host, without a port, or * for any."""
    if text != "*" and not re.fullmatch(r"[A-Za-z0-9_.-]{1,253}", text, re.ASCII):
        raise Refused("must be the name of a host, without a port, or *")
    return text


def socket_path(text: str) -> str:
    """Return the path of a Unix socket; `unix:` before it is taken away."""
    if not text:
        return text
    address = parse_address(text if text.startswith("unix:") else f"unix:{text}")
    return str(address).removeprefix("unix:")


def password_source(text: str) -> str:
    """Return where a password is found; the password itself would show in the list of processes."""
    kind, _, name = text.partition(":")
    if text and (kind not in ("file", "env") or not name):
        raise Refused("must be file:PATH or env:NAME (a password given here would be seen by everybody)")
    return text


def cipher_list(text: str) -> str:
    """Return a list of ciphers; OpenSSL judges it when the server starts."""
    if not text or " " in text:
        raise Refused("must be names between colons, as OpenSSL's `openssl ciphers` takes them")
    return text


def transport_security(text: str) -> str:
    """Return the value of a Strict-Transport-Security field (RFC 6797 section 6.1), or nothing."""
    if text and not _TRANSPORT_SECURITY.fullmatch(text):
        raise Refused(
            "must be max-age=SECONDS, then includeSubDomains and preload if wanted, between semicolons"
        )
    return text


def directory(text: str) -> str:
    """Return a directory's name without the slashes at its end."""
    return text.rstrip("/") or text[:1]


def not_empty(text: str) -> str:
    """Return the text; an empty one would name the current directory by accident."""
    if not text:
        raise Refused("must not be empty")
    return text


def keys_address(text: str) -> str:
    """Return a file or an http(s) URL."""
    if "://" in text and not re.fullmatch(r"https?://[^/?#\s]+[!-~]*", text, re.ASCII):
        raise Refused("must be a file or a URL such as https://example.com/jwks.json")
    return text


def stage_name(text: str) -> str:
    """Return the name of an API's stage; `$default` is the stage that is not in the path, as is none."""
    if text in ("", "$default"):
        return ""
    if not _STAGE.fullmatch(text):
        raise Refused("must be letters, digits, _ and -, 128 at most")
    return text


def media_range(text: str) -> str:
    """Return a media type, or a range of them, in lower case."""
    kind, slash, subtype = text.partition("/")
    if not slash or not _TOKEN.fullmatch(kind) or not _TOKEN.fullmatch(subtype) or (kind == "*" != subtype):
        raise Refused("must be a media type as image/png, image/* or */*")
    return text.lower()
