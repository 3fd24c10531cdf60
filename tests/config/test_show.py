"""`--print-config`: valid TOML with origins, and it configures the same when it is read back."""

from __future__ import annotations

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from portway.config import ConfigFile, load
from portway.config.show import show


def again(text: str) -> object:
    return load({}, {}, ConfigFile("portway.toml", tomllib.loads(text))).settings


def test_defaults_survive() -> None:
    loaded = load({}, {})
    assert again(show(loaded)) == loaded.settings


def test_every_value_has_its_origin() -> None:
    file = ConfigFile("portway.toml", {"app": "site:app", "umask": "027"})
    loaded = load({"workers": "4", "factory": True}, {"PORT": "80", "PORTWAY_THREADS": "2"}, file)
    lines = show(loaded).splitlines()
    found = {line.split(" = ")[0]: line.split("  # ")[-1] for line in lines if " = " in line}
    assert found["app"] == "portway.toml"
    assert found["workers"] == "flag --workers"
    assert found["bind"] == "environment PORT"
    assert found["threads"] == "environment PORTWAY_THREADS"
    assert found["loop"] == "default"
    assert "umask = 0o027" in show(loaded)
    assert again(show(loaded)) == loaded.settings


def test_a_hostile_file_name_stays_in_its_comment() -> None:
    loaded = load({}, {}, ConfigFile("x\nworkers = 9\n", {"threads": 2}))
    assert again(show(loaded)) == loaded.settings


@given(st.text(max_size=30), st.lists(st.text(max_size=10), max_size=3, unique=True))
def test_texts_survive(app: str, names: list[str]) -> None:
    headers = [f"{name}_x" for name in names if name.isascii() and name.isalnum() and name.islower()]
    app = "".join(letter for letter in app if letter.isprintable())
    loaded = load({"app": app, "underscore-headers": tuple(headers)}, {})
    assert again(show(loaded)) == loaded.settings


def test_the_reference_page_is_current() -> None:
    from portway.config.reference import reference

    page = Path(__file__).parent.parent.parent / "docs" / "configuration.md"
    assert page.read_text() == reference(), "run: python -m portway.config.reference > docs/configuration.md"
