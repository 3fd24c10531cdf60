"""The configuration file: found, read, and refused with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from portway.config.files import discover, read_named
from portway.errors import BadValue, ConfigError, ConfigFileError, Conflict


def test_nothing_is_found_in_an_empty_directory(tmp_path: Path) -> None:
    assert discover(tmp_path) is None


def test_own_file(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("workers = 3\n")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    file = discover(tmp_path)
    assert file is not None and (file.path, file.table) == ("portway.toml", {"workers": 3})


def test_project_file(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.portway]\nworkers = 3\n")
    file = discover(tmp_path)
    assert file is not None and (file.path, file.table) == ("pyproject.toml", {"workers": 3})


def test_parents_are_not_searched(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("workers = 3\n")
    (tmp_path / "inner").mkdir()
    assert discover(tmp_path / "inner") is None


def test_both_files_conflict(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("")
    (tmp_path / "pyproject.toml").write_text("[tool.portway]\n")
    with pytest.raises(Conflict, match=r"^portway.toml conflicts with \[tool.portway\] in pyproject.toml"):
        discover(tmp_path)


def test_named_file_needs_no_fixed_name(tmp_path: Path) -> None:
    (tmp_path / "live.toml").write_text("\N{BYTE ORDER MARK}workers = 3\n", encoding="utf-8")
    assert read_named("live.toml", tmp_path).table == {"workers": 3}
    assert read_named(str(tmp_path / "live.toml"), Path("/")).table == {"workers": 3}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"workers = ", "not TOML: invalid value (at end of document)"),
        (b"a = 1\na = 2\n", "not TOML: cannot overwrite a value (at line 2, column 6)"),
        (b"a = 1\nworkers == 3\n", "not TOML: invalid value (at line 2, column 10)"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"a = " + b"[" * 5000, "not TOML"),
        (b"a = " + b"9" * 5000, "not TOML"),
    ],
)
def test_file_that_is_not_toml(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "x.toml").write_bytes(content)
    with pytest.raises(ConfigFileError) as caught:
        read_named("x.toml", tmp_path)
    assert str(caught.value).startswith(f"cannot read 'x.toml': {problem}")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none.toml", "no such file or directory"),
        (".", "is a directory"),
        ("a\0b", "its name holds a NUL byte"),
    ],
)
def test_file_that_cannot_be_read(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ConfigFileError, match=problem):
        read_named(name, tmp_path)


def test_file_without_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        return  # root may read everything
    (tmp_path / "x.toml").touch(mode=0o000)
    with pytest.raises(ConfigFileError, match="permission denied"):
        read_named("x.toml", tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [("", ConfigFileError), ("tool = 3", ConfigFileError), ("[tool]\nportway = 3", BadValue)],
)
def test_named_project_file_must_have_the_table(
    tmp_path: Path, content: str, kind: type[ConfigError]
) -> None:
    (tmp_path / "pyproject.toml").write_text(content)
    with pytest.raises(kind):
        read_named("pyproject.toml", tmp_path)
