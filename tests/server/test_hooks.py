"""Hooks: each is called when it should be, in the process it should be, and harms nothing when it fails."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from portway.config.hook_table import ARBITER_EVENTS, EVENTS, WORKER_EVENTS, HookTable
from portway.config.kinds import Refused
from tests.support.client import Client, get
from tests.support.processes import APPS, Portway, wait_for_end
from tests.support.waiting import wait_until

KINDS = ("wsgi.py", "asgi.py")


class Calls:
    """The calls that were written down."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "calls"
        self.env = {"HOOKS_FILE": str(self._path), "PYTHONPATH": str(APPS)}

    def of(self, event: str) -> list[list[str]]:
        """Return the facts of every call: process id, then what it got."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == event]

    def wait_for(self, event: str, server: Portway) -> list[str]:
        """Return the last call of an event, as soon as there is one."""
        while not self.of(event):
            get(server.address)
        return self.of(event)[-1]


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    """None yet."""
    return Calls(tmp_path)


ALL = ",".join(f"{event}=hooks:{event}" for event in EVENTS)


@pytest.mark.parametrize("preload", [(), ("--preload",)])
@pytest.mark.parametrize("kind", KINDS)
def test_every_event_in_its_process(kind: str, preload: tuple[str, ...], calls: Calls) -> None:
    with Portway(kind, "--hooks", ALL, *preload, env=calls.env) as server:
        server.ready()
        arbiter = str(server.pid)
        worker = get(server.address, "/pid").body.decode()
        assert calls.of("on_starting") == [[arbiter, arbiter]]
        assert calls.of("when_ready") == [[arbiter, arbiter]]
        assert calls.of("pre_fork")[-1] == [arbiter, arbiter, "0"]
        assert calls.of("post_fork") == [[worker, arbiter, worker]]
        assert calls.of("post_worker_init") == [[worker, worker]]
        assert calls.of("pre_request") == [[worker, worker, "dict"]]
        assert calls.wait_for("post_request", server) == [worker, worker, "dict"]
        server.send(signal.SIGTTIN)
        assert calls.wait_for("nworkers_changed", server) == [arbiter, arbiter, "int", "int"]
        while get(server.address, "/pid").body.decode() == worker:
            pass  # until the second worker, too, has had a request
        server.send(signal.SIGHUP)
        server.ready(2)
        assert calls.of("on_reload") == [[arbiter, arbiter]]
        assert len(calls.of("when_ready")) == 1
        wait_for_end(int(worker))
        assert [worker, arbiter, worker] in calls.of("worker_exit")
        server.wait_for("info: serving ", count=2)
        assert server.stop(signal.SIGINT) == 0
        assert [arbiter, arbiter, worker] in calls.of("child_exit")
        assert calls.of("worker_int")
        assert calls.of("on_exit") == [[arbiter, arbiter]]
        assert len(calls.of("worker_exit")) == len(calls.of("post_fork")) == len(calls.of("child_exit"))


HANGS = {
    "import": "import time\ntime.sleep(600)\n",
    "lifespan": "import asyncio\nasync def app(scope, receive, send):\n    await asyncio.sleep(600)\n",
}


@pytest.mark.parametrize(
    ("where", "preload"), [("import", ()), ("lifespan", ()), ("lifespan", ("--preload",))]
)
def test_a_worker_that_is_stopped_before_it_is_ready_calls_worker_exit(
    where: str, preload: tuple[str, ...], calls: Calls, tmp_path: Path
) -> None:
    (tmp_path / "hangs.py").write_text(HANGS[where])
    hooks = "post_fork=hooks:post_fork,worker_exit=hooks:worker_exit"
    with Portway("hangs:app", "--hooks", hooks, *preload, cwd=tmp_path, env=calls.env) as server:
        wait_until(lambda: calls.of("post_fork"), "a worker")
        assert calls.of("worker_exit") == []
        server.send(signal.SIGTERM)
        assert server.exit_code() == 0
        assert calls.of("worker_exit") == calls.of("post_fork")


def test_a_worker_that_cannot_start_calls_worker_exit(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ValueError\n")
    hooks = "post_fork=hooks:post_fork,worker_exit=hooks:worker_exit"
    with Portway("broken:app", "--hooks", hooks, cwd=tmp_path, env=calls.env) as server:
        assert server.exit_code() == 3
        assert calls.of("worker_exit") == calls.of("post_fork") != []


def test_pre_exec_runs_in_what_becomes_the_next_arbiter(calls: Calls) -> None:
    with Portway("wsgi.py", "--hooks", "pre_exec=hooks:pre_exec", env=calls.env) as server:
        server.ready()
        server.send(signal.SIGUSR2)
        new = server.wait_for(r"info: upgrade: started the arbiter (\d+)")[1]
        server.ready(2)
        assert calls.of("pre_exec") == [[new, new]]
        os.kill(int(new), signal.SIGTERM)
        wait_for_end(int(new))


def test_an_aborted_worker_calls_its_hook(calls: Calls) -> None:
    with Portway("wsgi.py", "--hooks", "worker_abort=hooks:worker_abort", env=calls.env) as server:
        (worker,) = server.ready().workers()
        os.kill(worker, signal.SIGABRT)
        with Client(server.address) as client:  # the handler runs between two requests at the latest
            client.request()
        server.wait_for(rf"warning: worker {worker} ended \(SIGABRT\); starting another")
        assert calls.of("worker_abort") == [[str(worker), str(worker)]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("function", ["broken", "leaving"])
def test_hooks_that_raise_are_logged_and_harm_nothing(kind: str, function: str, calls: Calls) -> None:
    everything = ",".join(f"{event}=hooks:{function}" for event in EVENTS)
    with Portway(kind, "--hooks", everything, env=calls.env) as server:
        assert get(server.ready().address).status == 200
        server.send(signal.SIGHUP)
        server.ready(2)
        assert get(server.address).status == 200
        for event in ("on_starting", "pre_fork", "post_fork", "pre_request", "post_request", "on_reload"):
            server.wait_for(f"error: the hook {event} failed$")
        assert server.stop() == 0
        server.wait_for("error: the hook on_exit failed$")


def test_hooks_log_as_gunicorns_do(calls: Calls) -> None:
    with Portway("wsgi.py", "--hooks", "when_ready=hooks:Logs.ready", env=calls.env) as server:
        server.wait_for(r"info: hook says hello on \('http://127.0.0.1:\d+',\)$")


def test_a_table_in_the_file(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('[hooks]\nwhen_ready = "hooks:when_ready"\n')
    with Portway("wsgi.py", cwd=tmp_path, env=calls.env) as server:
        server.ready()
        assert calls.of("when_ready") == [[str(server.pid), str(server.pid)]]


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ("on_exit=nowhere:function", "^error: hooks.on_exit cannot be imported .*'nowhere'"),
        (
            "on_exit=hooks:gone",
            "^error: hooks.on_exit must name a function that its module has, not",
        ),
        ("post_fork=nowhere:function", "^error: hooks.post_fork cannot be imported"),
        ("on_exi=hooks:on_exit", r"^error: --hooks must name a known event \(on_exit\?\), not 'on_exi'"),
        ("on_exit", "^error: --hooks must be EVENT=MODULE:FUNCTION"),
    ],
)
def test_a_hook_that_does_not_exist_ends_a_start(hooks: str, said: str, calls: Calls) -> None:
    with Portway("wsgi.py", "--hooks", hooks, env=calls.env) as server:
        assert server.exit_code() in (1, 3)
        server.wait_for(said)


def test_events_are_of_one_process_each() -> None:
    assert not set(ARBITER_EVENTS) & set(WORKER_EVENTS)


@pytest.mark.parametrize(
    "value", ["text", 3, [], {"on_exit": 3}, {"on_exit": "no colon"}, {"gone": "a:b"}, {"on_exit": "a:b c"}]
)
def test_what_is_no_table_of_hooks(value: object) -> None:
    with pytest.raises(Refused):
        HookTable().from_toml(value)


def test_a_table_is_written_as_it_is_read() -> None:
    table = HookTable().from_text("on_exit=a.b:c, when_ready=d:e.f")
    assert table == (("when_ready", "d:e.f"), ("on_exit", "a.b:c"))
    assert HookTable().to_toml(table) == '{ when_ready = "d:e.f", on_exit = "a.b:c" }'
