"""Environment files: every form, and the line of what is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.config.env_file import parse_env, read_env_file
from portway.errors import ConfigFileError

GOOD = [
    ("", {}),
    ("# comment\n\n  \t\n   # more", {}),
    ("A=1", {"A": "1"}),
    ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
    ("  export  A = 1 ", {"A": "1"}),
    ("A=", {"A": ""}),
    ("A= # comment", {"A": ""}),
    ("A=b c  # comment", {"A": "b c"}),
    ("A=b#c", {"A": "b#c"}),
    ("A=http://x/#y", {"A": "http://x/#y"}),
    ("A=it's", {"A": "it's"}),
    ("A=$HOME ${B} `c`", {"A": "$HOME ${B} `c`"}),
    ("A=1=2", {"A": "1=2"}),
    ("A='b \\n # c' # comment", {"A": "b \\n # c"}),
    ('A="b \\n \\t \\" \\\\ \\$x # c"', {"A": 'b \n \t " \\ $x # c'}),
    ("A='line\nline'\nB=2", {"A": "line\nline", "B": "2"}),
    ('A="line\nline"\nB=2', {"A": "line\nline", "B": "2"}),
    ("A=''", {"A": ""}),
    ("A=1\nA=2", {"A": "2"}),
    ("_a1=é", {"_a1": "é"}),
]

BAD = [
    ("A", 1),
    ("# fine\nA=1\nB C=2", 3),
    ("=1", 1),
    ("1A=1", 1),
    ("A-B=1", 1),
    ("Ä=1", 1),
    ("A='open", 1),
    ('A="open\n\n', 1),
    ("A='a' b", 1),
    ('A="a"b', 1),
    ("A=1\nB='x\ny' z", 2),
    ("A=a\0b", 1),
    ("export", 1),
    ("<html>", 1),
]


@pytest.mark.parametrize(("text", "variables"), GOOD)
def test_forms(text: str, variables: dict[str, str]) -> None:
    assert parse_env(text, ".env") == variables


@pytest.mark.parametrize(("text", "line"), BAD)
def test_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigFileError, match=rf"^cannot read '\.env': line {line} is not NAME=value$"):
        parse_env(text, ".env")


@given(st.text(alphabet="A='\"\\\n\t #x$\0é", max_size=40) | st.text(max_size=40))
def test_whatever_comes_is_parsed_or_refused(text: str) -> None:
    try:
        variables = parse_env(text, ".env")
    except ConfigFileError:
        return
    assert not any("\0" in value or "=" in name for name, value in variables.items())


def test_long_values_take_linear_time() -> None:
    text = 'A="' + "\\x" * 200_000
    with pytest.raises(ConfigFileError):
        parse_env(text, ".env")
    assert len(parse_env("A=" + "# x" * 100_000, ".env")["A"]) <= 300_000


def test_files_are_read_from_the_directory(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    assert read_env_file(".env", tmp_path) == {"A": "1"}
    with pytest.raises(ConfigFileError, match=r"'other': no such file"):
        read_env_file("other", tmp_path)
