"""`--reload`: real files that change under a real server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from portway.config import Settings
from portway.config.settings import Reload
from portway.server.watching import is_watched
from tests.support.client import get
from tests.support.load import Load
from tests.support.processes import Portway, children, wait_for_end

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{}"]
"""


class Project:
    """A directory with an application that is edited."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.save("one")

    def save(self, answer: str) -> None:
        """Save the application with another answer."""
        self.write("site_app.py", APP.format(answer))

    def write(self, name: str, text: str) -> None:
        """Save a file as editors do: a new one in the place of the old one."""
        path = self.directory / name
        temporary = path.with_name(f".{path.name}.swp")
        temporary.write_text(text)
        temporary.rename(path)

    def start(self, *args: str) -> Portway:
        """Serve it with `--reload`."""
        variables = {"PYTHONDONTWRITEBYTECODE": "1"}  # two saves within a second have the same stamp
        return Portway("site_app:app", "--reload", *args, cwd=self.directory, env=variables)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One that answers "one"."""
    return Project(tmp_path)


def touch_until(server: Portway, project: Project, pattern: str) -> None:
    """Save again and again until the server says so: its watcher may have begun only now."""
    for _ in range(20):
        project.save("one")
        try:
            server.wait_for(pattern, timeout_s=1.0)
        except AssertionError:
            continue
        return
    server.wait_for(pattern, timeout_s=1.0)


def test_a_save_is_served_and_named_and_a_broken_one_is_not(project: Project) -> None:
    with project.start("--workers", "2") as server:
        server.ready()
        touch_until(server, project, r"info: reload: site_app.py changed$")
        with Load(server.address, keep_alive=2, fresh=1, path="/") as load:
            project.save("two")
            load.wait_for_body("two", 10)
            project.write("site_app.py", "def app(:\n")
            server.wait_for("error: generation .* cannot start; .*SyntaxError")
            load.wait_for(20)
            project.save("three")
            load.wait_for_body("three", 10)
        assert load.failures == []
        assert server.stop() == 0


def test_the_configuration_counts_and_other_files_do_not(project: Project) -> None:
    project.write("portway.toml", "threads = 2\n")
    with project.start("--reload-include", "*.html", "--reload-exclude", "ignored*") as server:
        server.ready()
        touch_until(server, project, r"info: reload: site_app.py changed$")
        project.write("notes.txt", "nothing")
        project.write("ignored.py", "nothing")
        project.write("page.html", "something")
        server.wait_for(r"info: reload: (.+, )?page.html(, .+)? changed$")
        project.write("portway.toml", "threads = 3\n")
        server.wait_for(r"info: reload: (.+, )?portway.toml(, .+)? changed$")
        server.wait_for(r"info: reload: threads: 2 → 3$")
        assert "notes.txt" not in server.log
        assert "ignored.py" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_watcher_ends_with_its_arbiter(number: signal.Signals, project: Project) -> None:
    with project.start() as server:
        server.ready()
        touch_until(server, project, r"info: reload: site_app.py changed$")
        server.ready(2)
        everybody = children(server.pid)
        if number == signal.SIGINT:
            os.killpg(server.pid, number)  # as a terminal does
        else:
            server.send(number)
        for child in everybody:
            wait_for_end(child)
        server.exit_code()
        assert "not noticed any more" not in server.log


def test_files_are_named_however_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    settings = Settings(
        reload=Reload(directories=(str(tmp_path),), include=("*.html",), exclude=("*/deep/*",))
    )
    watched = is_watched(settings, ("/etc/portway.toml",))
    place = os.path.realpath(tmp_path)
    assert watched(f"{place}/a.py")
    assert watched(f"{place}/a.html")
    assert watched("/etc/portway.toml")
    assert not watched(f"{place}/a.css")
    assert not watched(f"{place}/deep/a.py")
    assert not watched("/elsewhere/a.py")


def test_a_directory_elsewhere_is_watched(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("library")
    with project.start("--reload-dir", str(other)) as server:
        server.ready()
        for number in range(20):
            (other / "module.py").write_text(f"# {number}")
            if any("module.py changed" in line for line in server.lines):
                break
            get(server.address)
            try:
                server.wait_for("module.py changed", timeout_s=1.0)
            except AssertionError:
                continue
            break
        server.wait_for("module.py changed", timeout_s=1.0)
