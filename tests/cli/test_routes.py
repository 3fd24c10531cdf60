"""`portway routes` and what `portway check` says of a site."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run, check_golden

FILE = """
app = "checked_site.py:app"

[env]
URL = "postgres://u:${env:DB_PASSWORD}@db/"

[[routes]]
path = "/static/*"
static = "public"

[[routes]]
path = "/old/*"
redirect = "/new/*"
status = 301

[[routes]]
path = "/old/*.html"
redirect = "/"

[[routes]]
path = "/api/*"
app = "checked_site.py:api"

[stages.prod]
workers = 3
env-files = ["prod.env"]

[[stages.prod.routes]]
path = "/assets/*"
proxy = "https://assets.example.com"
"""
APP = """
import os
assert os.environ.pop("URL") == "postgres://u:hidden@db/"
os.environ.pop("TOKEN", None)
os.environ.pop("PORTWAY_STAGE", None)
def app(environ, start_response): return []
async def api(scope, receive, send): pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "portway.toml").write_text(FILE)
    (tmp_path / "checked_site.py").write_text(APP)
    (tmp_path / "prod.env").write_text("TOKEN=hidden-too\n")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "site.css").write_text("body {}")
    return tmp_path


def test_routes(run: Run, project: Path) -> None:
    outcome = run(
        "routes", "/static/site.css", "/old/a//b?x=1", "/api", "https://example.com/static/none#top"
    )
    assert (outcome.code, outcome.err) == (0, "")
    check_golden("routes", outcome.out, project)


def test_all_routes_of_a_stage(run: Run, project: Path) -> None:
    outcome = run("routes", "--stage", "prod")
    assert (outcome.code, outcome.err) == (0, "")
    check_golden("routes-all", outcome.out, project)


def test_check_shows_the_site(run: Run, project: Path) -> None:
    outcome = run("check", "--stage", "prod", environ={"DB_PASSWORD": "hidden"})
    assert (outcome.code, "hidden" in outcome.out + outcome.err) == (0, False)
    warning, *notes = sorted(outcome.err.splitlines(), reverse=True)
    assert (
        warning == "warning: routes '/old/*.html' never matches: '/old/*' before it takes all that it would"
    )
    assert [note.split("'")[1] for note in notes] == ["/old/*", "/assets/*", "/api/*"]
    assert all(note.startswith("note: ") and "does not take" in note for note in notes)
    check_golden("check-site", outcome.out, project)


def test_check_shows_the_site_even_without_its_secrets(run: Run, project: Path) -> None:
    outcome = run("check", "--stage", "prod")
    assert outcome.code == 3
    assert "/assets/*" in outcome.out
    assert "error: ${env:DB_PASSWORD} for URL of env in portway.toml is not set" in outcome.err


def test_check_looks_at_all_stages(run: Run, project: Path) -> None:
    with (project / "portway.toml").open("a") as file:
        file.write("[stages.next]\nworkers = 0\n")
    outcome = run("check", environ={"DB_PASSWORD": "hidden"})
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: stages.next.workers in portway.toml must be")


def test_the_printed_configuration_has_no_secret(run: Run, project: Path) -> None:
    outcome = run("serve", "--print-config", "--stage", "prod", environ={"DB_PASSWORD": "hidden"})
    assert outcome.code == 0
    assert "hidden" not in outcome.out
    (project / "portway.toml").write_text(outcome.out)
    check_golden("routes-all", run("routes").out, project)
    again = run("serve", "--print-config").out
    assert again.count("[[routes]]") == 5
    assert run("serve", "--print-config", "--stage", "prod").out.count("[stages.prod]") == 1
    assert "${env:DB_PASSWORD}" in outcome.out


def test_a_folder_that_is_not_there(run: Run, project: Path) -> None:
    (project / "public" / "site.css").unlink()
    (project / "public").rmdir()
    outcome = run("serve", environ={"DB_PASSWORD": "hidden"})
    assert (outcome.code, outcome.out) == (1, "")
    assert "static of routes '/static/*' in portway.toml must be a folder that exists" in outcome.err


def test_of_thousands_of_rules_the_first_and_the_last_are_shown(run: Run, tmp_path: Path) -> None:
    rules = "".join(f'[[routes]]\npath = "/{number}"\nredirect = "/"\n' for number in range(1_000))
    (tmp_path / "portway.toml").write_text(rules)
    lines = run("routes", "/999").out.splitlines()
    assert len(lines) == 1 + 41 + 1
    assert lines[1].split()[:2] == ["no", "/0"]
    assert lines[21] == "  …    960 more that do not match"
    assert lines[-2].split()[:2] == ["yes", "/999"]


@pytest.mark.parametrize("arguments", [["routes", "/"], ["routes"]])
def test_no_routes(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    outcome = run(*arguments)
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: there are no routes: no configuration file here")


def test_a_hostile_path_does_not_drive_the_terminal(run: Run, project: Path) -> None:
    outcome = run("routes", "/\x1b]0;owned\x07", "/%1b]0;owned%07")
    assert "\x1b" not in outcome.out
    assert "\x07" not in outcome.out
