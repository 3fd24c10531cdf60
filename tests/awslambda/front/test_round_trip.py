"""A request through a door's event and Portway's own handler is the request that the client sent, and the
answer is the application's, except for what the service itself loses (docs/lambda-fidelity.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.awslambda.front import Door, HTTPRequest, Response, build_event, read_answer
from portway.awslambda.front.wsgi import new_stamp
from tests.awslambda.applications import Context, Seen
from tests.awslambda.front_doors import Wire
from tests.awslambda.round_trips import Given, Rig, answers, thorough, utf8_paths, wires
from tests.awslambda.test_round_trip import form

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


class Doors(Rig):
    """An application behind every door."""

    def exchange(self, name: str, wire: Wire) -> tuple[Seen, Response]:
        """Return what the application sees through a door, and what the client gets."""
        door = DOORS[name]
        request = request_of(wire, f"/{door.stage}" if door.stage else "")
        self.forget()
        event = build_event(door, request, new_stamp())
        response = read_answer(door, self.handler(event, Context()), request)
        return self.application.seen[-1], response


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def rig(request: pytest.FixtureRequest) -> Any:
    """A rig for each interface, kept for all examples."""
    made = Doors(request.param)
    yield made
    made.handler.close()


@every_door
@thorough
@given(wire=wires)
def test_the_request_arrives(rig: Doors, door: str, wire: Wire) -> None:
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
def test_encoded_paths_arrive_octet_for_octet(rig: Doors, door: str, path: str) -> None:
    found, _ = rig.exchange(door, Wire(path=path))
    if found.raw_path is None:
        assert found.path == unquote_to_bytes(path)
    else:
        stage = DOORS[door].stage
        assert found.raw_path == (f"/{stage}{path}" if stage else path).encode()


@pytest.mark.parametrize("door", ["http", "http-stage"])
@thorough
@given(path=utf8_paths())
def test_decoded_paths_arrive_as_they_were_decoded(rig: Doors, door: str, path: str) -> None:
    found, _ = rig.exchange(door, Wire(path=path))
    assert found.path == unquote_to_bytes(path)


@every_door
@thorough
@given(given_answer=answers("text/html; charset=utf-8", "application/json", "image/png", "text/csv"))
def test_the_answer_arrives(rig: Doors, door: str, given_answer: Given) -> None:
    with rig.answering(given_answer):
        _, response = rig.exchange(door, Wire())
    assert (response.status, response.body) == (given_answer.status, given_answer.body)
    found: dict[str, list[str]] = {}
    for name, value in response.fields:
        found.setdefault(name.lower(), []).append(value)
    assert found.pop("set-cookie", []) == given_answer.cookies
    assert found.pop("content-type") == [given_answer.kind]
    assert {name: ", ".join(values) for name, values in found.items()} == given_answer.joined
