"""Paths in their normal form, and patterns over them: the engine's and `site/patterns.py` say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.engine.paths import match, normalise
from portway.engine.table import Table
from portway.site import patterns

PIECES = st.sampled_from(
    [
        b"/",
        b".",
        b"..",
        b"a",
        b"b",
        b"%",
        b"%2e",
        b"%2F",
        b"%00",
        b"%25",
        b"%zz",
        b"%c0%ae",
        b"*",
        b"\\",
        b"?",
    ]
)
TARGETS = st.lists(PIECES, max_size=12).map(lambda pieces: b"/" + b"".join(pieces))
PATTERNS = st.text("ab/*?.", max_size=8).map(lambda text: "/" + text)


@given(TARGETS)
def test_the_engine_and_the_site_agree_on_paths(target: bytes) -> None:
    path = patterns.normalise(target)
    assert normalise(target) == (path.path, path.problem)


@given(PATTERNS, st.text("ab/.", max_size=10).map(lambda text: b"/" + text.encode()))
def test_the_engine_and_the_site_agree_on_patterns(pattern: str, path: bytes) -> None:
    taken, star = patterns.match(pattern, path), match(pattern.encode(), path)
    assert taken == (None if star is None else path[slice(*star)])
    table = Table()
    table.add_app(pattern.encode(), 0)
    assert (table.match(path) == 0) == patterns.matches(pattern, path)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/a/b", b"/a/b"),
        (b"/a/./b/../c", b"/a/c"),
        (b"/a/%2e%2e/b", b"/b"),
        (b"/a%2Fb", b"/a/b"),
        (b"/%252e%252e/", b"/%2e%2e/"),
        (b"/a/..", b"/"),
        (b"/a/b/.", b"/a/b/"),
        (b"//a///b//", b"/a/b/"),
        (b"/?q=%00", b"/"),
    ],
)
def test_normal_form(target: bytes, path: bytes) -> None:
    assert normalise(target) == (path, "")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (b"/..", "it climbs out of the root"),
        (b"/a/%2e%2e/%2E%2e/etc/passwd", "it climbs out of the root"),
        (b"/a%00.css", "it holds a NUL byte"),
        (b"/%", "it has a % that is no escape"),
        (b"/%g0", "it has a % that is no escape"),
        (b"/%2", "it has a % that is no escape"),
    ],
)
def test_what_no_file_can_be_called(target: bytes, problem: str) -> None:
    assert normalise(target)[1] == problem


@pytest.mark.parametrize(
    ("pattern", "path", "star"),
    [
        (b"/old/*", b"/old/a/b", (5, 8)),
        (b"/old/*", b"/old/", (5, 5)),
        (b"/*.php", b"/a.php", (1, 2)),
        (b"/*/x*y", b"/a/b/x1x2y", (6, 9)),
        (b"/a?c", b"/abc", (4, 4)),
        (b"/api/*", b"/api", None),
    ],
)
def test_what_the_last_star_takes(pattern: bytes, path: bytes, star: tuple[int, int] | None) -> None:
    assert match(pattern, path) == star


def test_many_stars_take_no_more_than_the_product_of_both_lengths() -> None:
    assert match(b"/" + b"*a" * 200 + b"b", b"/" + b"a" * 8000) is None


def test_the_first_rule_counts() -> None:
    table = Table()
    table.add_app(b"/api/v1/*", 7)
    table.add_elsewhere(b"/api/*", 1)
    table.add_redirect(b"/*.php", b"/", 301)
    assert table.count == 3
    assert [table.match(p) for p in (b"/api/v1/x", b"/api/x", b"/x.php", b"/x")] == [0, 1, 2, None]


@pytest.mark.parametrize(
    "to",
    [b"new", b"//host/x", b"https://*/x", b"https://a.*", b"ftp://host/", b"https://", b"/a b", b"/\xc3\xa9"],
)
def test_redirects_to_nowhere(to: bytes) -> None:
    with pytest.raises(ValueError, match=r"goes to|choose the host|percent-encoded"):
        Table().add_redirect(b"/*", to, 301)
