"""The request that an application sees through a front door is the one the client sent, and its answer
the one the client gets, except for what the service itself loses (docs/lambda-fidelity.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portway.awslambda import handler
from portway.awslambda.adapter import LambdaHandler
from tests.awslambda.applications import Application, Context, Seen
from tests.awslambda.front_doors import DOORS, Answer, Wire, answered, decoded_once

PATH_CHARACTERS = "abcXYZ019-._~!$&'()*+,;=:@/"
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True).map(lambda name: f"X-{name}")
ESCAPE = st.integers(0, 255).map(lambda octet: f"%{octet:02X}")
WORD = st.text("abcXYZ019-._~+%", max_size=6).map(lambda text: text.replace("%", "%25"))


def utf8_paths() -> st.SearchStrategy[str]:
    """Return encoded paths whose octets are UTF-8."""
    piece = st.one_of(
        st.text(PATH_CHARACTERS, max_size=6),
        st.text(max_size=3)
        .filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
        .map(lambda text: "".join(f"%{octet:02X}" for octet in text.encode())),
    )
    return st.lists(piece, max_size=5).map(lambda pieces: "/" + "".join(pieces))


def queries() -> st.SearchStrategy[str]:
    """Return queries as forms write them, repeats and empty values included."""
    pair = st.tuples(st.text("abcxyz", min_size=1, max_size=3), WORD)
    return st.lists(pair, max_size=5).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


wires = st.builds(
    Wire,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path=utf8_paths(),
    query=queries(),
    fields=st.lists(st.tuples(NAME, VALUE), max_size=6).map(tuple),
    body=st.binary(max_size=60),
    host=st.sampled_from(
        ["example.com", "example.com:8443", "[2001:db8::1]", "[::1]:8000", "xn--bcher-kva.example"]
    ),
    client=st.sampled_from(["203.0.113.7", "2001:db8::7"]),
    scheme=st.sampled_from(["https", "http"]),
)


class Rig:
    """One application behind both interfaces and every front door."""

    def __init__(self, interface: str) -> None:
        self.application = Application()
        app = getattr(self.application, interface)
        self.handler: LambdaHandler = handler(app, lifespan="off", id_headers=False, deadline_margin=0)

    def seen(self, door: str, wire: Wire) -> Seen:
        """Return what the application sees of a request through a front door."""
        self.application.seen.clear()
        self.application.raw.clear()
        answer = answered(door, self.handler(DOORS[door](wire), Context()))
        assert answer.status == 200, answer.body
        return self.application.seen[-1]


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def rig(request: pytest.FixtureRequest) -> Any:
    """A rig for each interface, kept for all examples."""
    made = Rig(request.param)
    yield made
    made.handler.close()


every_door = pytest.mark.parametrize("door", DOORS)
thorough = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def form(query: str) -> list[tuple[str, str]]:
    """Return what a form parser makes of a query, in an order that does not depend on it."""
    return sorted(parse_qsl(query, keep_blank_values=True))


def expected_query(door: str, query: str) -> list[tuple[str, str]]:
    """Return the parameters that a front door delivers: without lists, the last of each name."""
    pairs = parse_qsl(query, keep_blank_values=True)
    if door in ("alb-single", "vpc-lattice-v1"):
        return sorted(dict(pairs).items())
    return sorted(pairs)


def expected_fields(door: str, wire: Wire) -> dict[str, str]:
    """Return the client's own fields, joined the way that makes every door comparable."""
    found: dict[str, list[str]] = {}
    for name, value in wire.fields:
        # Without lists a load balancer and a REST event's single object keep the last.
        key = name if door == "rest-api" or door == "http-api-v1" else name.lower()
        found.setdefault(key, []).append(value)
    if door == "alb-single":
        return {name: values[-1] for name, values in found.items()}
    merged: dict[str, list[str]] = {}
    for name, values in found.items():
        merged.setdefault(name.lower(), []).extend(values)
    return {name: ", ".join(values) for name, values in merged.items()}


@every_door
@thorough
@given(wire=wires)
def test_the_request_arrives(rig: Rig, door: str, wire: Wire) -> None:
    found = rig.seen(door, wire)
    assert found.method == wire.method
    assert found.body == wire.body
    assert found.scheme == wire.scheme
    assert found.client == wire.client
    assert found.path == unquote_to_bytes(wire.path)
    if door in ("http-api", "function-url", "lambda-edge"):
        assert found.query == wire.query.encode()
    assert form(found.query.decode()) == expected_query(door, wire.query)
    assert found.fields["host"] == [wire.host]
    expected = expected_fields(door, wire)
    for name, value in expected.items():
        assert ", ".join(found.fields[name]).replace(",", ", ").split() == value.replace(",", ", ").split()
    assert found.host == (
        wire.host[1:].partition("]")[0] if wire.host[0] == "[" else wire.host.partition(":")[0]
    )


@pytest.mark.parametrize("door", ["function-url", "alb-multi", "alb-single", "lambda-edge", "vpc-lattice"])
@thorough
@given(
    path=st.lists(st.one_of(ESCAPE, st.text(PATH_CHARACTERS, max_size=4)), max_size=8).map(
        lambda p: "/" + "".join(p)
    )
)
def test_encoded_paths_arrive_octet_for_octet(rig: Rig, door: str, path: str) -> None:
    found = rig.seen(door, Wire(path=path))
    if found.raw_path is None:
        assert found.path == unquote_to_bytes(path)
    else:
        assert found.raw_path == path.encode()
        assert found.path == unquote_to_bytes(path).decode("utf-8", "replace").encode()


@pytest.mark.parametrize("door", ["http-api", "http-api-v1"])
@thorough
@given(path=utf8_paths())
def test_decoded_paths_arrive_as_they_were_decoded(rig: Rig, door: str, path: str) -> None:
    found = rig.seen(door, Wire(path=path))
    assert found.path == decoded_once(path).encode()
    if found.raw_path is not None:
        assert unquote_to_bytes(found.raw_path) == found.path


@every_door
@thorough
@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    headers=st.lists(st.tuples(NAME, VALUE), max_size=6),
    cookies=st.lists(
        st.from_regex(r"[a-z]=[A-Za-z0-9, ;=]{0,20}", fullmatch=True).map(str.strip), max_size=4
    ),
    kind=st.sampled_from(["text/html; charset=utf-8", "application/json", "image/png", "text/csv", ""]),
    body=st.one_of(
        st.binary(max_size=80), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
    ),
)
def test_the_answer_arrives(
    rig: Rig,
    door: str,
    status: int,
    headers: list[tuple[str, str]],
    cookies: list[str],
    kind: str,
    body: bytes,
) -> None:
    application = rig.application
    before = (application.status, application.headers, application.body)
    application.status, application.body = status, body
    application.headers = [*headers, *(("Set-Cookie", cookie) for cookie in cookies)]
    if kind:
        application.headers.append(("Content-Type", kind))
    try:
        answer: Answer = answered(door, rig.handler(DOORS[door](Wire()), Context()))
    finally:
        application.status, application.headers, application.body = before
    assert (answer.status, answer.body) == (status, body)
    assert answer.values("set-cookie") == cookies
    expected: dict[str, list[str]] = {}
    for name, value in headers:
        expected.setdefault(name.lower(), []).append(value)
    for name, values in expected.items():
        if not (door == "lambda-edge" and name.startswith(("x-edge-", "x-amzn-", "x-accel-", "x-amz-cf-"))):
            assert ", ".join(answer.values(name)) == ", ".join(values)
