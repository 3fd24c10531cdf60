"""`portway.Server`: one engine in this process, and nothing of it left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import portway
from portway.engine.connection import alive
from portway.errors import (
    AppImportError,
    AppNotFound,
    BadValue,
    BindError,
    NotAnApplication,
    PortwayError,
    StartupFailed,
    UnknownOption,
    UsageError,
)
from tests.embedding.apps import Gate, Recorder, create_app, recorder, wsgi_app
from tests.support.certificates import authority_file, certificate
from tests.support.client import Client, get
from tests.support.processes import DEADLINE_S
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
Apps = Callable[[], Any]
KINDS = pytest.mark.parametrize("make", [lambda: wsgi_app, Recorder], ids=["wsgi", "asgi"])


def server(app: Any, **options: Any) -> portway.Server:
    """Return a server on a port that the system chooses."""
    return portway.Server(app, **{"bind": "127.0.0.1:0", **options})


def port(served: portway.Server) -> tuple[str, int]:
    """Return the address of a server."""
    return "127.0.0.1", int(served.url.rpartition(":")[2])


def descriptors() -> list[str]:
    """Return what this process has open, whatever numbers it has."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}").partition("[")[0])
        except FileNotFoundError:
            pass  # the one that listed the directory
    return sorted(found)


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test does, no thread, descriptor or object of an engine outlives it."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    gc.collect()
    before = descriptors(), alive()
    others = set(threading.enumerate())
    yield

    def is_clean() -> bool:
        gc.collect()
        threads = [
            one for one in threading.enumerate() if one.name.startswith("portway") and one not in others
        ]
        return not threads and (descriptors(), alive()) == before

    try:
        wait_until(is_clean, "clean process")
    except AssertionError:
        pytest.fail(f"left behind: {threading.enumerate()} {alive()} {before} {descriptors()}")


@KINDS
def test_serves_and_starts_again(make: Apps) -> None:
    served = server(make())
    assert not served.running and served.addresses == ()
    for _ in range(3):
        with served:
            assert served.running
            assert served.addresses == (served.url,)
            with requests.Session() as client:
                for _ in range(3):
                    assert client.get(served.url, timeout=DEADLINE_S).status_code == 200
        assert not served.running
        served.stop()
        assert served.wait(0)


def test_several_side_by_side() -> None:
    record = Recorder()
    with server(wsgi_app) as one, server(record) as two, server(wsgi_app) as three:
        assert len({one.url, two.url, three.url}) == 3
        for _ in range(2):
            assert requests.get(one.url, timeout=DEADLINE_S).text.startswith("wsgi http")
            assert requests.get(two.url, timeout=DEADLINE_S).text == "asgi http state"
            assert requests.get(three.url, timeout=DEADLINE_S).text.startswith("wsgi http")
        one.stop()
        assert requests.get(two.url, timeout=DEADLINE_S).text == "asgi http state"
        with pytest.raises(requests.ConnectionError):
            requests.get(one.url, timeout=DEADLINE_S)
    assert record.events == ["startup", "shutdown"]


@KINDS
def test_from_another_thread(make: Apps) -> None:
    answers = []

    def work() -> None:
        with server(make()) as served:
            answers.append(requests.get(served.url, timeout=DEADLINE_S).status_code)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert answers == [200] * 4


@KINDS
def test_what_the_application_raises_goes_to_the_log(make: Apps, tmp_path: Path) -> None:
    log = tmp_path / "errors"
    with server(make(), error_log=log) as served:
        assert requests.get(f"{served.url}/raise", timeout=DEADLINE_S).status_code == 500
        assert requests.get(served.url, timeout=DEADLINE_S).status_code == 200
    text = log.read_text()
    assert "error: the application failed at GET /raise" in text
    assert "ValueError: raised on purpose" in text


@KINDS
def test_access_log(make: Apps, tmp_path: Path) -> None:
    log = tmp_path / "access"
    with server(make(), access_log=log) as served:
        requests.get(f"{served.url}/seen", timeout=DEADLINE_S)
    assert '"GET /seen HTTP/1.1" 200' in log.read_text()


@KINDS
def test_tls(make: Apps) -> None:
    made = certificate("localhost", "127.0.0.1")
    before = sys.unraisablehook
    try:
        for _ in range(2):
            with server(make(), certfile=made.chain, keyfile=made.key) as served:
                assert served.url.startswith("https://127.0.0.1:")
                text = requests.get(served.url, verify=str(authority_file()), timeout=DEADLINE_S).text
                assert text.split()[1] == "https"
        depth, hook = 0, sys.unraisablehook
        while hook is not before:
            depth, hook = depth + 1, hook._before  # type: ignore[attr-defined]
        assert depth <= 1
    finally:
        sys.unraisablehook = before


def test_unix_socket_and_several_binds(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with server(wsgi_app, bind=[f"unix:{path}", "127.0.0.1:0"]) as served:
        assert served.addresses[0] == f"unix:{path}"
        assert get(str(path)).status == 200
        assert requests.get(served.url, timeout=DEADLINE_S).status_code == 200
    assert not path.exists()
    with server(wsgi_app, bind=f"unix:{path}") as served, pytest.raises(UsageError, match="no URL"):
        _ = served.url


def test_the_url_of_all_interfaces_is_one_that_a_client_takes() -> None:
    with server(wsgi_app, bind="0.0.0.0:0") as served:
        assert served.addresses[0].startswith("http://0.0.0.0:")
        assert requests.get(served.url, timeout=DEADLINE_S).status_code == 200


SITE = """
app = "tests.embedding.apps:wsgi_app"
workers = 3
[[routes]]
path = "/static/*"
static = "files"
[[routes]]
path = "/old/*"
redirect = "/new/*"
[stages.other]
threads = 3
[[stages.other.routes]]
path = "/old/*"
redirect = "/newer/*"
"""


@KINDS
def test_routes_of_a_file(make: Apps, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.css").write_text("body {}")
    (tmp_path / "portway.toml").write_text(SITE)
    for app in (make(), None):
        with server(app, config=tmp_path / "portway.toml") as served:
            assert get(port(served), "/static/a.css").body == b"body {}"
            assert get(port(served), "/static/none").status == 404
            assert get(port(served), "/old/x").headers["location"] == "/new/x"
            assert get(port(served), "/").status == 200
    with server(make(), config=tmp_path / "portway.toml", stage="other") as served:
        assert get(port(served), "/old/x").headers["location"] == "/newer/x"


def test_routes_as_an_argument(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    routes = [{"path": "/files/*", "static": str(tmp_path)}]
    with server(None, routes=routes) as served:
        assert get(port(served), "/files/a.txt").body == b"text"
        assert get(port(served), "/").status == 404


@KINDS
def test_several_applications(make: Apps) -> None:
    record = Recorder()
    routes = [
        {"path": "/w/*", "app": "tests.embedding.apps:wsgi_app"},
        {"path": "/a/*", "app": "tests.embedding.apps:recorder"},
    ]
    recorder.events.clear()
    served = server(make(), routes=routes)
    for _ in range(2):
        with served, Client(port(served)) as client:
            for _ in range(3):
                assert client.get("/w/").body.startswith(b"wsgi http")
                assert client.get("/a/").body == b"asgi http state"
                assert client.get("/").status == 200
        assert not served.running
    assert recorder.events == ["startup", "shutdown"] * 2

    async def main() -> None:
        async with server(record, routes=routes[1:]) as other:
            reader, writer = await asyncio.open_connection(*port(other))
            writer.write(b"GET /a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"asgi http state")
            writer.close()
            await writer.wait_closed()
        async with server(wsgi_app, routes=routes[1:]) as other:
            assert (await asyncio.to_thread(get, port(other), "/a/")).body == b"asgi http state"

    asyncio.run(main())
    assert record.events == ["startup", "shutdown"]


def test_one_of_several_applications_refuses_to_start() -> None:
    routes = [{"path": "/a/*", "app": "tests.embedding.apps:refusing"}]
    with pytest.raises(StartupFailed, match="no database"):
        server(wsgi_app, routes=routes).start()


# -- stopping ------------------------------------------------------------------------------------------------


def test_stop_finishes_what_is_under_way() -> None:
    gate = Gate()
    served = server(gate)
    served.start()
    with Client(port(served)) as client:
        client.request("/")
        assert gate.entered.wait(DEADLINE_S)
        stopping = threading.Thread(target=served.stop)
        stopping.start()
        with pytest.raises(ConnectionRefusedError):
            while True:  # until it has stopped listening
                socket.create_connection(port(served)).close()
        assert served.running
        gate.open.set()
        assert client.answer().body == b"through the gate"
        stopping.join(DEADLINE_S)
        assert not served.running


def test_stop_cuts_what_takes_longer_than_its_grace() -> None:
    record = Recorder()
    with server(record) as served, Client(port(served)) as client:
        client.request("/wait")
        wait_until(lambda: alive()["exchanges"], "request")
        served.stop(0)
        assert client.rest() == b""
    assert record.events == ["startup", "shutdown"]


def test_a_thread_that_does_not_come_back_is_not_waited_for() -> None:
    gate = Gate()
    try:
        served = server(gate)
        served.start()
        with Client(port(served)) as client:
            client.request("/")
            assert gate.entered.wait(DEADLINE_S)
            served.stop(0)
            assert not served.running
    finally:
        gate.open.set()


@KINDS
def test_a_request_may_end_its_own_server(make: Apps) -> None:
    ended = threading.Event()
    app = make()

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        served.end()
        ended.set()
        return app(environ, start_response)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            served.end()
            with pytest.raises(UsageError, match="block the event loop"):
                served.stop()
            ended.set()
        await app(scope, receive, send)

    served = server(wsgi if app is wsgi_app else asgi)
    with served:
        assert requests.get(served.url, timeout=DEADLINE_S).status_code == 200
        assert ended.is_set()
        assert served.wait(DEADLINE_S)


@KINDS
def test_ended_while_nobody_holds_it(make: Apps) -> None:
    """A program that ends without a word still shuts its application down."""
    program = (
        "import sys, portway\n"
        "from tests.embedding.apps import Recorder, wsgi_app\n"
        f"app = {'wsgi_app' if make() is wsgi_app else 'Recorder()'}\n"
        "portway.Server(app, bind='127.0.0.1:0').start()\n"
        "import atexit; atexit.register(lambda: print(getattr(app, 'events', None)))\n"
        "import portway.embedding.living as living; atexit.register(lambda: living._at_exit())\n"
    )
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in ("None", "['startup', 'shutdown']")


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the project's directory."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        cwd=ROOT,
    )


# -- async with ----------------------------------------------------------------------------------------------


def test_async_with_serves_on_the_running_loop() -> None:
    record = Recorder()

    async def main() -> str:
        async with server(record) as served:
            reader, writer = await asyncio.open_connection(*port(served))
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            assert record.loops == {asyncio.get_running_loop()}
            with pytest.raises(UsageError, match="block the event loop"):
                served.stop()
        assert not served.running
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return answer.decode()

    assert asyncio.run(main()).endswith("asgi http state")
    assert record.events == ["startup", "shutdown"]


def test_async_with_for_wsgi() -> None:
    async def main() -> str:
        async with server(wsgi_app) as served:
            return await asyncio.to_thread(lambda: requests.get(served.url, timeout=DEADLINE_S).text)

    assert asyncio.run(main()).startswith("wsgi")


def test_a_cancelled_block_leaves_nothing_behind() -> None:
    record = Recorder()

    async def main() -> None:
        async def serve() -> None:
            async with server(record) as served:
                addresses.put_nowait(port(served))
                await asyncio.Event().wait()

        addresses: asyncio.Queue[Any] = asyncio.Queue()
        task = asyncio.create_task(serve())
        address = await addresses.get()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)

    asyncio.run(main())
    assert record.events == ["startup", "shutdown"]


def test_a_loop_that_ends_ends_its_server() -> None:
    record = Recorder()
    served = server(record)

    async def main() -> None:
        await served.__aenter__()

    asyncio.run(main())
    assert not served.running
    assert record.events == ["startup"]  # its task was cancelled, as all of the loop's


# -- forks ---------------------------------------------------------------------------------------------------


def in_child(work: Callable[[], object]) -> int:
    """Do something in a forked child; return its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@KINDS
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_no_server(make: Apps) -> None:
    with server(make()) as served, requests.Session() as client:
        assert client.get(served.url, timeout=DEADLINE_S).status_code == 200

        def work() -> None:
            assert not served.running
            served.stop()
            served.end()
            gc.collect()
            sockets = [name for name in descriptors() if name.startswith("socket:")]
            assert len(sockets) <= len(before), (sockets, before)

        # what the child has of the parent: the client's end, and nothing of the server's
        before = [name for name in descriptors() if name.startswith("socket:")][2:]
        assert in_child(work) == 0
        assert client.get(served.url, timeout=DEADLINE_S).status_code == 200  # on the same connection


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_that_lives_on_does_not_hold_the_port() -> None:
    reading, writing = os.pipe()
    with server(wsgi_app) as served, Client(port(served)) as client:
        assert client.get().status == 200
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent ends it
            os._exit(0)
        served.stop()
        assert client.rest() == b""  # closed, and not only in the parent
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(port(served)).close()
    os.close(writing)
    os.close(reading)
    os.waitpid(pid, 0)


def serve_in_child(results: Any) -> None:
    """Serve in a process of its own."""
    with server(wsgi_app) as served:
        results.put(requests.get(served.url, timeout=DEADLINE_S).text)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_may_have_servers_of_its_own() -> None:
    def work() -> None:
        with server(wsgi_app) as own, server(Recorder()) as other:
            assert requests.get(own.url, timeout=DEADLINE_S).text.split()[2] == str(os.getpid())
            assert requests.get(other.url, timeout=DEADLINE_S).status_code == 200

    with server(wsgi_app):
        assert in_child(work) == 0


# -- mistakes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"thread": 4}, UnknownOption, "unknown argument 'thread'"),
        ({"threads": 0}, BadValue, "threads must be from 1 to"),
        ({"limit_request_body": "x"}, BadValue, "limit_request_body must be"),
        ({"bind": "nonsense"}, BadValue, "bind must be"),
        ({"workers": 4}, UsageError, "a Server has no workers"),
        ({"reload": True}, UsageError, "a Server has no reload"),
        ({"admin": "127.0.0.1:0"}, UsageError, "a Server has no admin"),
        ({"certfile": "/nowhere.pem"}, PortwayError, "'/nowhere.pem'"),
        ({"config": "/nowhere.toml"}, PortwayError, "cannot read '/nowhere.toml'"),
        ({"stage": "prod"}, UsageError, "a stage is a part of a configuration file"),
        ({"routes": [{"path": "/x"}]}, PortwayError, "routes '/x'"),
        ({"routes": [], "config": "portway.toml"}, UsageError, "routes are given twice"),
    ],
)
def test_a_wrong_option_is_said(options: dict[str, Any], kind: type[PortwayError], text: str) -> None:
    with pytest.raises(kind) as caught, server(wsgi_app, **options):
        pass
    assert text in str(caught.value)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("app", "kind", "text"),
    [
        (None, UsageError, "no application"),
        ("tests.embedding.apps:nothing", AppNotFound, "has no attribute 'nothing'"),
        ("tests.embedding.nothing:app", AppNotFound, "nothing"),
        (42, NotAnApplication, "neither"),
        (lambda: 1 / 0, AppImportError, "ZeroDivisionError"),
        (lambda *args: None, NotAnApplication, "cannot tell"),
    ],
)
def test_a_wrong_application_is_said(app: Any, kind: type[PortwayError], text: str) -> None:
    with pytest.raises(kind, match=text):
        server(app)


@pytest.mark.parametrize(
    "app", ["tests.embedding.apps:wsgi_app", "tests.embedding.apps:create_app()", create_app]
)
def test_names_and_factories(app: Any) -> None:
    with server(app) as served:
        assert requests.get(served.url, timeout=DEADLINE_S).status_code == 200


@KINDS
def test_a_port_that_is_taken_leaves_nothing_behind(make: Apps) -> None:
    with server(make()) as served:
        other = server(make(), bind=f"127.0.0.1:{port(served)[1]}")
        with pytest.raises(BindError, match="in use"):
            other.start()
        assert not other.running
    with other:
        assert requests.get(other.url, timeout=DEADLINE_S).status_code == 200


def test_an_application_that_refuses_to_start() -> None:
    served = server(Recorder(refuse=True))
    with pytest.raises(StartupFailed, match="no database"):
        served.start()
    assert not served.running

    async def main() -> None:
        with pytest.raises(StartupFailed, match="no database"):
            async with served:
                pass

    asyncio.run(main())


def test_a_start_that_hangs_is_given_up() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StartupFailed, match=r"did not finish in 0\.2 seconds"):
        server(app, startup_timeout=0.2).start()


def test_one_server_is_one_server() -> None:
    with server(wsgi_app) as served, pytest.raises(UsageError, match="runs already"):
        served.start()
    with pytest.raises(UsageError, match="no URL before"):
        _ = server(wsgi_app).url


def test_neither_environment_nor_files_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "portway.toml").write_text("threads = 7\nworkers = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTWAY_THREADS", "5")
    monkeypatch.setenv("PORT", "1")
    assert server(wsgi_app)._settings.process.threads not in (5, 7)
    assert server(wsgi_app, config="portway.toml")._settings.process.threads == 7
    assert server(wsgi_app, config="portway.toml", threads=2)._settings.process.threads == 2


def test_the_process_stays_as_it_was() -> None:
    import signal

    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    directory = os.getcwd()
    with server(wsgi_app):
        assert {number: signal.getsignal(number) for number in signal.valid_signals()} == handlers
    assert os.getcwd() == directory


# -- interrupts ----------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_run_ends_in_order(make: Apps, number: str) -> None:
    program = (
        "import os, signal, threading, portway\n"
        "from tests.embedding.apps import Recorder, wsgi_app\n"
        # where tests run in the background, it is ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"app = {'wsgi_app' if make() is wsgi_app else 'Recorder()'}\n"
        "served = portway.Server(app, bind='127.0.0.1:0')\n"
        "def interrupt():\n"
        "    while not served.running: threading.Event().wait(0.01)\n"
        f"    os.kill(os.getpid(), signal.{number})\n"
        "threading.Thread(target=interrupt).start()\n"
        "before = signal.getsignal(signal.SIGTERM)\n"
        "served.run(signals=True)\n"
        "assert signal.getsignal(signal.SIGTERM) is before\n"
        "print('after', getattr(app, 'events', ''))\n"
    )
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("after")
    assert "startup" not in done.stdout or "shutdown" in done.stdout


def test_signals_are_the_main_threads() -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            server(wsgi_app).run(signals=True)
        except UsageError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(DEADLINE_S)
    assert "main thread" in str(caught[0])
