"""RS256 signatures and the keys that check them: RSASSA-PKCS1-v1_5 with SHA-256, verification only.

Verifying has no secret, so plain integers are enough: the signature is raised to the public exponent, and
what comes out has to be, byte for byte, the one encoding of the message's digest. Nothing is parsed out of
it; parsers of that padding are what Bleichenbacher's forgery of 2006 and its descendants lived on.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

FEWEST_BITS = 2048
"""Of a modulus; RFC 7518 section 3.3 forbids less."""
MOST_BITS = 8192
"""Of a modulus; more would let a set of keys make every check slow."""

_MOST_EXPONENT = 1 << 32
# RFC 8017 section 9.2, note 1: the DigestInfo of SHA-256 without the digest.
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


class BadKeys(Exception):
    """Not a set of keys."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA key of 2048 bits at least.

    Attributes:
        modulus, exponent: Its two numbers.
    """

    modulus: int
    exponent: int

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell whether `signature` is this key's RS256 signature of `message` (RFC 8017 section 8.2.2)."""
        size = (self.modulus.bit_length() + 7) // 8
        number = int.from_bytes(signature)
        if len(signature) != size or number >= self.modulus:
            return False
        digest = _SHA256_INFO + hashlib.sha256(message).digest()
        wanted = b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest
        return hmac.compare_digest(pow(number, self.exponent, self.modulus).to_bytes(size), wanted)


def from_base64url(text: str) -> bytes:
    """Return what text spells in base64url without padding (RFC 7515 section 2), in its one canonical form.

    Raises:
        ValueError: It is something else.
    """
    data = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    if urlsafe_b64encode(data).rstrip(b"=") != text.encode("ascii"):
        raise ValueError("not base64url")
    return data


def read_keys(document: bytes) -> dict[str, PublicKey]:
    """Return the RS256 keys of a JSON Web Key Set (RFC 7517 section 5) by their ids.

    Keys for something else, weak ones and those without an id are passed over, as section 5 asks.

    Raises:
        BadKeys: It is no set of keys.
    """
    try:
        keys = json.loads(document)["keys"]
        return {key["kid"]: public for key in keys if (public := _public_key(key)) is not None}
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadKeys("not a JSON Web Key Set") from None


def _public_key(key: Any) -> PublicKey | None:
    if not isinstance(key, dict) or key.get("kty") != "RSA" or not isinstance(key.get("kid"), str):
        return None
    if key.get("use", "sig") != "sig" or key.get("alg", "RS256") != "RS256":
        return None
    try:
        modulus, exponent = (int.from_bytes(from_base64url(key[name])) for name in "ne")
    except (ValueError, KeyError, AttributeError):
        return None
    if not FEWEST_BITS <= modulus.bit_length() <= MOST_BITS or not modulus & 1:
        return None
    return PublicKey(modulus, exponent) if 3 <= exponent < _MOST_EXPONENT and exponent & 1 else None
