"""Patterns: CloudFront's own examples, the normal form of paths, and time that no path can stretch."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.site.patterns import directory_of, match, matches, normalise, problem_of, with_slash


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        # The examples of CloudFront's guide.
        ("*.jpg", "/a.jpg", True),
        ("*.jpg", "/deep/er/a.jpg", True),
        ("*.jpg", "/LOGO.JPG", False),
        ("images/*.jpg", "/images/a/b.jpg", True),
        ("/images/*.jpg", "/images/a.jpg", True),
        ("images/*.jpg", "/other/images/a.jpg", False),
        ("a*.jpg", "/a/b.jpg", True),
        ("a*.jpg", "/ant.jpg", True),
        ("a??.jpg", "/ant.jpg", True),
        ("a??.jpg", "/a.jpg", False),
        ("*.doc*", "/x.docx", True),
        ("*.doc?", "/x.doc", False),
        # What follows from them.
        ("*", "/", True),
        ("*", "/a/b", True),
        ("/api/*", "/api", False),
        ("/api/*", "/api/", True),
        ("/api*", "/apis", True),
        ("/favicon.ico", "/favicon.ico", True),
        ("/favicon.ico", "/faviconxico", False),
        ("/a+b$(c", "/a+b$(c", True),
        ("/?", "/\n", True),
        ("/*", "/a\nb", True),
    ],
)
def test_matching(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path.encode()) is expected


@pytest.mark.parametrize(
    ("pattern", "path", "star"),
    [
        ("/old/*", "/old/a/b", b"a/b"),
        ("/old/*", "/old/", b""),
        ("/*/x/*", "/a/x/b/x/c", b"b/x/c"),
        ("/*.html", "/a.html.html", b"a.html"),
        ("/a", "/a", b""),
        ("/a**", "/abc", b"bc"),
        ("/a", "/b", None),
    ],
)
def test_what_the_last_star_took(pattern: str, path: str, star: bytes | None) -> None:
    assert match(pattern, path.encode()) == star


@pytest.mark.parametrize(
    ("target", "path", "problem"),
    [
        ("/a/b?x=/../..", "/a/b", ""),
        ("/a/./b/../c", "/a/c", ""),
        ("/a/%2e%2E/b", "/b", ""),
        ("/a%2Fb", "/a/b", ""),
        ("/a/..", "/", ""),
        ("/a/b/..", "/a/", ""),
        ("/a/.", "/a/", ""),
        ("//a///b//", "/a/b/", ""),
        ("/a//../b", "/b", ""),
        ("/%252e%252e/a", "/%2e%2e/a", ""),
        ("/...", "/...", ""),
        ("/..", "/", "climbs"),
        ("/a/../../etc/passwd", "/etc/passwd", "climbs"),
        ("/%2e%2e%2fetc", "/etc", "climbs"),
        ("/a%", "/a%", "no escape"),
        ("/a%zz", "/a%zz", "no escape"),
        ("/a%00", "/a\0", "NUL"),
    ],
)
def test_normal_form(target: str, path: str, problem: str) -> None:
    found = normalise(target.encode())
    assert found.path == path.encode()
    assert problem in found.problem
    assert bool(found.problem) == bool(problem)


@given(st.lists(st.sampled_from(["a", ".", "..", "/", "%2e", "%2F", "%25", "%00", "b.c", "%"])).map("".join))
def test_a_normal_form_has_no_dots_and_no_empty_segments(rest: str) -> None:
    path = normalise(b"/" + rest.encode()).path
    assert path.startswith(b"/")
    segments = path.split(b"/")[1:]
    assert not {b".", b".."} & set(segments)
    assert b"" not in segments[:-1]


@given(st.text("ab*?/.", max_size=8), st.text("ab/.", max_size=12))
def test_matching_is_that_of_the_plain_expression(pattern: str, rest: str) -> None:
    expression = "".join(
        ".*" if letter == "*" else "." if letter == "?" else re.escape(letter)
        for letter in with_slash(pattern)
    )
    path = "/" + rest
    expected = re.fullmatch(expression, path, re.DOTALL) is not None
    assert matches(pattern, path.encode()) is expected


def test_no_path_makes_a_pattern_slow() -> None:
    assert not matches("/" + "*a" * 120 + "b", b"/" + b"a" * 8_000)


def test_directories() -> None:
    found = {
        pattern: directory_of(pattern) for pattern in ("/static/*", "favicon.ico", "/a/b*.png", "*", "/a/?/b")
    }
    assert found == {
        "/static/*": "/static/",
        "favicon.ico": "/",
        "/a/b*.png": "/a/",
        "*": "/",
        "/a/?/b": "/a/",
    }


@pytest.mark.parametrize("pattern", ["/*", "*", "/a-b_c.d~e$f\"g'h@i:j+k&l?", "/" + "x" * 254, "x" * 254])
def test_patterns_that_cloudfront_takes(pattern: str) -> None:
    assert problem_of(pattern) == ""


@pytest.mark.parametrize(
    "pattern", ["", "/é", "/a b", "/a%20b", "/[a-z]", "/{a}", "/a#b", "/" + "x" * 255, "x" * 255]
)
def test_patterns_that_it_does_not(pattern: str) -> None:
    assert problem_of(pattern).startswith("must ")
