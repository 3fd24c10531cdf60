"""The exception tree: its texts, its hints, its exit codes."""

from __future__ import annotations

import inspect

import pytest

from portway import errors
from portway.engine import require_lock
from portway.errors import (
    BadValue,
    BindError,
    ConfigFileError,
    Conflict,
    LockSwitchedOff,
    PortwayError,
    UnknownOption,
    UnsupportedPlatform,
    nearest,
    plain,
    shown,
)

CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, PortwayError) and value.__module__ == errors.__name__
]


def test_every_class_stands_in_the_drawing_and_has_a_docstring() -> None:
    drawing = errors.__doc__ or ""
    assert [cls.__name__ for cls in CLASSES if cls.__name__ not in drawing or not cls.__doc__] == []


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {cls.__name__: cls.exit_code for cls in CLASSES if cls.exit_code != 1}
    starting = ("AppImportError", "StartupFailed", "BindError", "CertificateError", "SecretUnavailable")
    assert codes == {**dict.fromkeys(starting, 3), "ShutdownFailed": 2}


def test_render_has_the_error_an_empty_line_and_the_hint() -> None:
    assert PortwayError("it broke", "mend it").render() == "error: it broke\n\nhint: mend it"
    assert PortwayError("it broke").render() == "error: it broke"


def test_details_stand_above_the_error() -> None:
    error = PortwayError("it broke", details="Traceback:\n  here\n\n")
    assert error.render() == "Traceback:\n  here\n\nerror: it broke"


def test_unknown_option_suggests_the_nearest_name() -> None:
    error = UnknownOption("werkers", kind="key", known=["workers", "bind"], place="in portway.toml")
    assert (str(error), error.hint) == ("unknown key 'werkers' in portway.toml", "did you mean workers?")
    assert error.suggestion == "workers"


def test_unknown_option_without_a_near_name_says_where_they_are_listed() -> None:
    error = UnknownOption("zzz", kind="option", known=["--bind"])
    assert error.suggestion is None
    assert error.hint == "`portway serve --help` lists them all."


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BadValue("--workers", "0", "must be from 1 to 9"), "--workers must be from 1 to 9, not '0'"),
        (
            BadValue("workers", 0, "must be from 1 to 9", source="in portway.toml"),
            "workers in portway.toml must be from 1 to 9, not 0",
        ),
        (Conflict("a (default)", "b in c.toml", "why"), "a (default) conflicts with b in c.toml: why"),
        (ConfigFileError("a.toml", "no such file"), "cannot read 'a.toml': no such file"),
        (
            BindError("127.0.0.1:80", "permission denied"),
            "cannot listen on '127.0.0.1:80': permission denied",
        ),
    ],
)
def test_texts(error: PortwayError, text: str) -> None:
    assert str(error) == text


def test_windows_is_told_about_wsl() -> None:
    assert "WSL" in (UnsupportedPlatform("win32").hint or "")


@pytest.mark.parametrize("gil", [1, None])
def test_an_interpreter_that_has_its_lock_or_may_turn_it_on(gil: int | None) -> None:
    require_lock(gil)


def test_an_interpreter_that_keeps_its_lock_off() -> None:
    with pytest.raises(LockSwitchedOff, match="PYTHON_GIL=0") as caught:
        require_lock(0)
    assert caught.value.hint


def test_shown_is_short_and_harmless() -> None:
    assert len(shown("x" * 10_000)) < 200
    assert "\x1b" not in shown("\x1b]0;title\x07")
    assert len(shown(["x" * 1000] * 1000)) < 1000
    assert len(shown(object())) < 200


def test_plain_escapes_only_what_has_control_characters() -> None:
    assert plain("a b/portway.toml") == "a b/portway.toml"
    assert plain("a\nb") == "'a\\nb'"


def test_nearest_ignores_case_and_finds_nothing_far_away() -> None:
    assert nearest("PORTWAY_WORKER", ["PORTWAY_WORKERS", "PORTWAY_BIND"]) == "PORTWAY_WORKERS"
    assert nearest("Workers", ["workers"]) == "workers"
    assert nearest("completely-different", ["bind"]) is None
    assert nearest("", []) is None
