"""What a start prints, and how a start that cannot work ends: once, quickly, with one error line."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.client import get
from tests.support.processes import Portway

KINDS = ("wsgi.py", "asgi.py")


def test_a_start_prints_each_listener_and_what_is_served(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    with Portway("wsgi.py", "--bind", "127.0.0.1:0", "--bind", f"unix:{path}", "--workers", "2") as server:
        line = server.ready().wait_for(r"\[(\d+)\] info: serving (.*)")
        assert line[1] == str(server.pid)
        assert line[2].startswith("WSGI application ")
        assert line[2].endswith(f"wsgi.py with 2 workers of 4 threads, pid {server.pid}")
        server.wait_for(r"info: listening on http://127\.0\.0\.1:\d+$")
        server.wait_for(rf"info: listening on unix:{path}$")
        assert len(server.lines) == 3
        assert (
            get(server.address, "/pid").body != get(str(path), "/nothing").body or len(server.workers()) == 2
        )


@pytest.mark.parametrize(("loop", "shown"), [("asyncio", "asyncio"), ("uvloop", "uvloop")])
def test_an_asgi_start_names_the_event_loop(loop: str, shown: str) -> None:
    with Portway("asgi.py", "--loop", loop) as server:
        server.wait_for(rf"serving ASGI 3 application .* with 1 worker on {shown}, pid {server.pid}$")
        assert get(server.address, "/state").body == b"hello from the lifespan"


def test_the_arbiter_has_one_worker_at_least_and_never_imports_the_application() -> None:
    with Portway("wsgi.py") as server:
        (worker,) = server.ready().workers()
        assert get(server.address).body == str(worker).encode()


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("raise", "RuntimeError: broken on purpose"),
        ("exit", "SystemExit: 1"),
        ("die", "ended before it was ready (SIGKILL)"),
    ],
)
def test_an_application_that_cannot_be_imported_ends_the_start(
    tmp_path: Path, version: str, reason: str
) -> None:
    (tmp_path / "version").write_text(version)
    env = {"VERSION_FILE": str(tmp_path / "version")}
    with Portway("versioned.py:wsgi", "--workers", "3", env=env) as server:
        assert server.exit_code() == 3
        server.wait_for(r"^(?:error: )")
        assert server.log.count("error: ") == 1
        assert reason in server.log
        assert server.log.count("Traceback") == (0 if version == "die" else 1)


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        ("no_such_module:app", "no_such_module"),
        ("wsgi.py:no_such_name", "no_such_name"),
    ],
)
def test_a_wrong_name_is_one_error_line_with_a_hint(app: str, reason: str) -> None:
    with Portway(app, "--workers", "2") as server:
        assert server.exit_code() in (1, 3)
        server.wait_for(rf"^error: .*{reason}")
        assert server.log.count("error: ") == 1
        assert "Traceback" not in server.log


def test_a_lifespan_that_refuses_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("lifespan")
    env = {"VERSION_FILE": str(tmp_path / "version")}
    with Portway("versioned.py:asgi", "--workers", "2", env=env) as server:
        assert server.exit_code() == 3
        server.wait_for(r"^error: .*no database")
        assert server.log.count("error: ") == 1


def test_a_doomed_start_goes_to_the_log_file_as_well(tmp_path: Path) -> None:
    (tmp_path / "version").write_text("raise")
    env = {"VERSION_FILE": str(tmp_path / "version")}
    log = tmp_path / "error.log"
    with Portway("versioned.py:wsgi", "--error-log", str(log), env=env) as server:
        assert server.exit_code() == 3
        server.wait_for("^error: ")
    assert "broken on purpose" in log.read_text()


def test_a_port_in_use_names_the_address_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path, pid_file = tmp_path / "portway.sock", tmp_path / "portway.pid"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        arguments = ("--bind", f"unix:{path}", "--bind", address, "--pid", str(pid_file))
        with Portway("wsgi.py", *arguments) as server:
            assert server.exit_code() == 3
            server.wait_for(f"^error: cannot listen on '{address}': address already in use$")
            server.wait_for("^hint: ")
    assert list(tmp_path.iterdir()) == []


def test_a_stale_unix_socket_is_replaced_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Portway("wsgi.py", "--bind", f"unix:{path}") as server:
        server.ready()
        assert get(str(path)).status == 200
        assert server.stop() == 0
    assert not path.exists()


def test_the_umask_holds_for_sockets_and_workers(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    with Portway("wsgi.py", "--bind", f"unix:{path}", "--umask", "027") as server:
        server.ready()
        assert path.stat().st_mode & 0o777 == 0o750
        assert get(str(path), "/umask").body == b"027"


def test_an_inherited_socket_is_served_and_left_to_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = sock.fileno()
        with Portway("wsgi.py", "--bind", f"fd://{fd}", pass_fds=(fd,)) as server:
            server.ready()
            assert get(sock.getsockname()[:2]).status == 200
            assert server.stop() == 0


def test_ipv6_is_served() -> None:
    with Portway("wsgi.py", "--bind", "[::1]:0") as server:
        server.ready()
        assert get(server.address).status == 200


def test_the_pid_file_names_the_arbiter_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    with Portway("wsgi.py", "--pid", str(path)) as server:
        server.ready()
        assert path.read_text() == f"{server.pid}\n"
        with Portway("wsgi.py", "--pid", str(path)) as second:
            assert second.exit_code() == 3
            second.wait_for(f"^error: .* belongs to a running server, pid {server.pid}$")
        assert path.read_text() == f"{server.pid}\n"
        assert server.stop() == 0
    assert not path.exists()


def test_a_killed_arbiters_pid_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    with Portway("wsgi.py", "--pid", str(path)) as server:
        server.ready()
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
        with Portway("wsgi.py", "--pid", str(path)) as second:
            second.ready()
            assert path.read_text() == f"{second.pid}\n"


def test_everything_starts_at_the_working_directory(tmp_path: Path) -> None:
    with Portway("wsgi.py", "--chdir", tmp_path.name, "--pid", "portway.pid", cwd=tmp_path.parent) as server:
        server.ready()
        assert get(server.address, "/cwd").body.decode() == str(tmp_path)
        assert (tmp_path / "portway.pid").read_text() == f"{server.pid}\n"
        assert server.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_workers_run_as_another_user_and_the_arbiter_does_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    log = tmp_path / "access.log"
    path = tmp_path / "portway.sock"
    arguments = ("--user", "nobody", "--access-log", str(log), "--bind", f"unix:{path}")
    with Portway("wsgi.py", *arguments) as server:
        server.ready()
        uid, _, groups = get(str(path), "/user").body.decode().split(" ", 2)
        assert uid != "0"
        assert "0" not in groups.strip("[]").split(", ")
        assert log.stat().st_uid == path.stat().st_uid == int(uid)
        assert Path(f"/proc/{server.pid}").stat().st_uid == 0
        assert server.stop() == 0
    assert not path.exists()


def test_an_unknown_user_ends_the_start() -> None:
    with Portway("wsgi.py", "--user", "no-such-user") as server:
        assert server.exit_code() == 1
        server.wait_for("^error: --user must be a user of this machine, not 'no-such-user'$")
