"""The pid file: whole, locked, and removed by nobody but its owner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portway.errors import StartupFailed
from portway.server.pidfile import PidFile


def test_it_holds_the_pid_and_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    pid_file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644
    pid_file.remove()
    assert list(tmp_path.iterdir()) == []
    pid_file.remove()


def test_one_that_a_living_server_holds_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    first = PidFile(str(path))
    with pytest.raises(StartupFailed, match=f"running server, pid {os.getpid()}"):
        PidFile(str(path))
    first.remove()


def test_a_stale_one_is_replaced_even_if_its_pid_lives(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    path.write_text("1\n")
    pid_file = PidFile(str(path))
    assert path.read_text() == f"{os.getpid()}\n"
    pid_file.remove()
    assert not path.exists()


def test_a_file_that_somebody_put_in_its_place_is_left(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    pid_file = PidFile(str(path))
    path.rename(tmp_path / "old.pid")
    path.write_text("7\n")
    pid_file.remove()
    assert path.read_text() == "7\n"


def test_a_relative_path_is_meant_from_where_the_server_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pid_file = PidFile("portway.pid")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pid_file.remove()
    assert not (tmp_path / "portway.pid").exists()


def test_a_directory_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        StartupFailed, match=r"cannot write the pid file '.*/none/portway\.pid': No such file"
    ):
        PidFile(str(tmp_path / "none" / "portway.pid"))


def test_a_forked_child_does_not_remove_it_nor_keep_its_lock(tmp_path: Path) -> None:
    path = tmp_path / "portway.pid"
    pid_file = PidFile(str(path))
    child = os.fork()
    if child == 0:
        pid_file.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert path.exists()
    pid_file.remove()


def refused(path: Path, why: str) -> None:
    """See that a pid file is refused, by name, and that nothing was changed."""
    with pytest.raises(
        StartupFailed, match=f"the pid file .*{path.name}.* cannot be trusted: {why}"
    ) as caught:
        PidFile(str(path))
    assert caught.value.hint


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "link").symlink_to(target)
    refused(tmp_path / "link", "it is a symbolic link")
    assert not target.exists()


def test_something_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "something that is no file stands there")


def test_a_directory_where_everybody_may_replace_it_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    refused(tmp_path / "p", "")
    tmp_path.chmod(0o1777)
    PidFile(str(tmp_path / "p")).remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("1\n")
    os.chown(path, 12345, 12345)
    refused(path, "it belongs to user 12345")
    assert path.read_text() == "1\n"
