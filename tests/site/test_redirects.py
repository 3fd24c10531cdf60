"""Redirects: which targets are taken, and that none of them lets a client choose the host."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.site.patterns import match, normalise
from portway.site.redirects import location, problem_of
from portway.site.upstreams import problem_of as problem_of_upstream


@pytest.mark.parametrize(
    "to",
    [
        "/new/*",
        "/",
        "/*",
        "/x/*?from=here#top",
        "https://example.com",
        "https://example.com/*",
        "http://example.com:8080/a/*/b",
        "https://example.com?x",
        "https://[::1]:8443/*",
        "/caf%C3%A9",
    ],
)
def test_targets(to: str) -> None:
    assert problem_of(to, "/old/*") == ""


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        ("", "characters of a URL"),
        ("/a b", "characters of a URL"),
        ("/é", "characters of a URL"),
        ("/a\r\nX: y", "characters of a URL"),
        ("/\\evil.example", "characters of a URL"),
        ("/a%zz", "characters of a URL"),
        ("//evil.example/*", "must not begin with //"),
        ("///x", "must not begin with //"),
        ("new/*", "must be a path"),
        ("*", "must be a path"),
        ("javascript:alert(1)", "must be a path"),
        ("ftp://example.com/", "must be a path"),
        ("https:/*", "must be a path"),
        ("https://*", "choose the host"),
        ("https://example.com*", "choose the host"),
        ("https://example.com:80*/", "choose the host"),
        ("https://*.example.com/", "choose the host"),
        ("https://user@example.com/*", "must name a host"),
        ("https://", "must name a host"),
        ("https:///*", "must name a host"),
        ("https://example.com:99999/", "must name a host"),
        ("https://[::1/", "must name a host"),
        ("/a/*/b/*", "one * at most"),
        ("/a?x=*", "must have its * in the path"),
        ("/a#*", "must have its * in the path"),
        ("https://example.com?*", "must have its * in the path"),
    ],
)
def test_what_is_refused(to: str, problem: str) -> None:
    assert problem in problem_of(to, "/old/*")


def test_a_star_that_has_nothing_to_take() -> None:
    assert "has none" in problem_of("/new/*", "/old")


@pytest.mark.parametrize(
    ("to", "star", "query", "expected"),
    [
        ("/new/*", b"a/b", "", "/new/a/b"),
        ("/new/*", b"a b\xc3\xa9?#%", "", "/new/a%20b%C3%A9%3F%23%25"),
        ("/new/*", b"a\r\nb", "", "/new/a%0D%0Ab"),
        ("/*", b"/evil.example/", "", "/evil.example/"),
        ("/*", b"\\evil.example", "", "/%5Cevil.example"),
        ("/new", b"a", "x=1&y=2", "/new?x=1&y=2"),
        ("/new?z=3", b"a", "x=1", "/new?z=3"),
        ("/new#part", b"a", "x=1", "/new?x=1#part"),
        ("https://example.com/*", b"a", "x=1", "https://example.com/a?x=1"),
    ],
)
def test_locations(to: str, star: bytes, query: str, expected: str) -> None:
    assert location(to, star, query) == expected


_PIECES = [
    "/",
    "\\",
    "%5C",
    "%2F",
    "..",
    ".",
    "@",
    ":",
    "evil.example",
    "%09",
    "%0a",
    "%00",
    "?",
    "#",
    "a",
    "%2e",
]


@given(
    st.sampled_from(["/*", "/old*", "/old/*", "/a*b*", "/?*"]),
    st.sampled_from(["/*", "/new/*", "/*/x", "/new*", "/x/../*", "/.*", "https://example.com/*"]),
    st.lists(st.sampled_from(_PIECES), max_size=8).map("".join),
)
def test_no_path_leads_to_another_host(pattern: str, to: str, rest: str) -> None:
    for start in ("/", "/old", "/old/", "/ab"):
        star = match(pattern, normalise((start + rest).encode()).path)
        if star is None:
            continue
        text = location(to, star)
        assert all("!" <= letter <= "~" and letter != "\\" for letter in text)
        joined = urlsplit(urljoin("https://example.com/here/it/is", text))
        assert (joined.scheme, joined.netloc) == ("https", "example.com")
        assert not text.startswith(("//", "/\\"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:5173", "https://example.com/", "http://[::1]:80"])
def test_upstreams(url: str) -> None:
    assert problem_of_upstream(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:5173",
        "ftp://h",
        "http://",
        "http:///x",
        "http://h/api",
        "http://h?x",
        "http://h#x",
        "http://h:",
        "http://h:0",
        "http://h:99999",
        "http://user:pass@h",
        "http://h\\@evil",
        "http://h h",
        "http://[::1",
        "HTTP//h",
    ],
)
def test_upstreams_that_are_refused(url: str) -> None:
    assert problem_of_upstream(url).startswith("must ")
