"""APP: its forms, and what is none of them."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.apps.target import Call, Target, parse_target
from portway.errors import AppNotFound

GOOD = [
    ("site", "site", "", (), None),
    ("a.b:app", "a.b", "", ("app",), None),
    ("a:app.wsgi.x", "a", "", ("app", "wsgi", "x"), None),
    ("a:create()", "a", "", ("create",), Call((), {})),
    ("a:x.create()", "a", "", ("x", "create"), Call((), {})),
    ("a: create ( 1 , x = [2] ) ", "a", "", ("create",), Call((1,), {"x": [2]})),
    ("a:create('x:y()', -1, {'a': None})", "a", "", ("create",), Call(("x:y()", -1, {"a": None}), {})),
    ("app.py", "", "app.py", (), None),
    ("./my-app.py:app", "", "./my-app.py", ("app",), None),
    ("/srv/a b/app.py:make('.py:x')", "", "/srv/a b/app.py", ("make",), Call((".py:x",), {})),
    ("a.python:app", "a.python", "", ("app",), None),
    ("dir.py/app.py:x", "", "dir.py/app.py", ("x",), None),
    ("m.py.py", "", "m.py.py", (), None),
    ("é:app", "é", "", ("app",), None),
]

BAD = [
    "",
    ":",
    ":app",
    "a:",
    "a:1",
    "a:'app'",
    "a:app[0]",
    "a:app()()",
    "a:make().app",
    "a:make(x)",
    "a:make(__import__('os').system('true'))",
    "a:make(*[1])",
    "a:make(**{'a': 1})",
    "a:make(x for x in y)",
    "a:make(a=1, a=2)",
    "a:lambda: 0",
    "a:app, b",
    "a:app; b",
    "a:(app := 1)",
    "a:app:b",
    "a::app",
    "a:not",
    "a.:app",
    ".a:app",
    "a..b",
    "a/b:app",
    "a\\b:app",
    "a-b:app",
    "1a:app",
    "a\n:app",
    "a\0",
    "a:\x1b[2J",
    "a:" + "(" * 900,
    "a:f(" + "[" * 450 + "]" * 450 + ")",
    "a:" + "-" * 900 + "1",
    "x" * 100_000,
    ".py",
    "app.py:",
    "app.py:1",
]


@pytest.mark.parametrize(("text", "module", "file", "attribute", "call"), GOOD)
def test_forms(text: str, module: str, file: str, attribute: tuple[str, ...], call: Call | None) -> None:
    assert parse_target(text) == Target(text, module, file, attribute, call)


@pytest.mark.parametrize("text", BAD)
def test_refused(text: str) -> None:
    with pytest.raises(AppNotFound) as caught:
        parse_target(text)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


def test_the_hint_fits_the_mistake() -> None:
    with pytest.raises(AppNotFound) as caught:
        parse_target("src/site:app")
    assert caught.value.hint == "the path of a file must end with .py."


@given(st.text(max_size=40) | st.from_regex(r"\A[a-z]{1,3}(\.py)?:[a-z.()\[\]{}'\"0-9=,*\\-]{0,20}\Z"))
def test_whatever_comes_is_parsed_or_refused(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # Python's own, about odd literals
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            target = parse_target(text)
        except AppNotFound:
            return
    assert bool(target.module) != bool(target.file)
