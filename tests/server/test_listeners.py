"""Opening what is listened on, and what stays behind."""

from __future__ import annotations

import errno
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from portway.errors import BindError, StartupFailed
from portway.server.activation import Passed, passed_sockets
from portway.server.listeners import Listener, SocketFiles, open_listeners

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def open_one(address: str, files: SocketFiles = SocketFiles()) -> Listener:  # noqa: B008
    """Listen on one address that gives one socket."""
    (listener,) = open_listeners((address,), 16, files)
    return listener


def test_a_free_port_is_shown_as_the_kernel_picked_it() -> None:
    listener = open_one("127.0.0.1:0")
    host, port = listener.sock.getsockname()
    assert port != 0
    assert str(listener) == f"http://{host}:{port}"
    assert not listener.sock.getblocking()
    with socket.create_connection((host, port), 10):
        listener.sock.accept()[0].close()
    listener.close()
    listener.close()


@pytest.mark.skipif(sys.platform != "linux", reason="a packet filter of Linux")
def test_who_is_turned_away_is_not_connected_and_who_waits_stays() -> None:
    listener = open_one("127.0.0.1:0")
    name = listener.sock.getsockname()
    with socket.create_connection(name, 10) as before, socket.socket() as after:
        listener.turn_away()
        after.setblocking(False)
        assert after.connect_ex(name) == errno.EINPROGRESS
        with listener.sock.accept()[0] as accepted:
            accepted.sendall(b"served")
            assert before.recv(100) == b"served"
        with pytest.raises(BlockingIOError):
            listener.sock.accept()
        listener.close()


def test_an_ipv6_socket_takes_ipv6_only() -> None:
    listener = open_one("[::1]:0")
    assert listener.sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
    assert str(listener).startswith("http://[::1]:")
    listener.close()


def test_both_wildcards_stand_side_by_side() -> None:
    first = open_one("0.0.0.0:0")
    second = open_one(f"[::]:{first.sock.getsockname()[1]}")
    first.close()
    second.close()


def test_a_port_in_use_names_address_reason_and_who_to_look_for() -> None:
    listener = open_one("127.0.0.1:0")
    port = listener.sock.getsockname()[1]
    with pytest.raises(BindError) as caught:
        open_one(f"127.0.0.1:{port}")
    assert str(caught.value) == f"cannot listen on '127.0.0.1:{port}': address already in use"
    assert f"sport = :{port}" in (caught.value.hint or "")
    listener.close()


def test_a_port_just_left_can_be_had_again_at_once() -> None:
    listener = open_one("127.0.0.1:0")
    address = listener.sock.getsockname()
    client = socket.create_connection(address, 10)
    served, _ = listener.sock.accept()
    served.close()  # this side closes first, and so keeps TIME_WAIT
    client.close()
    listener.close()
    open_one(f"127.0.0.1:{address[1]}").close()


def test_an_address_of_another_machine_is_refused_with_a_hint() -> None:
    with pytest.raises(BindError, match="cannot assign requested address") as caught:
        open_one("192.0.2.1:8000")
    assert "ip address" in (caught.value.hint or "")


def test_a_host_without_an_address_is_refused() -> None:
    with pytest.raises(BindError, match=r"cannot listen on 'nowhere\.invalid:8000'") as caught:
        open_one("nowhere.invalid:8000")
    assert caught.value.hint


def test_one_bad_address_closes_the_good_ones(tmp_path: Path) -> None:
    path = tmp_path / "good.sock"
    with pytest.raises(BindError):
        open_listeners((f"unix:{path}", "192.0.2.1:8000"), 16)
    assert not path.exists()


def test_a_unix_socket_answers_and_its_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    listener = open_one(f"unix:{path}")
    assert str(listener) == f"unix:{path}"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()
    assert not path.exists()


def test_the_umask_holds_for_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    previous = os.umask(0o117)
    try:
        listener = open_one(f"unix:{path}")
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o660
    listener.close()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listener = open_one(f"unix:{path}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


def test_a_unix_socket_that_answers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    listener = open_one(f"unix:{path}")
    with pytest.raises(BindError, match="address already in use") as caught:
        open_one(f"unix:{path}")
    assert str(path) in (caught.value.hint or "")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


def test_a_unix_socket_whose_backlog_is_full_is_not_stale(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    (listener,) = open_listeners((f"unix:{path}",), 0)
    clients = []
    for _ in range(4):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].setblocking(False)
        clients[-1].connect_ex(str(path))
    with pytest.raises(BindError, match="address already in use"):
        open_one(f"unix:{path}")
    for client in clients:
        client.close()
    listener.close()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious.txt"
    path.write_text("data")
    with pytest.raises(BindError, match="a file that is not a socket stands there"):
        open_one(f"unix:{path}")
    assert path.read_text() == "data"


def test_a_socket_that_somebody_put_in_its_place_is_left(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    listener = open_one(f"unix:{path}")
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        listener.close()
        assert path.exists()


def test_a_forked_child_removes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    listener = open_one(f"unix:{path}")
    child = os.fork()
    if child == 0:
        listener.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()
    listener.close()


def test_an_inherited_listening_socket_is_taken_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        fd = os.dup(sock.fileno())
        listener = open_one(f"fd://{fd}")
        assert str(listener) == f"fd://{fd} (http://127.0.0.1:{sock.getsockname()[1]})"
        assert not os.get_inheritable(fd)
        listener.close()


def test_descriptors_that_do_not_listen_are_refused_and_left_open(tmp_path: Path) -> None:
    with socket.socket() as idle, (tmp_path / "file").open("w") as file:
        with pytest.raises(BindError, match="not a listening stream socket"):
            open_one(f"fd://{idle.fileno()}")
        with pytest.raises(BindError, match="socket operation on non-socket"):
            open_one(f"fd://{file.fileno()}")
        idle.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
        file.write("still open")
    with pytest.raises(BindError, match="bad file descriptor"):
        open_one("fd://9999")


def test_the_mode_of_a_unix_socket_is_the_option_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    previous = os.umask(0o077)
    try:
        listener = open_one(f"unix:{path}", SocketFiles(0o662))
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(previous)
    assert path.stat().st_mode & 0o777 == 0o662
    listener.close()


@needs_root
def test_the_owner_of_a_unix_socket_is_set_before_anybody_can_connect(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    listener = open_one(f"unix:{path}", SocketFiles(0o600, 12345, 12346))
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)
    listener.close()


def as_nobody(action: Callable[[], None]) -> None:
    """Run something in a child that is not root, and see that it succeeds."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@needs_root
def test_a_socket_of_somebody_else_is_named(public_path: Path) -> None:
    path = public_path / "portway.sock"
    public_path.chmod(0o1777)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(0o777)

    def stale() -> None:
        with pytest.raises(BindError, match="an old socket of user root stands there") as caught:
            open_one(f"unix:{path}")
        assert "as its owner or as root" in (caught.value.hint or "")

    def closed() -> None:
        with pytest.raises(BindError, match="a socket of user root stands there"):
            open_one(f"unix:{path}")

    as_nobody(stale)
    path.chmod(0o600)
    as_nobody(closed)
    assert path.is_socket()


@needs_root
def test_a_socket_that_cannot_be_given_away_is_removed_again(public_path: Path) -> None:
    public_path.chmod(0o777)

    def give() -> None:
        with pytest.raises(BindError, match="may not give its socket away") as caught:
            open_one(f"unix:{public_path}/portway.sock", SocketFiles(None, 0, 0))
        assert "--uds-owner" in (caught.value.hint or "")

    as_nobody(give)
    assert list(public_path.iterdir()) == []


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A directory that others can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_an_abstract_socket_answers_and_leaves_nothing(tmp_path: Path) -> None:
    name = f"@portway-test-{os.getpid()}"
    listener = open_one(f"unix:{name}")
    assert str(listener) == f"unix:{name}"
    with pytest.raises(BindError, match="address already in use"):
        open_one(f"unix:{name}")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:])
    listener.close()
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect("\0" + name[1:])


def listening() -> socket.socket:
    """Return a socket as systemd would have opened it."""
    return socket.create_server(("127.0.0.1", 0))


def test_sockets_that_were_passed_take_the_place_of_bind() -> None:
    with listening() as first, listening() as second:
        ports = [sock.getsockname()[1] for sock in (first, second)]
        passed = [Passed(first.detach(), "web"), Passed(second.detach(), "admin")]
        opened = open_listeners(("127.0.0.1:1",), 16, passed=passed)
    assert [listener.sock.getsockname()[1] for listener in opened] == ports
    for listener in opened:
        assert not os.get_inheritable(listener.sock.fileno())
        listener.close()


def test_a_passed_socket_is_taken_by_name_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "portway.sock"
    with listening() as first, listening() as second:
        port = second.getsockname()[1]
        passed = [Passed(first.fileno(), "web"), Passed(second.detach(), "admin")]
        opened = open_listeners((f"unix:{path}", "fd://admin"), 16, passed=passed)
        assert opened[1].sock.getsockname()[1] == port
        for listener in opened:
            listener.close()
        with pytest.raises(BindError, match="systemd passed no socket of that name") as caught:
            open_listeners(("fd://shop",), 16, passed=[Passed(first.fileno(), "web")])
        assert "passed were: web" in (caught.value.hint or "")


def test_what_systemd_says_is_read_and_forgotten() -> None:
    environ = {"LISTEN_PID": "41", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "OTHER": "1"}
    assert passed_sockets(environ, 42) == ()
    assert environ == {"OTHER": "1"}
    assert passed_sockets({}, 42) == ()
    for count in ("0", "-1", "many", "99999", ""):
        with pytest.raises(StartupFailed, match="LISTEN_FDS"):
            passed_sockets({"LISTEN_PID": "42", "LISTEN_FDS": count}, 42)
    with pytest.raises(StartupFailed, match=r"(?i)bad file descriptor"):
        passed_sockets({"LISTEN_PID": "42", "LISTEN_FDS": "1000"}, 42)
