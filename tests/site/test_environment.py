"""Variables and their references: what they become, and that no value is shown."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from portway.config import resolve
from portway.errors import BadValue, SecretUnavailable
from portway.site.environment import Environment, environment_of, names_of


def environment(folder: Path, text: str, environ: dict[str, str] | None = None, **flags: str) -> Environment:
    (folder / "portway.toml").write_text(text)
    return environment_of(resolve(flags, environ or {}, folder), environ or {})


def test_references_to_the_environment(tmp_path: Path) -> None:
    found = environment(
        tmp_path,
        """
        [env]
        URL = "postgres://u:${env:PASSWORD}@${env:HOST}/x?a=$b&c=$${literal}"
        HOST = "db.local"
        PLAIN = "$HOME costs $5"
        EMPTY = ""
        """,
        {"PASSWORD": "hunter2"},
    )
    assert dict(found) == {
        "URL": "postgres://u:hunter2@db.local/x?a=$b&c=${literal}",
        "HOST": "db.local",
        "PLAIN": "$HOME costs $5",
        "EMPTY": "",
    }


def test_an_environment_file_is_text(tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("PASSWORD='${env:HOME}'\n")
    assert dict(environment(tmp_path, "env-files = ['x.env']")) == {"PASSWORD": "${env:HOME}"}


def test_a_reference_to_what_the_environment_file_of_the_command_line_holds(tmp_path: Path) -> None:
    (tmp_path / "own.env").write_text("PASSWORD=hidden\n")
    (tmp_path / "portway.toml").write_text("[env]\nURL = 'x:${env:PASSWORD}'\n")
    loaded = resolve({"env-file": "own.env"}, {}, tmp_path)
    assert dict(environment_of(loaded, {})) == {"URL": "x:hidden"}
    assert "hidden" not in repr(loaded)


def test_applications_are_told_their_stage(tmp_path: Path) -> None:
    text = "[stages.prod]\n[stages.test.env]\nA = 'x'\n"
    assert dict(environment(tmp_path, text, stage="prod")) == {"PORTWAY_STAGE": "prod"}
    assert dict(environment(tmp_path, text, stage="test")) == {"A": "x", "PORTWAY_STAGE": "test"}
    assert dict(environment(tmp_path, text)) == {}


def test_no_value_is_shown(tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("FROM_FILE=hidden-1\n")
    text = "env-files = ['x.env']\n[env]\nSECRET = 'x${env:S}'\n"
    found = environment(tmp_path, text, {"S": "hidden-2"})
    try:
        raise LookupError(found)
    except LookupError:
        shown = traceback.format_exc() + repr(found) + str(found) + f"{found!s:>50}"
    assert "SECRET" in shown
    assert "hidden" not in shown
    variables = resolve({}, {}, tmp_path).variables
    assert names_of(variables) == [("SECRET", "x${env:S}"), ("FROM_FILE", "(in x.env)")]


def test_a_variable_that_is_not_set(tmp_path: Path) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        environment(tmp_path, "[env]\nA = '${env:PASWORD}'", {"PASSWORD": "hunter2"})
    assert str(caught.value) == "${env:PASWORD} for A of env in portway.toml is not set"
    assert caught.value.hint == "did you mean ${env:PASSWORD}?"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("${", "${ssm:/NAME}"),
        ("${}", "${ssm:/NAME}"),
        ("${ssm}", "${ssm:/NAME}"),
        ("${ssm:}", "${ssm:/NAME}"),
        ("${secrets:x}", "did you mean ${secret:x}?"),
        ("${secret:x#}", "${secret:NAME#KEY}"),
        ("${env:A", "${env:NAME}"),
        ("${env:${env:A}}", "${env:NAME}"),
        ("${HOME}", "did you mean ${env:HOME}?"),
        ("${a-b}", "a ${ that is text is $${"),
    ],
)
def test_references_that_are_none(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(BadValue, match="must hold references") as caught:
        environment(tmp_path, f"[env]\nA = '{text}'", {"HOME": "x"})
    assert hint in (caught.value.hint or "")
