"""Help and version: golden files, and that every option is there under its topic."""

from __future__ import annotations

from pathlib import Path

import pytest

import portway
from portway.config.declared import DECLARED
from tests.cli.conftest import Run, check_golden


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("help", ["--help"]),
        ("help-serve", ["serve", "--help"]),
        ("help-check", ["check", "-h"]),
        ("help-dev", ["dev", "--help"]),
        ("help-invoke", ["invoke", "--help"]),
        ("help-emulate", ["emulate", "--help"]),
        ("help-routes", ["routes", "--help"]),
    ],
)
def test_help(run: Run, tmp_path: Path, name: str, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert (outcome.code, outcome.err) == (0, "")
    check_golden(name, outcome.out, tmp_path)


def test_no_arguments_is_help(run: Run) -> None:
    assert run() == run("--help")


@pytest.mark.parametrize("command", ["serve", "check"])
def test_every_option_stands_under_its_topic(run: Run, command: str) -> None:
    text = run(command, "--help").out
    topics = [text.index(f"\n{topic}:\n") for topic in dict.fromkeys(declared.topic for declared in DECLARED)]
    assert topics == sorted(topics)
    for declared in DECLARED:
        start = text.index(f"\n{declared.topic}:\n")
        section = text[start : text.find("\n\n", start + 2)]
        assert declared.option.flag in section


def test_version(run: Run) -> None:
    outcome = run("--version")
    assert (outcome.code, outcome.out, outcome.err) == (0, f"portway {portway.__version__}\n", "")
