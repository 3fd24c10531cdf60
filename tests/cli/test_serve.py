"""`portway serve` up to the server: --print-config, and real processes that end with the right code."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from portway.config.declared import DECLARED
from tests.cli.conftest import Run, check_golden

ENVIRON = {"PORTWAY_THREADS": "2", "PORT": "5000", "WEB_CONCURRENCY": "3"}


def test_print_config(run: Run, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text('app = "site:app"\nlimit-request-body = "16M"\n')
    outcome = run("serve", "--print-config", "--keep-alive", "5", "--no-server-header", environ=ENVIRON)
    assert (outcome.code, outcome.err) == (0, "")
    check_golden("print-config", outcome.out, tmp_path)


def test_print_config_names_the_environment_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.env").write_text("PORTWAY_LOG_LEVEL=debug\n")
    lines = run("serve", "--print-config", "--env-file", "x.env").out.splitlines()
    level = next(line for line in lines if line.startswith("log-level"))
    assert level.split("#")[-1] == " environment PORTWAY_LOG_LEVEL in x.env"


def test_print_config_configures_the_same(run: Run, tmp_path: Path) -> None:
    first = run(
        "serve", "a:b", "-b", ":1", "-b", "unix:/x y", "--umask", "27", "--print-config", environ=ENVIRON
    )
    values = tomllib.loads(first.out)
    assert list(values) == [declared.option.name for declared in DECLARED]
    (tmp_path / "portway.toml").write_text(first.out)
    assert tomllib.loads(run("serve", "--print-config").out) == values


def test_print_config_needs_no_application_and_no_unix(run: Run) -> None:
    assert run("serve", "--print-config", platform="win32").code == 0


def portway(
    *arguments: str, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portway", *arguments],
        cwd=cwd,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["serve", "site_app:app", "--wrkers=1"], 1, "error: unknown option '--wrkers'"),
        (["serve", "site_app:ap", "-b", "127.0.0.1:0"], 3, "error: 'site_app' has no attribute 'ap'"),
        (
            ["serve", "broken_app", "-b", "127.0.0.1:0"],
            3,
            "error: importing 'broken_app' failed: KeyError: 'x'",
        ),
        (["--version"], 0, ""),
    ],
)
def test_exit_codes_of_the_process(tmp_path: Path, arguments: list[str], code: int, line: str) -> None:
    (tmp_path / "site_app.py").write_text("def app(environ, start_response): return []\n")
    (tmp_path / "broken_app.py").write_text("raise KeyError('x')\n")
    done = portway(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert any(line in written for written in done.stderr.splitlines() or [""])


def test_output_nobody_reads_is_no_defect(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "portway", "serve", "--help"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=50, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr


def test_the_command_imports_neither_the_server_nor_the_application() -> None:
    code = "import sys, portway.cli; sys.exit(any(name.startswith('portway.server') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=50, check=False).returncode == 0
