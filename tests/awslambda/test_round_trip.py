"""The request that an application sees through a front door is the one the client sent, and its answer
the one the client gets, except for what the service itself loses (docs/lambda-fidelity.md)."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.awslambda.applications import Context, Seen
from tests.awslambda.front_doors import DOORS, Answer, Wire, answered, decoded_once
from tests.awslambda.round_trips import (
    ESCAPE,
    PATH_CHARACTERS,
    Given,
    Rig,
    answers,
    thorough,
    utf8_paths,
    wires,
)


class Doors(Rig):
    """An application behind every front door."""

    def seen(self, door: str, wire: Wire) -> Seen:
        """Return what the application sees of a request through a front door."""
        self.forget()
        answer = answered(door, self.handler(DOORS[door](wire), Context()))
        assert answer.status == 200, answer.body
        return self.application.seen[-1]


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def rig(request: pytest.FixtureRequest) -> Any:
    """A rig for each interface, kept for all examples."""
    made = Doors(request.param)
    yield made
    made.handler.close()


every_door = pytest.mark.parametrize("door", DOORS)


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
def test_the_request_arrives(rig: Doors, door: str, wire: Wire) -> None:
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
def test_encoded_paths_arrive_octet_for_octet(rig: Doors, door: str, path: str) -> None:
    found = rig.seen(door, Wire(path=path))
    if found.raw_path is None:
        assert found.path == unquote_to_bytes(path)
    else:
        assert found.raw_path == path.encode()
        assert found.path == unquote_to_bytes(path).decode("utf-8", "replace").encode()


@pytest.mark.parametrize("door", ["http-api", "http-api-v1"])
@thorough
@given(path=utf8_paths())
def test_decoded_paths_arrive_as_they_were_decoded(rig: Doors, door: str, path: str) -> None:
    found = rig.seen(door, Wire(path=path))
    assert found.path == decoded_once(path).encode()
    if found.raw_path is not None:
        assert unquote_to_bytes(found.raw_path) == found.path


@every_door
@thorough
@given(given_answer=answers("text/html; charset=utf-8", "application/json", "image/png", "text/csv", ""))
def test_the_answer_arrives(rig: Doors, door: str, given_answer: Given) -> None:
    with rig.answering(given_answer):
        answer: Answer = answered(door, rig.handler(DOORS[door](Wire()), Context()))
    assert (answer.status, answer.body) == (given_answer.status, given_answer.body)
    assert answer.values("set-cookie") == given_answer.cookies
    for name, values in given_answer.joined.items():
        if not (door == "lambda-edge" and name.startswith(("x-edge-", "x-amzn-", "x-accel-", "x-amz-cf-"))):
            assert ", ".join(answer.values(name)) == values
