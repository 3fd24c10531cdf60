"""A request through a door's event and Portway's own handler is the request that the client sent, and the
answer is the application's, except for what the service itself loses (docs/lambda-fidelity.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.awslambda import handler
from portway.awslambda.adapter import LambdaHandler
from portway.awslambda.front import Door, HTTPRequest, Response, build_event, read_answer
from portway.awslambda.front.wsgi import new_stamp
from tests.awslambda.applications import Application, Context, Seen
from tests.awslambda.front_doors import Wire
from tests.awslambda.test_round_trip import NAME, VALUE, form, thorough, utf8_paths, wires

DOORS = {
    "rest": Door("rest"),
    "rest-stage": Door("rest", "live"),
    "http": Door("http"),
    "http-stage": Door("http", "live"),
    "url": Door("url"),
    "alb": Door("alb"),
    "alb-single": Door("alb", multi_value=False),
}
every_door = pytest.mark.parametrize("door", DOORS)


def request_of(wire: Wire, prefix: str = "") -> HTTPRequest:
    """Return the request that a client writes, its path below a prefix."""
    fields = [("Host", wire.host), *wire.fields]
    return HTTPRequest(
        wire.method,
        prefix + wire.path,
        wire.query,
        fields,
        wire.body,
        wire.client,
        wire.scheme,
        int(wire.port),
    )


class Rig:
    """One application behind both interfaces and every door."""

    def __init__(self, interface: str) -> None:
        self.application = Application()
        app = getattr(self.application, interface)
        self.handler: LambdaHandler = handler(app, lifespan="off", id_headers=False, deadline_margin=0)

    def exchange(self, name: str, wire: Wire) -> tuple[Seen, Response]:
        """Return what the application sees through a door, and what the client gets."""
        door = DOORS[name]
        request = request_of(wire, f"/{door.stage}" if door.stage else "")
        self.application.seen.clear()
        self.application.raw.clear()
        event = build_event(door, request, new_stamp())
        response = read_answer(door, self.handler(event, Context()), request)
        return self.application.seen[-1], response


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def rig(request: pytest.FixtureRequest) -> Any:
    """A rig for each interface, kept for all examples."""
    made = Rig(request.param)
    yield made
    made.handler.close()


@every_door
@thorough
@given(wire=wires)
def test_the_request_arrives(rig: Rig, door: str, wire: Wire) -> None:
    found, _ = rig.exchange(door, wire)
    assert (found.method, found.body, found.scheme) == (wire.method, wire.body, wire.scheme)
    assert (found.client, found.port) == (wire.client, int(wire.port))
    assert found.root_path == (f"/{DOORS[door].stage}" if DOORS[door].stage else "")
    assert found.path == unquote_to_bytes(wire.path)
    if door in ("http", "http-stage", "url"):
        assert found.query == wire.query.encode()
    pairs = parse_qsl(wire.query, keep_blank_values=True)
    assert form(found.query.decode()) == sorted(dict(pairs).items() if door == "alb-single" else pairs)
    assert found.fields["host"] == [wire.host]
    expected: dict[str, list[str]] = {}
    for name, value in wire.fields:
        expected.setdefault(name.lower(), []).append(value)
    spelled = [name for name, _ in wire.fields]
    for name, values in expected.items():
        if door.startswith("rest") and len({word for word in spelled if word.lower() == name}) > 1:
            values = sorted(values)  # a REST API lists each spelling of a name for itself
            assert sorted(",".join(found.fields[name]).replace(" ", "")) == sorted(
                ",".join(values).replace(" ", "")
            )
            continue
        kept = values[-1:] if door == "alb-single" else values
        assert ",".join(found.fields[name]).replace(", ", ",") == ",".join(kept).replace(", ", ",")


@pytest.mark.parametrize("door", ["rest", "rest-stage", "url", "alb", "alb-single"])
@thorough
@given(
    path=st.lists(
        st.one_of(st.integers(0, 255).map("%{:02x}".format), st.text("ab-._~!$&'()*+,;=:@/", max_size=4)),
        max_size=8,
    ).map(lambda pieces: "/" + "".join(pieces))
)
def test_encoded_paths_arrive_octet_for_octet(rig: Rig, door: str, path: str) -> None:
    found, _ = rig.exchange(door, Wire(path=path))
    if found.raw_path is None:
        assert found.path == unquote_to_bytes(path)
    else:
        stage = DOORS[door].stage
        assert found.raw_path == (f"/{stage}{path}" if stage else path).encode()


@pytest.mark.parametrize("door", ["http", "http-stage"])
@thorough
@given(path=utf8_paths())
def test_decoded_paths_arrive_as_they_were_decoded(rig: Rig, door: str, path: str) -> None:
    found, _ = rig.exchange(door, Wire(path=path))
    assert found.path == unquote_to_bytes(path)


@every_door
@thorough
@given(
    status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
    headers=st.lists(st.tuples(NAME, VALUE), max_size=6),
    cookies=st.lists(
        st.from_regex(r"[a-z]=[A-Za-z0-9,;= ]{0,20}", fullmatch=True).map(str.strip), max_size=4
    ),
    kind=st.sampled_from(["text/html; charset=utf-8", "application/json", "image/png", "text/csv"]),
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
    application.headers = [
        *headers,
        *(("Set-Cookie", cookie) for cookie in cookies),
        ("Content-Type", kind),
    ]
    try:
        _, response = rig.exchange(door, Wire())
    finally:
        application.status, application.headers, application.body = before
    assert (response.status, response.body) == (status, body)
    found: dict[str, list[str]] = {}
    for name, value in response.fields:
        found.setdefault(name.lower(), []).append(value)
    assert found.pop("set-cookie", []) == cookies
    assert found.pop("content-type") == [kind]
    expected: dict[str, list[str]] = {}
    for name, value in headers:
        expected.setdefault(name.lower(), []).append(value)
    assert {name: ", ".join(values) for name, values in found.items()} == {
        name: ", ".join(values) for name, values in expected.items()
    }
