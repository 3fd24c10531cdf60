"""Cognito's user pools: where their keys are, when to fetch them, and who is let in with their tokens.

The keys are fetched when the first token comes and kept. They are fetched again when a token names a key that
is not among them, or when they are an hour old, and never more often than once a minute, so that a client
cannot make this server ask without end. Keys that cannot be fetched again go on being used; without any,
nobody is let in.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from .authorizers import Refused
from .rs256 import BadKeys, PublicKey, read_keys
from .tokens import BadToken, Expired, Token, check, read_token, texts

FETCH_AGAIN_S = 60.0
"""Between two attempts that were caused by unknown keys."""
RETRY_S = 5.0
"""Between two attempts when there are no keys yet."""
FRESH_S = 3600.0
FETCH_TIMEOUT_S = 5.0
MOST_BYTES = 1 << 20

# Partition, region, pool. AWS's China partition has a domain of its own.
_ARN = re.compile(r"arn:(aws[a-z-]*):cognito-idp:([a-z0-9-]+):[0-9]*:userpool/([\w-]+)", re.ASCII)


class NoKeys(Exception):
    """The keys are not to be had, and there are none from before."""


def issuer_of(arn: str) -> str | None:
    """Return the issuer of a user pool's tokens, or None when `arn` does not name a user pool."""
    found = _ARN.fullmatch(arn)
    if found is None:
        return None
    domain = "amazonaws.com.cn" if found[1] == "aws-cn" else "amazonaws.com"
    return f"https://cognito-idp.{found[2]}.{domain}/{found[3]}"


def fetch(where: str) -> bytes:
    """Return what a file or an http(s) URL holds, of which it reads no more than a megabyte.

    Raises:
        OSError: It cannot be read.
    """
    if not where.startswith(("https://", "http://")):
        with open(where, "rb") as file:
            return file.read(MOST_BYTES)
    from http.client import HTTPException  # late, as the next: only routes with a user pool need them
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        with urlopen(where, timeout=FETCH_TIMEOUT_S) as answer:
            body: bytes = answer.read(MOST_BYTES)
            return body
    except HTTPError as error:
        error.close()  # it holds the connection
        raise
    except (HTTPException, ValueError) as error:
        raise OSError(str(error) or type(error).__name__) from None


class KeySet:
    """The keys at one address. Any thread may ask; one at a time fetches.

    Args:
        where: File or URL of a JSON Web Key Set.
        fetch: Reads it.
        clock: Seconds; only differences count.
    """

    def __init__(
        self,
        where: str,
        fetch: Callable[[str], bytes] = fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._where = where
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, PublicKey] = {}  # replaced as a whole, so read without the lock
        self._due = self._stale = -1.0
        self._known = False

    def find(self, kid: str, report: Callable[[str], object]) -> PublicKey | None:
        """Return the key with this id, or None when there is none.

        Args:
            kid: The id.
            report: Takes why a fetch failed: one line for each attempt.

        Raises:
            NoKeys: There are no keys at all.
        """
        now = self._clock()
        key = self._keys.get(kid)
        if key is not None and now < self._stale:
            return key
        # Whoever holds a key does not wait for the one who fetches.
        if self._lock.acquire(blocking=key is None):
            try:
                if kid not in self._keys or now >= self._stale:
                    self._fetch_if_due(report)
            finally:
                self._lock.release()
        if not self._known:
            raise NoKeys
        return self._keys.get(kid)

    def _fetch_if_due(self, report: Callable[[str], object]) -> None:
        now = self._clock()
        if self._due >= 0 and now < self._due:
            return
        try:
            self._keys = read_keys(self._fetch(self._where))
            self._known = True
            self._stale = self._clock() + FRESH_S
        except (OSError, BadKeys) as error:
            report(f"the user pool's keys cannot be fetched from {self._where}: {error}")
        self._due = self._clock() + (FETCH_AGAIN_S if self._known else RETRY_S)


class UserPools:
    """What verifies the tokens of an application's user pools. Any thread may ask.

    Args:
        keys_at: File or URL of the keys of all pools, in place of Amazon's own addresses; "" for those.
        fetch: Reads a file or a URL.
        clock: Seconds since 1970.
    """

    def __init__(
        self, keys_at: str = "", fetch: Callable[[str], bytes] = fetch, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys_at = keys_at
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._sets: dict[str, KeySet] = {}

    def ask(
        self, value: str, arns: Sequence[str], scopes: Collection[str], report: Callable[[str], object]
    ) -> dict[str, Any]:
        """Return `requestContext.authorizer` of a request whose token lets it through.

        Args:
            value: Value of the field that carries the token, "" without one.
            arns: The user pools whose tokens count.
            scopes: Those of which an access token has to have one; without any it has to be an ID token.
            report: Takes what went wrong with the keys.

        Raises:
            Refused: It does not.
        """
        issuers = {issuer for arn in arns if (issuer := issuer_of(arn)) is not None}
        if not issuers:
            raise Refused("authorizer-failed", "the authorizer names no user pool")
        try:
            token = read_token(value)
            self._check(token, issuers, scopes, report)
        except Expired:
            raise Refused("expired") from None
        except BadToken:
            raise Refused("unauthorized") from None
        except NoKeys:
            raise Refused("authorizer-failed") from None
        return {"claims": texts(token.claims)}

    def _check(
        self, token: Token, issuers: set[str], scopes: Collection[str], report: Callable[[str], object]
    ) -> None:
        # Which pool is asked for its keys is the token's word; that it is that pool's is then verified.
        issuer = token.issuer
        if not isinstance(issuer, str) or issuer not in issuers:
            raise BadToken("of another issuer")
        key = self._keys(issuer).find(token.kid, report)
        if key is None:
            raise BadToken("of an unknown key")
        check(token, key, issuer, scopes, self._clock())

    def _keys(self, issuer: str) -> KeySet:
        where = self._keys_at or f"{issuer}/.well-known/jwks.json"
        with self._lock:
            found = self._sets.get(where)
            if found is None:
                found = self._sets[where] = KeySet(where, self._fetch)
            return found
