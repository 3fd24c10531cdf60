"""`portway.serve` in real scripts: the whole server, and a program that goes on behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import portway
from portway.errors import BadValue, UnknownOption, UsageError
from tests.embedding.apps import wsgi_app
from tests.support.client import Client, get
from tests.support.processes import Portway, wait_for_end
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
APPLICATION = """
import atexit, os, sys, threading, portway
def say(*words): os.write(2, f"says {' '.join(map(str, words))}\\n".encode())
atexit.register(say, "exit of the program", os.getpid())
def app(environ, start_response):
    if environ["PATH_INFO"] == "/register":
        atexit.register(say, "exit of a worker", os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {MADE}".encode()]
MADE = 1
"""


def script(tmp_path: Path, text: str) -> Portway:
    """Run a script as `python main.py` does."""
    path = tmp_path / "main.py"
    path.write_text(text)
    return Portway("", command=[sys.executable, "-W", "error", str(path)], cwd=tmp_path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_workers_end_and_the_program_goes_on(tmp_path: Path, number: int) -> None:
    text = APPLICATION + (
        "import signal\n"
        "before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)\n"
        "try:\n"
        "    portway.serve(app, bind='127.0.0.1:0', workers=2, threads=2)\n"
        "finally:\n"
        "    say('finally', os.getpid())\n"
        "assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))\n"
        "say('after', os.getpid())\n"
    )
    with script(tmp_path, text) as server:
        workers = server.ready().workers()
        assert len(workers) == 2
        answers = {int(get(server.address, "/register").body.split()[0]) for _ in range(20)}
        assert answers <= set(workers)
        assert server.stop(number) == 0
        for kind in ("finally", "after", "exit of the program"):
            assert [line for line in server.lines if f"says {kind}" in line] == [f"says {kind} {server.pid}"]
        said = {int(line.split()[-1]) for line in server.lines if "exit of a worker" in line}
        assert said == answers
        assert "serving WSGI application __main__:app with 2 workers of 2 threads" in server.log


def test_a_name_can_be_reloaded(tmp_path: Path) -> None:
    module = tmp_path / "site_app.py"
    module.write_text(APPLICATION)
    with script(tmp_path, "import portway\nportway.serve('site_app:app', bind='127.0.0.1:0')\n") as server:
        assert get(server.ready().address).body.endswith(b" 1")
        module.write_text(APPLICATION.replace("MADE = 1", "MADE = 1 + 1"))
        server.send(signal.SIGHUP)
        server.ready(2)
        wait_until(lambda: get(server.address).body.endswith(b" 2"), "new code")
        assert server.stop() == 0


def test_an_object_survives_a_reload_as_it_is(tmp_path: Path) -> None:
    with script(tmp_path, APPLICATION + "portway.serve(app, bind='127.0.0.1:0')\n") as server:
        before = get(server.ready().address).body
        server.send(signal.SIGHUP)
        server.ready(2)
        wait_until(lambda: get(server.address).body != before, "new worker")
        assert before.split()[1] == get(server.address).body.split()[1]
        assert server.stop() == 0


def test_a_factory_is_called_in_each_worker(tmp_path: Path) -> None:
    text = APPLICATION + (
        "def create_app():\n"
        "    say('made in', os.getpid())\n"
        "    return app\n"
        "portway.serve(create_app, bind='127.0.0.1:0', workers=2)\n"
    )
    with script(tmp_path, text) as server:
        workers = server.ready().workers()
        assert server.stop() == 0
        assert {int(line.split()[-1]) for line in server.lines if "says made in" in line} == set(workers)


def test_asgi_with_its_lifespan(tmp_path: Path) -> None:
    text = (
        "import portway\n"
        "from tests.embedding.apps import Recorder\n"
        "class Told(Recorder):\n"
        "    async def _lifespan(self, *arguments):\n"
        "        await super()._lifespan(*arguments)\n"
        "        print('says', *self.events, flush=True, file=__import__('sys').stderr)\n"
        "portway.serve(Told(), bind='127.0.0.1:0')\n"
    )
    path = tmp_path / "main.py"
    path.write_text(text)
    with Portway("", command=[sys.executable, str(path)], env={"PYTHONPATH": str(ROOT)}) as server:
        assert get(server.ready().address).body == b"asgi http state"
        assert server.stop() == 0
        assert server.lines.count("says startup shutdown") == 1


def test_an_upgrade_starts_the_script_again(tmp_path: Path) -> None:
    text = APPLICATION + f"portway.serve(app, bind='127.0.0.1:0', pid={str(tmp_path / 'pid')!r})\n"
    with script(tmp_path, text) as server:
        address = server.ready().address
        server.send(signal.SIGUSR2)
        server.ready(2)
        successor = int((tmp_path / "pid.2").read_text())
        server.send(signal.SIGTERM)
        server.wait_for(rf"\[{successor}\] info: upgrade: the arbiter {server.pid} is gone")
        with Client(address) as client:
            assert client.get().status == 200
        os.kill(successor, signal.SIGTERM)
        wait_for_end(successor)


def test_environment_and_file_count_behind_the_arguments(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('threads = 7\nbind = "127.0.0.1:1"\nworkers = 2\n')
    with script(tmp_path, APPLICATION + "portway.serve(app, bind='127.0.0.1:0', workers=1)\n") as server:
        server.ready()
        assert "1 worker of 7 threads" in server.log
        assert server.stop() == 0


def test_a_mistake_is_a_traceback_with_its_hint(tmp_path: Path) -> None:
    text = "import portway\nportway.serve('nowhere:app', bind='127.0.0.1:0')\n"
    with script(tmp_path, text) as server:
        assert server.exit_code() == 1
        server.wait_for("portway.errors.StartupFailed: there is no module 'nowhere'|no module.*nowhere")
        server.wait_for("^hint: ")
    with script(tmp_path, APPLICATION + "portway.serve(app, bind='127.0.0.1:0', thread=3)\n") as server:
        assert server.exit_code() == 1
        server.wait_for("portway.errors.UnknownOption: unknown argument 'thread'")
        server.wait_for("hint: did you mean threads")


def test_two_after_each_other(tmp_path: Path) -> None:
    text = APPLICATION + "for _ in range(2):\n    portway.serve(app, bind='127.0.0.1:0')\nsay('after')\n"
    with script(tmp_path, text) as server:
        server.ready()
        server.send(signal.SIGTERM)
        server.wait_for("info: stopped")
        server.ready(2)
        assert server.stop() == 0
        assert server.lines.count("says after") == 1


def test_with_servers_of_its_own_beside_it(tmp_path: Path) -> None:
    """The forked workers hold nothing of the one that runs in the arbiter's process."""
    text = APPLICATION + (
        "import warnings\n"
        "with portway.Server(app, bind='127.0.0.1:0') as beside:\n"
        "    say('beside', beside.url.rpartition(':')[2])\n"
        "    with warnings.catch_warnings(record=True) as caught:\n"
        "        warnings.simplefilter('always')\n"
        "        portway.serve(app, bind='127.0.0.1:0')\n"
        "    say('warned', *[str(one.message) for one in caught if one.category is RuntimeWarning])\n"
    )
    with script(tmp_path, text) as server:
        beside = "127.0.0.1", int(server.wait_for(r"says beside (\d+)")[1])
        server.ready()
        assert int(get(beside).body.split()[0]) == server.pid
        assert int(get(server.address).body.split()[0]) in server.workers()
        assert server.stop() == 0
        server.wait_for("says warned .* other threads of this process are not forked")


# -- refused -------------------------------------------------------------------------------------------------


def test_only_in_the_main_thread() -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            portway.serve(wsgi_app)
        except UsageError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert "main thread" in str(caught[0])


def test_not_in_an_event_loop() -> None:
    program = "import asyncio, portway\nasync def main(): portway.serve('site:app')\nasyncio.run(main())\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50
    )
    assert "would block the event loop" in done.stderr


@pytest.mark.parametrize("option", ["reload", "preload"])
def test_what_imports_again_needs_a_name(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match="needs the application's name"):
        options: dict[str, Any] = {option: True}
        portway.serve(wsgi_app, bind="127.0.0.1:0", **options)
    with pytest.raises(UnknownOption):
        portway.serve(wsgi_app, nonsense=1)
