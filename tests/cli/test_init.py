"""`portway init` for a real project of each framework: what it writes is checked, and really served."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.site.projects import PROJECTS, ROUTES, make_project
from tests.support.client import get
from tests.support.processes import COMMAND, Portway

APP = "from flask import Flask\napp = Flask(__name__)\n"


def portway(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a project."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )


@pytest.mark.parametrize("framework", PROJECTS)
def test_what_is_written_is_checked_and_served(framework: str, tmp_path: Path) -> None:
    folder = make_project(tmp_path, framework)
    done = portway(folder, "init")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    text = (folder / "portway.toml").read_text()
    written = tomllib.loads(text)
    assert f"# Portway's configuration of a {framework} project." in text
    found = {route["path"]: route["static"] for route in written.get("routes", [])}
    assert found == ROUTES.get(framework, {})
    checked = portway(folder, "check")
    assert checked.returncode == 0, checked.stderr
    with Portway("", command=[*COMMAND, "dev", "--bind", "127.0.0.1:0"], cwd=folder) as server:
        address = server.ready().address
        assert get(address).body == b"it works"
        for pattern, place in found.items():
            file = next((folder / place).iterdir())
            answer = get(address, pattern.replace("*", file.name))
            assert (answer.body, answer.headers["cache-control"]) == (file.read_bytes(), "no-cache")


@pytest.mark.parametrize("framework", PROJECTS)
def test_dev_needs_no_file(framework: str, tmp_path: Path) -> None:
    folder = make_project(tmp_path, framework)
    with Portway("", command=[*COMMAND, "dev", "--bind", "127.0.0.1:0"], cwd=folder) as server:
        assert get(server.ready().address).body == b"it works"
        server.wait_for(rf"^portway dev: .* \({framework}")


def test_django_serves_its_own_files_in_development(tmp_path: Path) -> None:
    folder = make_project(tmp_path, "Django")
    (folder / "static" / "style.css").write_text("body { color: blue }")
    with Portway("", command=[*COMMAND, "dev", "--bind", "127.0.0.1:0"], cwd=folder) as server:
        assert get(server.ready().address, "/static/style.css").body == b"body { color: blue }"


def test_django_in_production(tmp_path: Path) -> None:
    folder = make_project(tmp_path, "Django")
    portway(folder, "init")
    (prod,) = tomllib.loads((folder / "portway.toml").read_text())["stages"]["prod"]["routes"]
    assert prod == {"path": "/static/*", "static": "collected"}
    with Portway("", "--stage", "prod", cwd=folder) as server:
        assert get(server.ready().address, "/static/style.css").body == b"body { color: red }"


def test_django_settings_that_only_the_source_tells(tmp_path: Path) -> None:
    folder = make_project(tmp_path, "Django")
    settings = folder / "shop" / "settings.py"
    settings.write_text(settings.read_text() + "import no_such_package\n")
    text = portway(folder, "init", "--print").stdout
    assert 'path = "/media/*"\nstatic = "uploads"' in text
    assert "shop.settings, as its source says" in text


def test_django_settings_that_print_and_end(tmp_path: Path) -> None:
    folder = make_project(tmp_path, "Django")
    settings = folder / "shop" / "settings.py"
    settings.write_text("print('portway-settings:{}')\n" + settings.read_text() + "STATIC_ROOT = None\n")
    text = portway(folder, "init", "--print").stdout
    assert "STATIC_ROOT is not set" in text
    assert 'path = "/media/*"\nstatic = "uploads"' in text


def test_a_file_that_is_there_stays(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "portway.toml").write_text("# mine\n")
    outcome = run("init")
    assert (outcome.code, (tmp_path / "portway.toml").read_text()) == (1, "# mine\n")
    assert outcome.err == (
        "error: portway.toml exists\n\nhint: --force writes over it, --print shows what it would be.\n"
    )
    assert run("init", "--print").code == 0
    assert (tmp_path / "portway.toml").read_text() == "# mine\n"
    assert run("init", "--force").code == 0
    assert tomllib.loads((tmp_path / "portway.toml").read_text())["app"] == "app:app"


def test_a_link_that_leads_nowhere_stays(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "portway.toml").symlink_to(tmp_path / "nowhere")
    assert run("init").code == 1
    assert not (tmp_path / "nowhere").exists()


def test_pyproject_configures_it_already(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "pyproject.toml").write_text("[tool.portway]\nworkers = 2\n")
    assert "[tool.portway] in pyproject.toml configures Portway already" in run("init").err


def test_nothing_to_write_about(run: Run) -> None:
    assert "error: no application was found in " in run("init").err
    assert "error: there is no directory nowhere" in run("init", "--chdir", "nowhere").err


def test_one_of_several(run: Run, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "main.py").write_text(APP)
    outcome = run("init")
    assert "wrote portway.toml for app:app" in outcome.err
    assert "there is main:app as well" in outcome.err
    assert run("init", "main:app", "--force").code == 0
    assert tomllib.loads((tmp_path / "portway.toml").read_text())["app"] == "main:app"
    assert "hint: there is app:app, main:app." in run("init", "other:app", "--force").err


def test_a_folder_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        (tmp_path / "portway.toml").mkdir()  # the superuser may write anywhere, but not over a directory
    (tmp_path / "app.py").write_text(APP)
    tmp_path.chmod(0o500)
    try:
        outcome = run("init", "--force")
    finally:
        tmp_path.chmod(0o700)
    assert outcome.code == 3
    assert "error: cannot write " in outcome.err
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".portway")] == []


def test_names_that_need_quotes(run: Run, tmp_path: Path) -> None:
    (tmp_path / 'my "app".py').write_text(APP)
    (tmp_path / "static").mkdir()
    outcome = run("init", "--print")
    assert outcome.code == 0
    assert tomllib.loads(outcome.out)["app"] == 'my "app".py:app'


def test_it_needs_no_framework(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\nraise SystemExit(1)\n")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "portway", "init", "--print"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0
    assert "| flask" not in done.stderr
