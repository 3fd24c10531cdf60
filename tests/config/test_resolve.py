"""From a command line to settings, with real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from portway.config import Loaded, Settings, resolve
from portway.errors import BadValue, ConfigFileError, UnknownOption


def workers(loaded: Loaded) -> int:
    """Return with how many workers the server starts."""
    return loaded.settings.process.workers.minimum


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with a service beside the place commands are started in."""
    (tmp_path / "service").mkdir()
    (tmp_path / "start").mkdir()
    (tmp_path / "service" / "portway.toml").write_text("workers = 3\nenv-file = '.env'\n")
    (tmp_path / "service" / ".env").write_text("PORTWAY_THREADS=7\nSECRET=x\n")
    return tmp_path


def test_nothing_is_every_default(tmp_path: Path) -> None:
    loaded = resolve({}, {}, tmp_path)
    assert (loaded.settings, loaded.file) == (Settings(), None)


def test_the_file_is_looked_for_in_chdir(tree: Path) -> None:
    loaded = resolve({"chdir": "../service"}, {}, tree / "start")
    assert workers(loaded) == 3
    assert loaded.settings.app.chdir == str(tree / "service")
    assert loaded.settings.process.threads == 7
    assert loaded.settings.app.env_file == str(tree / "service" / ".env")


def test_chdir_from_the_environment(tree: Path) -> None:
    assert workers(resolve({}, {"PORTWAY_CHDIR": str(tree / "service")}, Path("/"))) == 3


def test_named_file_is_relative_to_the_start(tree: Path) -> None:
    (tree / "start" / "live.toml").write_text("workers = 9\n")
    flags = {"chdir": "../service"}
    assert workers(resolve(flags, {}, tree / "start", "live.toml")) == 9
    assert workers(resolve(flags, {"PORTWAY_CONFIG": "live.toml"}, tree / "start")) == 9
    environ = {"PORTWAY_CONFIG": "live.toml"}
    loaded = resolve(flags, environ, tree / "start", "../service/portway.toml")
    assert workers(loaded) == 3


def test_chdir_in_a_file_is_relative_to_the_file(tree: Path) -> None:
    (tree / "service" / "live.toml").write_text("chdir = 'inner'\n")
    (tree / "service" / "inner").mkdir()
    loaded = resolve({}, {}, tree / "start", "../service/live.toml")
    assert loaded.settings.app.chdir == str(tree / "service" / "inner")


def test_a_missing_directory_names_its_source(tmp_path: Path) -> None:
    with pytest.raises(BadValue, match=r"^--chdir must be a directory that exists, not 'nowhere'$"):
        resolve({"chdir": "nowhere"}, {}, tmp_path)
    (tmp_path / "portway.toml").write_text("chdir = 'nowhere'\n")
    with pytest.raises(BadValue, match=r"^chdir in portway.toml must"):
        resolve({}, {}, tmp_path)
    (tmp_path / "plain").touch()
    with pytest.raises(BadValue, match="'plain'"):
        resolve({"chdir": "plain"}, {}, tmp_path)


def test_mistakes_in_files_come_through(tree: Path) -> None:
    with pytest.raises(ConfigFileError, match=r"'none.toml': no such file"):
        resolve({}, {}, tree, "none.toml")
    with pytest.raises(ConfigFileError, match=r"'none.env': no such file"):
        resolve({"env-file": "none.env"}, {}, tree)
    (tree / "portway.toml").write_text("wrkers = 1\n")
    with pytest.raises(UnknownOption, match=r"^unknown key 'wrkers' in portway.toml$"):
        resolve({}, {}, tree)


def test_a_file_with_a_hostile_name_cannot_forge_lines(tmp_path: Path) -> None:
    name = "a\nworkers = 9\n\x1b[2J.toml"
    (tmp_path / name).write_text("wrkers = 1\n")
    with pytest.raises(UnknownOption) as caught:
        resolve({}, {}, tmp_path, name)
    assert str(caught.value).isprintable()
