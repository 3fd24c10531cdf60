"""Running a command line inside the test's process, and golden files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from portway.cli import main
from portway.cli.session import Session

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    code: int
    out: str
    err: str


Run = Callable[..., Outcome]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Run]:
    """Run `portway ARGUMENTS` in `tmp_path` with a given environment and platform, at 100 columns."""
    cwd, columns = Path.cwd(), os.environ.get("COLUMNS")
    os.chdir(tmp_path)
    os.environ["COLUMNS"] = "102"

    def run(*arguments: str, environ: Mapping[str, str] | None = None, platform: str = "linux") -> Outcome:
        code = main(arguments, Session(environ or {}, platform))
        return Outcome(code, *capfd.readouterr())

    yield run
    os.chdir(cwd)
    if columns is None:
        del os.environ["COLUMNS"]
    else:
        os.environ["COLUMNS"] = columns


def check_golden(name: str, text: str, tmp_path: Path) -> None:
    """Compare with a golden file; `UPDATE_GOLDEN=1` writes it instead."""
    text = text.replace(str(tmp_path), "/work")
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^[ ~^]*[~^][ ~^]*\n", "", text, flags=re.MULTILINE)  # tracebacks' marks differ by version
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), (
        f"UPDATE_GOLDEN=1 python -m pytest {Path(__file__).parent} writes it anew"
    )
