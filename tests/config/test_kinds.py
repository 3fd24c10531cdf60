"""Kinds of values: from text, from TOML, back to TOML, and what each refuses."""

from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.config.amounts import Count, Mode, Seconds, Size, spell_size
from portway.config.checks import directory, header_name, not_empty, root_path
from portway.config.declared import DECLARED
from portway.config.kinds import Choice, Kind, Many, Refused, Switch, Text

COUNT = Count(1, 512)
SIZE = Size(64, 1 << 30)
SECONDS = Seconds(0.1, 86_400)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (COUNT, "1", 1),
        (COUNT, "512", 512),
        (COUNT, "+7", 7),
        (COUNT, "007", 7),
        (SIZE, "64", 64),
        (SIZE, "64k", 65_536),
        (SIZE, "64K", 65_536),
        (SIZE, "64kB", 65_536),
        (SIZE, "64KiB", 65_536),
        (SIZE, "16M", 16 << 20),
        (SIZE, "16 MB", 16 << 20),
        (SIZE, "1g", 1 << 30),
        (SIZE, " 100b ", 100),
        (SECONDS, "0.1", 0.1),
        (SECONDS, "2.5", 2.5),
        (SECONDS, ".5", 0.5),
        (SECONDS, "86400", 86_400.0),
        (Mode(), "022", 0o22),
        (Mode(), "0o27", 0o27),
        (Mode(), "777", 0o777),
        (Mode(), "", None),
        (Switch(), "TRUE", True),
        (Switch(), "1", True),
        (Switch(), " on ", True),
        (Switch(), "no", False),
        (Switch(), "0", False),
        (Choice("a", "b", "c"), "b", "b"),
        (Text(), "é and spaces", "é and spaces"),
        (Many(Text()), "a, b ,,c", ("a", "b", "c")),
        (Many(Text()), "", ()),
    ],
)
def test_text_is_read(kind: Kind, text: str, value: object) -> None:
    assert kind.from_text(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (COUNT, "0"),
        (COUNT, "513"),
        (COUNT, "-1"),
        (COUNT, ""),
        (COUNT, " 1"),
        (COUNT, "1_000"),
        (COUNT, "1.0"),
        (COUNT, "1e2"),
        (COUNT, "0x10"),
        (COUNT, "٣"),
        (COUNT, "9" * 5000),
        (SIZE, "63"),
        (SIZE, "-1"),
        (SIZE, "2G"),
        (SIZE, "1.5M"),
        (SIZE, "M"),
        (SIZE, "16 M B"),
        (SIZE, "16X"),
        (SIZE, "٦٤k"),
        (SIZE, "9" * 5000),
        (SECONDS, "0"),
        (SECONDS, "0.09"),
        (SECONDS, "86400.1"),
        (SECONDS, "nan"),
        (SECONDS, "inf"),
        (SECONDS, "-1"),
        (SECONDS, "1e3"),
        (SECONDS, "30s"),
        (SECONDS, "."),
        (SECONDS, ""),
        (SECONDS, "9" * 5000),
        (Mode(), "8"),
        (Mode(), "1000"),
        (Mode(), "-22"),
        (Mode(), "0x12"),
        (Mode(), "rwx"),
        (Switch(), ""),
        (Switch(), "2"),
        (Switch(), "maybe"),
        (Choice("a", "b", "c"), "A"),
        (Choice("a", "b", "c"), ""),
        (Text(), "a\nb"),
        (Text(), "a\x00b"),
        (Text(), "a\x1b[31m"),
        (Text(), "a\x7f"),
        (Text(), "a\x9bb"),
        (Text(), "a\udc80b"),
        (Text(), "\u202eevil"),
        (Many(Text(), minimum=1), ""),
        (Many(Text(), minimum=1), ",,"),
        (Many(Text()), "a,a"),
    ],
)
def test_text_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(Refused, match=r"^must "):
        kind.from_text(text)


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (COUNT, 4, 4),
        (SIZE, 64, 64),
        (SIZE, "64k", 65_536),
        (SECONDS, 2, 2.0),
        (SECONDS, 2.5, 2.5),
        (Mode(), 0o22, 0o22),
        (Mode(), "022", 0o22),
        (Mode(), "", None),
        (Switch(), True, True),
        (Many(Text()), ["a", "b"], ("a", "b")),
        (Many(Text()), "a,b", ("a,b",)),
        (Many(Text()), [], ()),
    ],
)
def test_toml_is_read(kind: Kind, value: object, read: object) -> None:
    result = kind.from_toml(value)
    assert (result, type(result)) == (read, type(read))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (COUNT, "4"),
        (COUNT, True),
        (COUNT, 4.0),
        (COUNT, 10**400),
        (COUNT, [4]),
        (SIZE, True),
        (SIZE, 64.0),
        (SIZE, None),
        (SIZE, 10**400),
        (SECONDS, "2"),
        (SECONDS, True),
        (SECONDS, math.nan),
        (SECONDS, math.inf),
        (SECONDS, 10**400),
        (Mode(), True),
        (Mode(), -1),
        (Mode(), 0o1000),
        (Mode(), 2.0),
        (Switch(), 1),
        (Switch(), "true"),
        (Choice("a", "b"), 1),
        (Text(), 1),
        (Text(), {}),
        (Many(Text()), 1),
        (Many(Text()), ["a", 1]),
        (Many(Text()), [["a"]]),
        (Many(Text()), {"a": 1}),
        (Many(Text()), ["a", "a"]),
        (Many(Text(), minimum=1), []),
    ],
)
def test_toml_of_another_type_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(Refused, match=r"^must "):
        kind.from_toml(value)


def test_the_item_at_fault_is_named() -> None:
    with pytest.raises(Refused) as caught:
        Many(Choice("a", "b")).from_toml(["a", "z"])
    assert caught.value.offender == "z"


def test_values_of_a_repeated_flag_keep_their_commas() -> None:
    assert Many(Text()).from_flags(("a,b", "c")) == ("a,b", "c")


@pytest.mark.parametrize(("size", "spelling"), [(0, "0"), (8190, "8190"), (65_536, "64k"), (3 << 30, "3G")])
def test_sizes_are_spelled_as_they_are_read(size: int, spelling: str) -> None:
    assert spell_size(size) == spelling
    assert Size(0, 1 << 60).from_text(spelling) == size


@given(st.floats(0.1, 86_400))
def test_seconds_survive_toml(number: float) -> None:
    assert SECONDS.from_toml(tomllib.loads(f"x = {SECONDS.to_toml(number)}")["x"]) == number


@given(st.text())
def test_text_survives_toml_or_is_refused(text: str) -> None:
    kind = Text()
    try:
        value = kind.from_text(text)
    except Refused:
        return
    assert tomllib.loads(f"x = {kind.to_toml(value)}")["x"] == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(DECLARED), st.text(max_size=40) | st.from_regex(r"\A[0-9.kMG:/a-z]{0,12}\Z"), JSON)
def test_no_kind_raises_anything_else(declared: Any, text: str, value: object) -> None:
    kind = declared.option.kind
    for read, given_value in ((kind.from_text, text), (kind.from_toml, value)):
        try:
            result = read(given_value)
        except Refused as refusal:
            assert str(refusal).startswith("must ")
        else:
            assert kind.from_toml(tomllib.loads(f"x = {kind.to_toml(result)}")["x"]) == result


@pytest.mark.parametrize("path", ["", "/api", "/api/v1", "/a-b_c~d"])
def test_root_path(path: str) -> None:
    assert root_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["/", "api", "/api/", "//api", "/a//b", "/a?b", "/a#b", "/a b", "/a%20b", "/a/..", "/./a", "/a\\b"],
)
def test_root_path_refused(path: str) -> None:
    with pytest.raises(Refused):
        root_path(path)


def test_header_names() -> None:
    assert header_name("X_Request_ID") == "x_request_id"
    for name in ("X-Request-ID", "", "a_b c", "a_b:", "a_b\r\n", "ä_b"):
        with pytest.raises(Refused):
            header_name(name)


def test_small_checks() -> None:
    assert directory("/srv/app/") == "/srv/app"
    assert directory("/") == "/"
    assert directory("") == ""
    with pytest.raises(Refused):
        not_empty("")
