"""A user pool for tests: keys, tokens signed by another implementation, and a server for the key set."""

from __future__ import annotations

import functools
import json
import threading
import time
from base64 import urlsafe_b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

ISSUER = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_x"
OTHER_ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_y"


def base64url(data: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def key(name: str = "one", bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """Return a private key, the same for the same name."""
    return _key(name, bits, exponent)


@functools.cache
def _key(name: str, bits: int, exponent: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def jwk(kid: str, private: rsa.RSAPrivateKey, **other: Any) -> dict[str, Any]:
    """Return the JSON Web Key of a private key's public half."""
    numbers = private.public_key().public_numbers()
    found = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid}
    for field, number in (("n", numbers.n), ("e", numbers.e)):
        found[field] = base64url(number.to_bytes((number.bit_length() + 7) // 8))
    return {**found, **other}


def key_set(*names: str) -> bytes:
    """Return a key set whose ids are the keys' names."""
    return json.dumps({"keys": [jwk(name, key(name)) for name in names]}).encode()


def claims(**other: Any) -> dict[str, Any]:
    """Return the claims of an ID token; None takes one away."""
    now = int(time.time())
    found = {"sub": "ann", "iss": ISSUER, "token_use": "id", "iat": now, "exp": now + 86400, **other}
    return {name: value for name, value in found.items() if value is not None}


def access(scope: str | None = "notes/read", **other: Any) -> dict[str, Any]:
    """Return the claims of an access token."""
    return claims(token_use="access", scope=scope, **other)


def token(
    said: dict[str, Any] | None = None,
    private: rsa.RSAPrivateKey | None = None,
    signature: bytes | None = None,
    **head: Any,
) -> str:
    """Return a token, signed with key "one" unless told otherwise."""
    header = {"alg": "RS256", "kid": "one", **head}
    parts = [base64url(json.dumps(part).encode()) for part in (header, claims() if said is None else said)]
    if signature is None:
        signature = (private or key()).sign(".".join(parts).encode(), padding.PKCS1v15(), SHA256())
    return ".".join([*parts, base64url(signature)])


class KeyServer:
    """A key set at a URL, on a real socket. A context manager.

    Attributes:
        document: What it answers.
        status: With which status.
        asked: How often it was asked.
    """

    def __init__(self, document: bytes = b"") -> None:
        self.document = document or key_set("one")
        self.status = 200
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.document)))
                self.end_headers()
                self.wfile.write(outer.document)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/jwks.json"

    def close(self) -> None:
        """Stop listening. Idempotent."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
