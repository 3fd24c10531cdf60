"""Patterns that can never match: exactly those."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.site.inclusion import TooHard, can_match, example, includes
from portway.site.patterns import matches, normalise


@pytest.mark.parametrize(
    ("pattern", "earlier"),
    [
        ("/a", ["*"]),
        ("/a", ["/a"]),
        ("a", ["/a"]),
        ("/a/b", ["/a/*"]),
        ("/a/*.png", ["/a/*"]),
        ("/a?", ["/a*"]),
        ("/**", ["/*"]),
        ("/x*", ["/x", "/x?*"]),  # only the two together
        ("/a*b*c", ["/a*c"]),
        ("/a//b", []),  # no path looks like these
        ("/a/../b", []),
        ("/a/./b", []),
        ("/a/..", []),
        ("//*", []),
    ],
)
def test_never(pattern: str, earlier: list[str]) -> None:
    assert not can_match(pattern, earlier)


@pytest.mark.parametrize(
    ("pattern", "earlier"),
    [
        ("/a", []),
        ("/a", ["/a/*", "/A"]),
        ("/a/*", ["/a/*.png", "/a/?"]),
        ("/a*", ["/a", "/a?"]),
        ("/*", ["/?*"]),
        ("/a*c", ["/a*b*c"]),
        ("/...", []),
        ("/.well-known/*", []),
        ("/a*/b", []),
    ],
)
def test_sometimes(pattern: str, earlier: list[str]) -> None:
    assert can_match(pattern, earlier)


_PATHS = [
    path
    for size in range(6)
    for letters in itertools.product("ab/.", repeat=size)
    if normalise(path := b"/" + "".join(letters).encode()).path == path
]


@settings(max_examples=200, deadline=None)
@given(st.text("ab*?/.", max_size=5), st.lists(st.text("ab*?/.", max_size=4), max_size=3))
def test_an_example_is_one_and_none_means_none(pattern: str, earlier: list[str]) -> None:
    path = example(pattern, earlier)
    if path is None:
        for short in _PATHS:
            assert not matches(pattern, short) or any(matches(one, short) for one in earlier)
    else:
        assert normalise(path.encode()).path == path.encode()
        assert matches(pattern, path.encode())
        assert not any(matches(one, path.encode()) for one in earlier)


def test_inclusion() -> None:
    assert includes("/a/*", "/a/b*")
    assert not includes("/a/b*", "/a/*")


def test_a_hard_pattern_ends() -> None:
    pattern, earlier = "/*a" + "?" * 40, ["/*b" + "?" * 40, "/*c" + "?" * 40]
    assert can_match(pattern, earlier)
    with pytest.raises(TooHard):
        example(pattern, [*earlier, pattern])
