"""`portway check`: what it prints, and that nothing is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, check_golden

WSGI = "def app(environ, start_response): return []\n"


def test_check(run: Run, tmp_path: Path) -> None:
    (tmp_path / "checked.py").write_text(WSGI)
    (tmp_path / "portway.toml").write_text("workers = 2\nbind = [':8080', 'unix:/run/site.sock']\n")
    outcome = run("check", "checked.py")
    assert (outcome.code, outcome.err) == (0, "")
    check_golden("check", outcome.out, tmp_path)


def test_check_of_an_asgi_application_from_the_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "checked_asgi.py").write_text("async def app(scope, receive, send): pass\n")
    (tmp_path / "pyproject.toml").write_text("[tool.portway]\napp = 'checked_asgi.py'\n")
    outcome = run("check")
    assert outcome.out.splitlines() == [
        "configuration pyproject.toml",
        "application   checked_asgi.py:app",
        "interface     ASGI 3",
        "listening on  127.0.0.1:8000",
        "workers       1",
    ]


def test_the_environment_file_reaches_the_application(run: Run, tmp_path: Path) -> None:
    (tmp_path / "needs.py").write_text("import os\nassert os.environ.pop('OF_CHECK') == 'x'\n" + WSGI)
    (tmp_path / ".env").write_text("OF_CHECK=x\n")
    assert run("check", "needs.py", "--env-file", ".env").code == 0


@pytest.mark.parametrize(("flag", "name"), [("--user", "nobody-has-this-name"), ("--group", "nor-this-one")])
def test_a_user_that_does_not_exist(run: Run, tmp_path: Path, flag: str, name: str) -> None:
    (tmp_path / "checked_user.py").write_text(WSGI)
    outcome = run("check", "checked_user.py", flag, name)
    assert outcome.code == 1
    assert name in outcome.err.splitlines()[0]


def test_an_event_loop_that_is_not_installed() -> None:
    # None in sys.modules is importlib's own way of saying: not there.
    program = (
        "import sys; sys.modules['uvloop'] = None\nfrom portway.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "check", "site:app", "--loop", "uvloop"]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: --loop must be an event loop that is installed, not 'uvloop'")
