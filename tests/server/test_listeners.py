"""Opening what is listened on, and what stays behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from portway.errors import BindError
from portway.server.listeners import Listener, open_listeners
from portway.server.privileges import Identity


def open_one(address: str, owner: Identity | None = None) -> Listener:
    """Listen on one address that gives one socket."""
    (listener,) = open_listeners((address,), 16, owner)
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
        open_listeners((f"unix:{path}", "192.0.2.1:8000"), 16, None)
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
    (listener,) = open_listeners((f"unix:{path}",), 0, None)
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
