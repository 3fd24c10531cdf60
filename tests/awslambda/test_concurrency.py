"""Environments that take several events at once, under both clients: AWS_LAMBDA_MAX_CONCURRENCY."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portway.awslambda.emulator.invocation import Invocation
from portway.awslambda.emulator.invocations import Invocations
from portway.awslambda.emulator.pool import Pool, Throttled
from tests.awslambda.emulated import WAIT_S, Emulated, body, state, until
from tests.awslambda.front_doors import Wire, function_url
from tests.awslambda.test_emulator import called, streams
from tests.support.waiting import Gate


def waiting(pool: Pool, gate: Gate, count: int) -> list[Invocation]:
    """Start invocations that come back when the gate opens; return when all are inside."""
    directory, found = gate.path.parent, []
    for number in range(count):
        event = {"do": "wait", "here": str(directory / f"in-{number}"), "until": str(gate.path)}
        found.append(pool.submit(json.dumps(event).encode()))
    until(lambda: all((directory / f"in-{number}").exists() for number in range(count)))
    return found


def test_several_events_at_once_in_one_environment(client: str, make: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    pool = make(client, concurrency=3, limit=1, timeout_s=WAIT_S)
    events = waiting(pool, gate, 3)
    with pytest.raises(Throttled):
        pool.submit(b"{}")
    gate.open()
    answers = [body(pool.done(one)) for one in events]
    assert len({one["pid"] for one in answers}) == 3
    assert [one["event"]["here"] for one in answers] == [str(tmp_path / f"in-{n}") for n in range(3)]
    assert [body(pool.ask({"n": n}))["event"] for n in range(6)] == [{"n": n} for n in range(6)]
    assert body(pool.ask({"do": "environ"}))["AWS_LAMBDA_MAX_CONCURRENCY"] == "3"
    assert pool.log.count("INIT_START") == 1 and pool.log.count("REPORT") == 10


def test_a_further_environment_when_all_workers_are_busy(make: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    pool = make("portway", concurrency=2, limit=2, timeout_s=WAIT_S)
    events = waiting(pool, gate, 3)
    assert len(pool) == 2
    gate.open()
    assert len({body(pool.done(one))["pid"] for one in events}) == 3


def test_nothing_is_frozen(client: str, make: Any) -> None:
    pool = make(client, concurrency=1)
    pid = body(pool.ask({}))["pid"]
    until(lambda: state(pid) == "S")
    assert body(pool.ask({}))["pid"] == pid


def test_a_timeout_is_that_of_one_event(client: str, make: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    pool = make(client, concurrency=2, limit=1, timeout_s=3.0)
    late = pool.submit(json.dumps({"do": "hang"}).encode())
    (other,) = waiting(pool, gate, 1)
    answer = pool.done(late)
    assert (answer.error, "Task timed out after 3.00 seconds" in answer.body.decode()) == (
        "Sandbox.Timedout",
        True,
    )
    assert pool.done(other).error == "Sandbox.Timedout"
    gate.open()
    # The one that hangs keeps its worker, the one that comes back has it free again.
    until(lambda: taken(pool))
    assert pool.log.count("INIT_START") == 1


def taken(pool: Emulated) -> bool:
    """Tell whether the pool takes and answers an event."""
    try:
        return not pool.ask({}).error
    except Throttled:
        return False


def test_a_worker_that_dies_is_replaced_and_costs_its_own_event_alone(make: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    pool = make("portway", concurrency=2, limit=1, timeout_s=3.0)
    dying = pool.submit(json.dumps({"do": "kill"}).encode())
    assert body(pool.ask({"n": 1}))["event"] == {"n": 1}
    assert pool.done(dying).error == "Sandbox.Timedout"
    until(lambda: taken(pool))
    events = waiting(pool, gate, 2)
    gate.open()
    assert len({body(pool.done(one))["pid"] for one in events}) == 2
    assert pool.log.count("INIT_START") == 1


def test_a_function_that_cannot_be_initialised(client: str, make: Any, tmp_path: Path) -> None:
    (tmp_path / "fn.py").write_text("raise LookupError('no DATABASE_URL')")
    answer = make(client, concurrency=2).ask({})
    assert (answer.error, answer.fatal) == ("LookupError", True)


def test_streams_and_lifespans(make: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "go-on")
    pool = streams(make, tmp_path, grace_s=WAIT_S, concurrency=2)
    first = pool.submit(json.dumps(function_url(Wire(path="/wait"))).encode())
    assert pool.ask(function_url(Wire(path="/"))).whole().endswith(b"firstlast")
    gate.open()
    assert pool.done(first).whole().endswith(b"firstlast")
    assert pool.log.count("EXTENSION\tName: portway") == 1  # one for all workers
    pool.close()
    assert (tmp_path / "ended").exists()


def test_emulate_takes_as_many_calls_at_once(make: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    pool = make("portway", concurrency=2, limit=1, timeout_s=WAIT_S)
    (held,) = waiting(pool, gate, 1)
    status, found = called(Invocations(pool), b'{"n": 1}')
    assert status == "200 OK" and json.loads(found)["event"] == {"n": 1}
    pool.submit(b'{"do": "hang"}')
    status, found = called(Invocations(pool), b"{}")
    assert (status, json.loads(found)["errorType"]) == ("429 Too Many Requests", "TooManyRequestsException")
    gate.open()
    assert not pool.done(held).error
