"""What goes wrong on a command line: one `error:` line, a hint, the right exit code, nothing on stdout."""

from __future__ import annotations

from pathlib import Path

import pytest

from portway.cli.run import EXIT_INTERRUPTED
from tests.cli.conftest import Run, check_golden

BROKEN = """
def settings():
    raise LookupError("no DATABASE_URL")

settings()
"""
FILES = {
    "site.py": "def app(environ, start_response): return []\n",
    "broken.py": BROKEN,
    "notes.py": "from chalice import Chalice\napp = Chalice(app_name='notes')\n",
    "wrong.toml": "workers = 'four'\n",
    "unknown.toml": "wrkers = 4\n",
    "syntax.toml": "workers = = 4\n",
    "live.env": "PORTWAY_WORKERS=none\n",
}

CASES: list[tuple[str, list[str], dict[str, str], int]] = [
    ("unknown-command", ["serv"], {}, 1),
    ("unknown-command-far", ["xyzzy"], {}, 1),
    ("unknown-option", ["serve", "--wrkers", "4"], {}, 1),
    ("unknown-option-far", ["serve", "--xyzzy"], {}, 1),
    ("unknown-option-short", ["serve", "-Z"], {}, 1),
    ("unknown-option-top", ["--verson"], {}, 1),
    ("unknown-option-before-command", ["ctl", "--control", "c.sock", "status"], {}, 1),
    ("unknown-command-ctl", ["ctl", "xyzzy"], {}, 1),
    ("no-command-ctl", ["ctl"], {}, 1),
    ("extra-argument-ctl", ["ctl", "status", "now"], {}, 1),
    ("bad-number-ctl", ["ctl", "workers", "some"], {}, 1),
    ("no-kind-export", ["export"], {}, 1),
    ("unknown-option-check", ["check", "--tread", "4"], {}, 1),
    ("unknown-option-negated", ["serve", "--no-date-heder"], {}, 1),
    ("unknown-variable", ["serve", "site:app"], {"PORTWAY_WORKER": "4"}, 1),
    ("unknown-key", ["serve", "site:app", "-c", "unknown.toml"], {}, 1),
    ("missing-value", ["serve", "--workers"], {}, 1),
    ("value-for-a-switch", ["serve", "--factory=yes"], {}, 1),
    ("hostile-argument", ["serve", "site:app", "\x1b]0;owned\x07"], {}, 1),
    ("extra-argument", ["serve", "site:app", "other:app"], {}, 1),
    ("no-application", ["serve"], {}, 1),
    ("bad-flag", ["serve", "site:app", "--workers", "0"], {}, 1),
    ("bad-size", ["serve", "site:app", "--limit-request-body", "lots"], {}, 1),
    ("bad-choice", ["serve", "site:app", "--interface", "rsgi"], {}, 1),
    ("bad-bind", ["serve", "site:app", "-b", ":80", "--bind", "http://localhost"], {}, 1),
    ("bad-variable", ["serve", "site:app"], {"PORTWAY_KEEP_ALIVE": "for ever"}, 1),
    ("bad-port", ["serve", "site:app"], {"PORT": "http"}, 1),
    ("bad-web-concurrency", ["serve", "site:app"], {"WEB_CONCURRENCY": "many"}, 1),
    ("bad-key", ["serve", "site:app", "-c", "wrong.toml"], {}, 1),
    ("bad-env-file-value", ["serve", "site:app", "--env-file", "live.env"], {}, 1),
    ("bad-file", ["serve", "site:app", "-c", "syntax.toml"], {}, 1),
    ("no-file", ["serve", "site:app", "-c", "none.toml"], {}, 1),
    ("no-directory", ["serve", "site:app", "--chdir", "none"], {}, 1),
    ("conflict", ["serve", "site:app", "--lifespan", "on"], {"PORTWAY_INTERFACE": "wsgi"}, 1),
    ("bad-stage", ["serve", "site:app", "--api-stage", "a/b"], {}, 1),
    ("bad-media-type", ["serve", "site:app", "--binary-media-types", "*/png"], {}, 1),
    ("chalice-event", ["check", "notes.py", "--event", "http"], {}, 1),
    ("app-form", ["serve", "site:app[0]"], {}, 1),
    ("app-path", ["serve", "./site:app"], {}, 1),
    ("app-no-module", ["check", "sight_of_test:app"], {}, 1),
    ("app-no-file", ["check", "sight.py"], {}, 1),
    ("app-no-attribute", ["check", "site.py:ap"], {}, 1),
    ("app-import", ["check", "broken.py"], {}, 3),
]


@pytest.mark.parametrize(("name", "arguments", "environ", "code"), CASES, ids=[case[0] for case in CASES])
def test_error(
    run: Run, tmp_path: Path, name: str, arguments: list[str], environ: dict[str, str], code: int
) -> None:
    for file, text in FILES.items():
        (tmp_path / file).write_text(text)
    outcome = run(*arguments, environ=environ)
    assert (outcome.code, outcome.out) == (code, "")
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    hints = [line for line in outcome.err.splitlines() if line.startswith("hint: ")]
    assert (len(errors), len(hints)) == (1, 1)
    check_golden(f"error-{name}", outcome.err, tmp_path)


def test_golden_files_all_belong_to_a_test() -> None:
    names = {f"error-{case[0]}" for case in CASES} | {
        "help",
        "help-serve",
        "help-check",
        "help-dev",
        "help-emulate",
        "help-invoke",
        "print-config",
        "check",
        "check-site",
        "help-compress",
        "help-routes",
        "routes",
        "routes-all",
    }
    assert {path.stem for path in (Path(__file__).parent / "golden").iterdir()} == names


@pytest.mark.parametrize("platform", ["win32", "cygwin", "emscripten"])
def test_other_platforms_are_told_about_wsl(run: Run, platform: str) -> None:
    outcome = run("serve", "site:app", platform=platform)
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: the server does not run on {platform!r}")
    assert "(WSL)" in outcome.err


def test_a_working_directory_that_is_gone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    import os

    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    outcome = run("serve", "site:app")
    assert (outcome.code, outcome.err.splitlines()[0]) == (1, "error: the working directory does not exist")


class Hostile(dict[str, str]):
    """An environment that raises what nobody expects."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error="")
        self.error = error

    def get(self, *_: object) -> str:
        raise self.error


def test_a_defect_is_shown_with_its_traceback_and_asks_for_a_report(run: Run) -> None:
    outcome = run("serve", "site:app", environ=Hostile(ZeroDivisionError("\x1b[2J")))
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback (most recent call last):" in outcome.err
    assert (
        "error: unexpected ZeroDivisionError: '\\x1b[2J'\n\nhint: this is a defect in Portway" in outcome.err
    )


def test_an_interrupted_command_says_nothing(run: Run) -> None:
    outcome = run("check", "site:app", environ=Hostile(KeyboardInterrupt()))
    assert (outcome.code, outcome.out) == (EXIT_INTERRUPTED, "")
    assert outcome.err.strip() == ""
