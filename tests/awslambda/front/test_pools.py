"""Tokens of user pools: signed by another implementation, keys from a real socket, and what must not pass."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA1, SHA512

from portway.awslambda.front.pools import FETCH_AGAIN_S, FRESH_S, RETRY_S, KeySet, NoKeys, issuer_of
from portway.awslambda.front.rs256 import BadKeys, PublicKey, from_base64url, read_keys
from portway.awslambda.front.tokens import texts
from tests.support.processes import APPS, COMMAND, DEADLINE_S, Portway
from tests.support.user_pools import (
    OTHER_ISSUER,
    KeyServer,
    access,
    base64url,
    claims,
    jwk,
    key,
    key_set,
    token,
)

PROJECT = str(APPS / "notes")
UNAUTHORIZED = (401, {"message": "Unauthorized"})
EXPIRED = (401, {"message": "The incoming token has expired"})
BROKEN = (500, {"message": None})


def get(server: Portway, value: str | None, path: str = "/pool") -> tuple[int, Any]:
    """Ask a route with a value of Authorization; return status and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", server.ready().address[1], timeout=DEADLINE_S)
    try:
        connection.request("GET", path, headers={} if value is None else {"Authorization": value})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def keys() -> Iterator[KeyServer]:
    """A server for the keys."""
    with KeyServer() as server:
        yield server


@pytest.fixture(scope="module")
def portway(keys: KeyServer) -> Iterator[Portway]:
    """The project, which asks that server."""
    with Portway("app:app", "--chdir", PROJECT, "--user-pool-keys", keys.url) as server:
        yield server
        assert server.stop() == 0


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer ", "Bearer  "])
def test_a_good_token(portway: Portway, prefix: str) -> None:
    said = claims(**{"email_verified": True, "cognito:groups": ["a", "b"], "auth_time": 7})
    status, found = get(portway, prefix + token(said))
    assert status == 200
    told = found["authorizer"]["claims"]
    assert told["sub"] == "ann"
    assert (told["email_verified"], told["cognito:groups"], told["auth_time"]) == ("true", "a,b", "7")
    assert all(isinstance(value, str) for value in told.values())


def test_the_second_pool_of_an_authorizer(portway: Portway) -> None:
    assert get(portway, token(claims(iss=OTHER_ISSUER)))[0] == 200


def test_an_access_token_with_one_of_the_scopes(portway: Portway) -> None:
    for scope in ("notes/read", "x notes/write"):
        assert get(portway, token(access(scope)), "/pool/scoped")[0] == 200


@pytest.mark.parametrize(
    "said", [access("notes/other"), access(""), access(None), access("notes/reader"), claims()]
)
def test_no_scope(portway: Portway, said: dict[str, Any]) -> None:
    assert get(portway, token(said), "/pool/scoped") == UNAUTHORIZED


def public_pem() -> bytes:
    """Return the public key as the secret that a confused verifier would take."""
    return (
        key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def with_hmac() -> str:
    """Return a token signed with HS256, whose secret is the public key."""
    signed = token(alg="HS256", signature=b"").rstrip(".")
    return f"{signed}.{base64url(hmac.digest(public_pem(), signed.encode(), 'sha256'))}"


def with_other_padding(digest: SHA1 | SHA512) -> str:
    """Return a token that is signed with another digest and says RS256."""
    signed = token(signature=b"").rstrip(".")
    return f"{signed}.{base64url(key().sign(signed.encode(), padding.PKCS1v15(), digest))}"


def tampered() -> str:
    """Return a good token with other claims."""
    head, _, signature = token().split(".")
    return ".".join((head, base64url(json.dumps(claims(sub="root")).encode()), signature))


NOW = int(time.time())
BAD = {
    "nothing": "",
    "only-bearer": "Bearer ",
    "words": "not a token",
    "two-parts": "a.b",
    "four-parts": token() + ".x",
    "empty-parts": "..",
    "not-json": "e30.e30.e30",
    "a-list": f"{base64url(b'[]')}.{base64url(b'[]')}.AA",
    "deep": f"{base64url(b'[' * 5000)}.e30.AA",
    "padded": token() + "=",
    "not-ascii": "ü.ü.ü",
    "tampered": tampered(),
    "wrong-key": token(private=key("other")),
    "unknown-kid": token(private=key("other"), kid="other"),
    "no-kid": token(kid=None),
    "crit": token(crit=["x"]),
    "none": token(alg="none", signature=b""),
    "None": token(alg="None", signature=b""),
    "rs256-without-a-signature": token(signature=b""),
    "hs256-with-the-public-key": with_hmac(),
    "rs512": token(alg="RS512"),
    "sha1": with_other_padding(SHA1()),
    "sha512": with_other_padding(SHA512()),
    "zeros": token(signature=bytes(256)),
    "one": token(signature=(1).to_bytes(256)),
    "short": token(signature=b"\x01"),
    "other-issuer": token(claims(iss="https://example.com")),
    "no-issuer": token(claims(iss=None)),
    "a-list-of-issuers": token(claims(iss=["x"])),
    "no-exp": token(claims(exp=None)),
    "exp-is-text": token(claims(exp="9999999999")),
    "exp-is-true": token(claims(exp=True)),
    "exp-is-endless": token(claims(exp=1e300)),
    "not-yet": token(claims(nbf=NOW + 5000)),
    "an-access-token": token(access()),
    "no-use": token(claims(token_use=None)),
    "expired-and-forged": token(claims(exp=NOW - 5), private=key("other")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_token_that_lets_nobody_in(portway: Portway, name: str) -> None:
    value = BAD[name].encode().decode("latin-1")
    assert get(portway, value) == UNAUTHORIZED


def test_no_token_at_all(portway: Portway) -> None:
    assert get(portway, None) == UNAUTHORIZED


def test_expired(portway: Portway) -> None:
    assert get(portway, token(claims(exp=int(time.time()) - 1))) == EXPIRED


def test_unknown_keys_are_asked_for_at_a_bounded_rate(portway: Portway, keys: KeyServer) -> None:
    assert get(portway, token())[0] == 200
    asked = keys.asked
    for number in range(20):
        assert get(portway, token(private=key("other"), kid=f"k{number}")) == UNAUTHORIZED
    assert keys.asked <= asked + 1
    assert get(portway, token())[0] == 200


def test_keys_that_cannot_be_fetched() -> None:
    with KeyServer() as keys:
        url = keys.url
    with Portway("app:app", "--chdir", PROJECT, "--user-pool-keys", url) as server:
        for _ in range(5):
            assert get(server, token()) == BROKEN
        server.wait_for("GET /pool: the user pool's keys cannot be fetched")
        assert get(server, "a.b.c") == UNAUTHORIZED
        assert get(server, None, "/")[0] == 200
        assert server.stop() == 0
        assert not any("Traceback" in line for line in server.lines)


def test_an_answer_without_keys_is_none() -> None:
    with KeyServer() as server:
        keys, said = KeySet(server.url), list[str]()
        server.status = 503
        with pytest.raises(NoKeys):
            keys.find("one", said.append)
        server.status, server.document = 200, b"<html>"
        with pytest.raises(NoKeys):
            KeySet(server.url).find("one", said.append)
    assert ["503" in said[0], said[1].endswith("not a JSON Web Key Set"), len(said)] == [True, True, 2]


def test_keys_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "jwks.json").write_bytes(key_set("one"))
    where = str(tmp_path / "jwks.json")
    with Portway("app:app", "--chdir", PROJECT, env={"PORTWAY_USER_POOL_KEYS": where}) as server:
        assert get(server, token())[0] == 200
        assert get(server, token(private=key("other"))) == UNAUTHORIZED
        assert server.stop() == 0


def test_routes_that_refuse_everybody_are_named_at_the_start() -> None:
    with Portway("app:app", "--chdir", PROJECT, "--workers", "2") as server:
        server.ready()
        server.wait_for("warning: GET /signed refuses everybody here: IAM's signatures cannot be verified")
        assert server.stop() == 0
        assert sum("refuses everybody" in line for line in server.lines) == 1


class Source:
    """A key set that is changed, broken and counted."""

    def __init__(self, document: bytes | None) -> None:
        self.document = document
        self.asked = 0
        self.now = 1000.0
        self.said: list[str] = []
        self.keys = KeySet("there", self.fetch, lambda: self.now)

    def fetch(self, where: str) -> bytes:
        self.asked += 1
        if self.document is None:
            raise OSError("it is down")
        return self.document

    def find(self, kid: str) -> PublicKey | None:
        return self.keys.find(kid, self.said.append)


def test_a_new_key_is_found_after_a_minute() -> None:
    source = Source(key_set("one"))
    assert source.find("one") is not None
    source.document = key_set("one", "two")
    assert source.find("two") is None
    source.now += FETCH_AGAIN_S
    assert source.find("two") is not None
    assert source.asked == 2


def test_a_key_that_is_withdrawn_is_forgotten_after_an_hour() -> None:
    source = Source(key_set("one", "two"))
    assert source.find("one") is not None
    source.document = key_set("two")
    source.now += FRESH_S
    assert source.find("one") is None


def test_old_keys_are_used_while_there_are_no_new_ones() -> None:
    source = Source(key_set("one"))
    assert source.find("one") is not None
    source.document = None
    source.now += FRESH_S
    for _ in range(3):
        assert source.find("one") is not None
    assert source.said == ["the user pool's keys cannot be fetched from there: it is down"]
    assert source.asked == 2


def test_without_keys_it_is_tried_again_soon() -> None:
    source = Source(None)
    for _ in range(3):
        with pytest.raises(NoKeys):
            source.find("one")
    assert (source.asked, len(source.said)) == (1, 1)
    source.document = key_set("one")
    source.now += RETRY_S
    assert source.find("one") is not None


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 5}', b"[" * 99999, b"\xff", b"<html>"])
def test_a_document_that_is_no_key_set(document: bytes) -> None:
    with pytest.raises(BadKeys):
        read_keys(document)


def test_keys_that_are_not_for_this_are_passed_over() -> None:
    good = key()
    others: list[Any] = [
        jwk("weak", key("weak", 1024)),
        jwk("encryption", good, use="enc"),
        jwk("rs512", good, alg="RS512"),
        jwk("curve", good, kty="EC"),
        jwk("even", good, e="Ag"),
        jwk("one", good, e="AQ"),
        jwk("no-number", good, n=5),
        jwk("not-base64", good, n="%%%"),
        jwk("endless", good, n=base64url(b"\xff" * 2000)),
        {**jwk("x", good), "kid": 7},
        5,
    ]
    assert list(read_keys(json.dumps({"keys": [*others, jwk("good", good)]}).encode())) == ["good"]


def test_forged_padding_with_a_small_exponent() -> None:
    """Bleichenbacher 2006: the digest stands right, what follows it makes the whole a cube."""
    private = key("small", 2048, 3)
    public = read_keys(json.dumps({"keys": [jwk("k", private)]}).encode())["k"]
    message = b"message"
    info = bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
    start = b"\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff\x00" + info
    wanted = int.from_bytes(start + b"\xff" * (256 - len(start)))
    root = 1 << (wanted.bit_length() // 3 + 1)  # Newton's, from above
    while root**3 > wanted:
        root = (2 * root + wanted // (root * root)) // 3
    assert (root**3).to_bytes(256).startswith(start)
    assert not public.verifies(message, root.to_bytes(256))


def test_what_base64url_is_not() -> None:
    assert from_base64url("-_8") == b"\xfb\xff"
    for text in ("-_9", "+/8", "-_8=", "-_8\n", " -_8", "a", "ü"):
        with pytest.raises(ValueError):
            from_base64url(text)


def test_claims_as_text() -> None:
    said = {"exp": 1532540984, "iat": "x", "n": None, "o": [{"a": 1}], "f": False, "auth_time": 5}
    assert texts(said) == {
        "exp": "Wed Jul 25 17:49:44 UTC 2018",
        "iat": "x",
        "n": "null",
        "o": '{"a":1}',
        "f": "false",
        "auth_time": "5",
    }


@pytest.mark.parametrize(
    ("arn", "issuer"),
    [
        ("arn:aws:cognito-idp:us-east-1:1:userpool/us-east-1_x", "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_x"),
        (
            "arn:aws-cn:cognito-idp:cn-north-1:1:userpool/cn-north-1_x",
            "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_x",
        ),
        ("arn:aws:cognito-idp:evil.example/:1:userpool/x", None),
        ("arn:aws:iam::1:role/x", None),
        ("", None),
    ],
)  # fmt: skip
def test_the_issuer_of_a_pool(arn: str, issuer: str | None) -> None:
    assert issuer_of(arn) == issuer


def test_check_tells_the_same() -> None:
    command = [*COMMAND, "check", "app:app", "--chdir", PROJECT]
    other = [*command, "--user-pool-keys", "ftp://example.com/keys"]
    found = subprocess.run(other, capture_output=True, text=True, timeout=DEADLINE_S)
    assert found.returncode == 1
    assert "--user-pool-keys" in found.stderr
    found = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S)
    assert "warning: GET /signed refuses everybody here" in found.stderr
    assert found.returncode == 0
