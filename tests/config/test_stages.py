"""Stages: what they inherit, what of them counts, and every way to write one wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.config import ConfigFile, Loaded, load, resolve
from portway.config.stages import env_files_of, layers_of, variables_of
from portway.errors import BadValue, ConfigError, ConfigFileError, UnknownOption
from portway.site.environment import environment_of

FILE = """
app = "shop:app"
threads = 2
env = { A = "file", B = "file", C = "file" }
env-files = ["all.env"]

[stages.live]
threads = 8
env = { A = "live", B = "live" }
env-files = ["live.env"]

[stages.prod]
extends = "live"
workers = 3
env = { A = "prod" }

[stages.local]
reload = false
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "portway.toml").write_text(FILE)
    (tmp_path / "all.env").write_text("D=all\nE=all\nPORTWAY_BACKLOG=99\nWEB_CONCURRENCY=2\n")
    (tmp_path / "live.env").write_text("E=live\nPORTWAY_THREADS=1\n")
    return tmp_path


def found(loaded: Loaded) -> dict[str, str]:
    return {variable.name: variable.text for variable in loaded.variables}


def test_without_a_stage_the_file_alone_counts(project: Path) -> None:
    loaded = resolve({}, {}, project)
    assert loaded.settings.app.stage == ""
    assert loaded.settings.process.threads == 2
    assert {"A": "file", "B": "file", "C": "file", "D": "all", "E": "all"}.items() <= found(loaded).items()


def test_a_stage_goes_before_what_it_extends(project: Path) -> None:
    loaded = resolve({"stage": "prod"}, {}, project)
    assert loaded.settings.app.app == "shop:app"
    assert loaded.settings.process.workers.minimum == 3
    expected = {"A": "prod", "B": "live", "C": "file", "D": "all", "E": "live"}
    assert expected.items() <= found(loaded).items()
    assert str(loaded.origins["workers"]) == "stages.prod.workers in portway.toml"


def test_variables_configure_the_server_as_an_environment_file_does(project: Path) -> None:
    loaded = resolve({"stage": "live"}, {}, project)
    assert loaded.settings.process.threads == 1  # the environment goes before the file
    assert loaded.settings.process.workers.minimum == 2
    assert loaded.settings.listen.backlog == 99
    assert loaded.origins["backlog"].path == "all.env"


def test_the_real_environment_and_the_environment_file_go_first(project: Path) -> None:
    (project / "own.env").write_text("B=own\n")
    loaded = resolve({"stage": "prod", "env-file": "own.env"}, {"A": "real"}, project)
    assert "B" not in found(loaded)
    assert set(dict(environment_of(loaded, {"A": "real"}))) == {
        *("C", "D", "E"),
        *("PORTWAY_STAGE", "PORTWAY_BACKLOG", "PORTWAY_THREADS", "WEB_CONCURRENCY"),
    }
    assert dict(environment_of(loaded, {"A": "real"}, whole=True))["A"] == "prod"


@pytest.mark.parametrize(
    ("flags", "environ", "stage"),
    [
        ({"stage": "prod"}, {"PORTWAY_STAGE": "live"}, "prod"),
        ({}, {"PORTWAY_STAGE": "live"}, "live"),
        ({}, {}, "local"),
    ],
)
def test_who_says_which_stage(
    project: Path, flags: dict[str, object], environ: dict[str, str], stage: str
) -> None:
    assert resolve(flags, environ, project, default_stage="local").settings.app.stage == stage


def test_the_file_says_which_stage(project: Path) -> None:
    (project / "portway.toml").write_text(f'stage = "prod"\n{FILE}')
    assert resolve({}, {}, project).settings.process.workers.minimum == 3


def test_a_default_stage_that_the_file_does_not_have(project: Path) -> None:
    assert resolve({}, {}, project, default_stage="dev").settings.app.stage == ""
    assert resolve({}, {}, project / "..", default_stage="dev").settings.app.stage == ""


def test_pyproject_has_stages_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.portway.stages.prod]\nthreads = 7\nextends = ''\n")
    loaded = resolve({"stage": "prod"}, {}, tmp_path)
    assert loaded.settings.process.threads == 7


def test_a_value_from_a_file_is_not_shown(project: Path) -> None:
    variables = repr(resolve({}, {}, project).variables)
    assert "'D', 'all.env'" in variables
    assert "'A', 'file'" in variables


@pytest.mark.parametrize(
    ("text", "stage", "kind", "message", "hint"),
    [
        ("", "prd", UnknownOption, "unknown stage 'prd' of --stage", "did you mean prod?"),
        ("", "xxxxx", UnknownOption, "unknown stage", "portway.toml has live, prod, local, more."),
        ("extends = 'liv'", "more", UnknownOption, "unknown stage 'liv' of stages.more.extends", "live"),
        ("extends = 3", "more", BadValue, "stages.more.extends in portway.toml must be the name", ""),
        ("extends = 'more'", "more", ConfigError, "extend each other: more → more", ""),
        ("wrkers = 3", "", UnknownOption, "unknown key 'wrkers' of stages.more", "workers"),
        ("stage = 'live'", "", UnknownOption, "unknown key 'stage' of stages.more", ""),
        ("workers = 'x'", "more", BadValue, "stages.more.workers in portway.toml must be", ""),
        ("env = 3", "more", BadValue, "stages.more.env in portway.toml must be a table", ""),
        ("env = { A = 3 }", "more", BadValue, "stages.more.env.A in portway.toml must be text", 'A = "3"'),
        ("env = { 'A-B' = 'x' }", "more", BadValue, "must be that of a variable, not 'A-B'", ""),
        ("env = { PORTWAY_THREADS = '3' }", "more", BadValue, "must not be an option's", "threads = …"),
        ("env-files = [3]", "more", BadValue, "stages.more.env-files in portway.toml must be", ""),
        (
            "env-files = 'no.env'",
            "more",
            ConfigFileError,
            "cannot read 'no.env'",
            "the configuration file's directory",
        ),
    ],
)
def test_mistakes(
    project: Path, text: str, stage: str, kind: type[ConfigError], message: str, hint: str
) -> None:
    (project / "portway.toml").write_text(f"{FILE}\n[stages.more]\n{text}\n")
    with pytest.raises(kind) as caught:
        resolve({"stage": stage} if stage else {}, {}, project)
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_a_circle_is_named(project: Path) -> None:
    (project / "portway.toml").write_text(
        "[stages.a]\nextends = 'b'\n[stages.b]\nextends = 'c'\n[stages.c]\nextends = 'b'\n"
    )
    with pytest.raises(ConfigError, match="extend each other: b → c → b"):
        resolve({"stage": "a"}, {}, project)


@pytest.mark.parametrize(
    "text", ["stages = 3", "[stages]\nprod = 3", "[stages.'a b']", "[stages.'']", "[stages.'$default']"]
)
def test_stages_that_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "portway.toml").write_text(text)
    with pytest.raises(BadValue, match="must be"):
        resolve({}, {}, tmp_path)


def test_a_table_with_nearly_the_right_name(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("[stage.prod]\nworkers = 2\n")
    with pytest.raises(UnknownOption, match="unknown table 'stage' in portway") as caught:
        resolve({}, {}, tmp_path)
    assert caught.value.hint == "did you mean stages?"


def test_a_stage_without_a_file(tmp_path: Path) -> None:
    with pytest.raises(UnknownOption, match="unknown stage 'prod' of --stage") as caught:
        resolve({"stage": "prod"}, {}, tmp_path)
    assert "--api-stage" in (caught.value.hint or "")


def test_an_environment_file_cannot_say_which_stage(project: Path) -> None:
    (project / "all.env").write_text("PORTWAY_STAGE=prod\n")
    with pytest.raises(ConfigFileError, match="PORTWAY_STAGE has no effect"):
        resolve({}, {}, project)


VALUES = st.recursive(
    st.text("aB_=${}:#/\0é", max_size=8)
    | st.integers()
    | st.booleans()
    | st.floats()
    | st.sampled_from(["a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["a", "b", "A", "PORT", "PORTWAY_X", "env", "extends", "workers"]), inner
        )
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["env", "env-files", "stages", "stage", "workers", "app", "routes", "x"])


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5), st.sampled_from(["", "a", "b"]))
def test_whatever_a_file_holds_only_errors_with_a_text_come_out(table: dict[str, object], stage: str) -> None:
    try:
        layers = layers_of(table, "portway.toml", stage, "--stage") if stage else ()
        file = ConfigFile("portway.toml", table, "/nowhere", layers)
        loaded = load({}, {}, file)
        variables_of(file.layers, file.path)
        env_files_of(file.layers, file.path)
    except ConfigError as error:
        assert "\0" not in error.render()
    else:
        assert loaded.file is file
