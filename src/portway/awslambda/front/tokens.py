"""The JSON Web Tokens of a Cognito user pool, checked as API Gateway's Cognito authorizer does.

A token is believed in this order: its form, its algorithm (RS256 and nothing else, whatever it says of
itself), its pool, its signature, its times, its use, its scopes. A client that comes with a token that is
not the pool's learns nothing more about it, not that it has expired either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .building import MONTHS
from .rs256 import PublicKey, from_base64url

MOST_CHARACTERS = 16384
_DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
_LATEST_S = 1 << 40


class BadToken(Exception):
    """A token that lets nobody in."""


class Expired(BadToken):
    """A token that was good once."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is well formed. Nothing that it says is known to be true.

    Attributes:
        kid: Id of the key that it claims to be signed with.
        claims: Its claims.
        signed: What the signature is about.
        signature: The signature.
    """

    kid: str
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def issuer(self) -> object:
        """Who it claims to be from; any type."""
        return self.claims.get("iss")


def read_token(text: str) -> Token:
    """Return the token in a field's value, with or without "Bearer " before it.

    Raises:
        BadToken: There is none, or not one that RS256 signed (RFC 7515 sections 5.2 and 7.1).
    """
    if text[:7].lower() == "bearer ":
        text = text[7:]
    text = text.strip(" ")
    parts = text.split(".")
    if len(parts) != 3 or len(text) > MOST_CHARACTERS:
        raise BadToken("not three parts")
    try:
        head, claims = (json.loads(from_base64url(part)) for part in parts[:2])
        signature = from_base64url(parts[2])
    except (ValueError, RecursionError):
        raise BadToken("not a token") from None
    if not isinstance(head, dict) or not isinstance(claims, dict):
        raise BadToken("not a token")
    # RFC 8725 section 3.1: the algorithm is ours to choose. Section 4.1.11 of RFC 7515: `crit` names what
    # must be understood, and there is nothing that would be.
    if head.get("alg") != "RS256" or "crit" in head or not isinstance(head.get("kid"), str):
        raise BadToken("not signed with RS256")
    return Token(head["kid"], claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def check(token: Token, key: PublicKey, issuer: str, scopes: Collection[str], now_s: float) -> None:
    """Check a token that has to be one of `issuer`'s.

    Args:
        token: The token.
        key: The issuer's key that the token names.
        issuer: The issuer.
        scopes: Those of which an access token has to have one; without any it has to be an ID token.
        now_s: Seconds since 1970.

    Raises:
        Expired: Its time is up; all that stands before that is good.
        BadToken: It lets nobody in.
    """
    if not key.verifies(token.signed, token.signature) or token.issuer != issuer:
        raise BadToken("not the issuer's")
    if _moment(token, "exp") <= now_s:
        raise Expired("expired")
    if "nbf" in token.claims and _moment(token, "nbf") > now_s:
        raise BadToken("not valid yet")
    if token.claims.get("token_use") != ("access" if scopes else "id"):
        raise BadToken("a token for another use")
    given = token.claims.get("scope")
    if scopes and (not isinstance(given, str) or not set(scopes).intersection(given.split(" "))):
        raise BadToken("none of the scopes")


def _moment(token: Token, name: str) -> int:
    value = token.claims.get(name)
    if type(value) is not int or not 0 <= value < _LATEST_S:
        raise BadToken(f"no {name}")
    return value


def texts(claims: dict[str, Any]) -> dict[str, str]:
    """Return claims as the event carries them: everything is text, `exp` and `iat` are dates."""
    return {name: _date(value) if name in ("exp", "iat") else _text(value) for name, value in claims.items()}


def _date(value: Any) -> str:
    """Return "Wed Jul 25 17:49:44 UTC 2018"."""
    if type(value) is not int or not 0 <= value < _LATEST_S:
        return _text(value)
    at = time.gmtime(value)
    return (
        f"{_DAYS[at.tm_wday]} {MONTHS[at.tm_mon - 1]} {at.tm_mday:02} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} UTC {at.tm_year}"
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
