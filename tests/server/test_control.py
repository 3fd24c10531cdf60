"""The control socket and `portway ctl`: what they do, who may, and what junk does to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import signal
import socket
import stat
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.engine.counters import Board
from portway.server.control import Control
from portway.server.link import Link
from portway.server.messages import Channel
from tests.support.client import Client, get
from tests.support.processes import COMMAND, Portway
from tests.support.waiting import wait_until


def ctl(path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run `portway ctl`."""
    return subprocess.run(
        [*COMMAND, "ctl", *args, "--control", str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def ctl_json(path: Path, *args: str) -> Any:
    """Run `portway ctl … --json` and return its answer."""
    done = ctl(path, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def control(tmp_path: Path) -> Path:
    """The path of a control socket."""
    return tmp_path / "control.sock"


@pytest.fixture(params=["wsgi.py", "asgi.py"])
def server(request: pytest.FixtureRequest, control: Path) -> Iterator[Portway]:
    """A server of either kind with two workers that can be controlled."""
    with Portway(request.param, "--workers", "2", "--control", str(control)) as made:
        made.ready()
        yield made


def test_status_and_workers(server: Portway, control: Path) -> None:
    get(server.address, "/")
    wait_until(lambda: ctl_json(control, "status")["totals"]["requests"] == 1, "the request")
    text = ctl(control, "status").stdout
    assert "serving" in text
    assert "requests 1" in text
    assert ctl_json(control, "workers", "3") == {"workers": 3}
    wait_until(
        lambda: [worker["state"] for worker in ctl_json(control, "workers")["workers"]] == ["ready"] * 3,
        "a third worker",
    )
    refused = ctl(control, "workers", "100000")
    assert refused.returncode == 1
    assert "error: workers: from 1 to" in refused.stderr


def test_reload_tells_that_the_new_generation_serves(server: Portway, control: Path) -> None:
    assert ctl_json(control, "reload") == {"generation": 2}
    assert ctl(control, "reload").stdout == "generation 3 serves\n"


def test_reload_tells_why_the_new_generation_does_not_serve(tmp_path: Path, control: Path) -> None:
    version = tmp_path / "version"
    version.write_text("1")
    with Portway(
        "versioned.py:wsgi", "--control", str(control), env={"VERSION_FILE": str(version)}
    ) as server:
        server.ready()
        version.write_text("raise")
        for number in (2, 3):
            done = ctl(control, "reload")
            assert done.returncode == 1
            assert f"generation {number} cannot start; generation 1 keeps serving" in done.stderr
            assert "broken on purpose" in done.stderr
        version.write_text("2")
        assert ctl_json(control, "reload") == {"generation": 4}
        assert get(server.address).body == b"2"


def test_a_refused_configuration_is_told_too(tmp_path: Path, control: Path) -> None:
    file = tmp_path / "portway.toml"
    file.write_text("workers = 1\n")
    with Portway("wsgi.py", "--control", str(control), "--config", str(file)) as server:
        server.ready()
        file.write_text("wrokers = 1\n")
        done = ctl(control, "reload")
        assert done.returncode == 1
        assert "unknown key 'wrokers'" in done.stderr
        file.write_text("workers = 1\n")
        assert ctl_json(control, "reload") == {"generation": 2}


def test_stop_waits_for_the_end(server: Portway, control: Path, tmp_path: Path) -> None:
    with Client(server.address) as client:
        client.request(f"/until?{tmp_path / 'go'}")
        wait_until(lambda: ctl_json(control, "status")["totals"]["in_flight"] == 1, "the request")
        command = [*COMMAND, "ctl", "stop", "--control", str(control)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stopping:
            server.wait_for("info: stopping gracefully")
            (tmp_path / "go").touch()
            assert stopping.communicate(timeout=50)[0] == "stopped\n"
        assert client.answer().status == 200
    assert server.exit_code() == 0
    assert not control.exists()
    gone = ctl(control, "status")
    assert gone.returncode == 1
    assert "error: no server answers at" in gone.stderr


def test_stacks_show_what_a_busy_worker_does(server: Portway, control: Path, tmp_path: Path) -> None:
    with Client(server.address) as client:
        client.request(f"/until?{tmp_path / 'go'}")
        wait_until(lambda: ctl_json(control, "status")["totals"]["in_flight"] == 1, "the request")

        def shown() -> bool:
            workers = ctl_json(control, "stacks")["workers"]
            assert len(workers) == 2
            stacks = [
                worker["stacks"] or "" for worker in workers
            ]  # a worker that is held up has none in time
            return all("thread MainThread" in each for each in stacks) and "/support/apps/" in "".join(stacks)

        wait_until(shown, "stacks of both workers")
        (tmp_path / "go").touch()


def test_a_worker_that_does_not_answer_is_named(server: Portway, control: Path) -> None:
    first = ctl_json(control, "workers")["workers"][0]["pid"]
    os.kill(first, signal.SIGSTOP)
    try:

        def shown() -> bool:
            text = ctl(control, "stacks").stdout
            assert f"worker {first} does not answer: it is busy in native code, or stopped" in text
            return text.count("thread MainThread") == 1

        wait_until(shown, "stack of the other one")
    finally:
        os.kill(first, signal.SIGCONT)


def test_log_level_holds_in_every_process(server: Portway, control: Path) -> None:
    get(server.address, "/raise")
    server.wait_for("error: the application failed")
    assert ctl_json(control, "log-level", "critical") == {"log_level": "critical"}
    get(server.address, "/raise")
    assert ctl_json(control, "log-level", "error") == {"log_level": "error"}
    get(server.address, "/raise")
    server.wait_for("error: the application failed", count=2)
    assert ctl(control, "log-level", "loud").returncode == 1


def test_the_socket_is_its_owners_alone(server: Portway, control: Path) -> None:
    assert stat.S_IMODE(control.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_kernel_is_asked_who_called(server: Portway, control: Path) -> None:
    control.chmod(0o666)  # somebody was careless
    for directory in control.parents:
        if directory.stat().st_uid == os.geteuid() and str(directory).startswith("/tmp/"):
            directory.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(10)
                sock.connect(str(control))
                with contextlib.suppress(BrokenPipeError):  # it may be answered already, and cut off
                    sock.sendall(b'{"command":"stop"}\n')
                code = 0 if b"only the server's own user may" in sock.recv(1000) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert get(server.address, "/").status == 200


@pytest.mark.parametrize(
    "junk",
    [b"\x00\xff" * 5000 + b"\n", b"x" * 100_000, b"{}\n", b"[]\n", b'{"command":"status","x":1}\n', b"\n"],
)
def test_junk_ends_the_conversation_and_nothing_else(server: Portway, control: Path, junk: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(control))
        try:
            sock.sendall(junk)
            assert sock.recv(1000) in (b"", b'{"ok":false,"error":"not a request"}\n')
        except ConnectionError:
            pass
    assert ctl_json(control, "status")["state"] == "serving"


@pytest.mark.parametrize("text", [b'{"command":"\xff"}\n', b'{"\xed\xa0\x80":1}\n', b'{"command":"\xc3"}\n'])
def test_text_that_is_not_utf_8_is_said_to_be_no_request(server: Portway, control: Path, text: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(control))
        sock.sendall(text)
        assert sock.recv(1000) == b'{"ok":false,"error":"not a request"}\n'


def test_many_silent_clients_are_bounded_and_cost_the_server_nothing(server: Portway, control: Path) -> None:
    silent = []
    try:
        for _ in range(20):
            sock = socket.socket(socket.AF_UNIX)
            silent.append(sock)
            sock.settimeout(10)
            sock.connect(str(control))
        assert b"clients are connected already" in silent[-1].recv(1000)
    finally:
        for sock in silent:
            sock.close()
    wait_until(lambda: ctl(control, "status").returncode == 0, "an answer")
    assert get(server.address, "/").status == 200


def test_a_command_that_does_not_exist(server: Portway, control: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(str(control))
        sock.sendall(b'{"command":"explode"}\n{"command":"log-level","argument":"x"}\n')
        lines = sock.makefile()
        assert json.loads(lines.readline()) == {"ok": False, "error": "there is no such command"}
        assert "there is no command log-level x" in lines.readline()


def test_a_socket_that_cannot_be_made_is_one_line_and_no_failed_start(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "control.sock"
    with Portway("wsgi.py", "--control", str(path)) as server:
        server.ready()
        server.wait_for("warning: no control socket at")
        assert get(server.address, "/").status == 200
        assert server.log.count("control socket") == 1


def test_the_server_is_found_by_its_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('control = "c.sock"\npid = "server.pid"\n')
    with Portway("wsgi.py", cwd=tmp_path) as server:
        server.ready()
        status = subprocess.run(
            [*COMMAND, "ctl", "status"], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
        )
        assert "serving" in status.stdout, status.stderr


def test_with_a_pid_file_alone_signals_have_to_do(tmp_path: Path) -> None:
    pid_file = tmp_path / "server.pid"
    with Portway("wsgi.py", "--pid", str(pid_file)) as server:
        server.ready()
        command = [*COMMAND, "ctl", "reload", "--pid", str(pid_file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
        assert f"sent SIGHUP to process {server.pid}" in done.stdout
        server.ready(2)
        command[-3] = "stop"
        assert subprocess.run(command, capture_output=True, timeout=50, check=False).returncode == 0
        assert server.exit_code() == 0
    command[-3] = "status"
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert "error: no control socket is named" in done.stderr


def test_top_prints_picture_after_picture(server: Portway, control: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "top", "--control", str(control), "--every", "0.1", "--count", "3"],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
    )
    assert done.stdout.count("generation 1") == 3
    assert "a second" in done.stdout
    assert "\x1b" not in done.stdout


def test_top_ends_with_a_key_and_leaves_the_terminal_as_it_was(server: Portway, control: Path) -> None:
    master, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        command = [*COMMAND, "top", "--control", str(control), "--every", "3600"]
        with subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE) as top:
            said = b""
            while b"generation 1" not in said:
                said += os.read(master, 4096)
            os.write(master, b"xq")
            while not said.endswith(b"\x1b[?1049l"):
                said += os.read(master, 4096)
            assert top.wait(50) == 0
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(master)
        os.close(terminal)


def test_who_has_asked_may_be_silent_and_who_has_not_may_not(tmp_path: Path) -> None:
    """`top` looks when it likes, and `stop` waits for the end, however long that takes."""
    path = str(tmp_path / "c.sock")

    async def talk() -> None:
        ours, theirs = Channel.pair()
        with contextlib.closing(ours), contextlib.closing(theirs):
            control = Control(Board(1), Link(theirs), os.geteuid(), patience_s=0.5)
            server = await asyncio.start_unix_server(control.converse, path, limit=control.MAX_LINE)
            asking = await asyncio.open_unix_connection(path)
            for _ in range(2):
                asking[1].write(b'{"command":"explode"}\n')
                assert b"no such command" in await asking[0].readline()
                silent = await asyncio.open_unix_connection(path)
                assert await silent[0].read() == b""
                silent[1].close()
            asking[1].close()
            server.close()

    asyncio.run(talk())
