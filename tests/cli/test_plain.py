"""What is read of a command line without click is what click reads."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given as generated
from hypothesis import strategies as st

from portway.cli.options import given
from portway.cli.plain import read_plainly
from portway.cli.serve import serve_command
from portway.config.declared import DECLARED
from portway.config.kinds import Switch
from portway.config.option import Option

OPTIONS = [declared.option for declared in DECLARED if declared.option.flag.startswith("-")]
SPELLINGS = [
    *(flag for option in OPTIONS for flag in option.flags),
    *(f"--no-{option.name}" for option in OPTIONS if isinstance(option.kind, Switch)),
    *("-c", "--config", "--print-config", "--help", "-h", "--unknown", "--", "-"),
]
WORDS = st.one_of(
    st.sampled_from(SPELLINGS), st.sampled_from(["app:app", "4", "", "-4", "a=b", "127.0.0.1:0"])
)
JOINED = st.builds("{}={}".format, st.sampled_from(SPELLINGS), st.sampled_from(["4", "", "-4", "a=b"]))


def by_click(arguments: list[str]) -> tuple[dict[str, object], str | None]:
    """Return what click reads; it raises for anything wrong."""
    context = serve_command().make_context("serve", list(arguments))
    return given(context), context.params["config"]


@generated(st.lists(st.one_of(WORDS, JOINED), max_size=8))
def test_the_same_as_click_or_left_to_it(arguments: list[str]) -> None:
    plain = read_plainly(arguments)
    if plain is not None:
        assert (plain.flags, plain.config) == by_click(arguments)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_is_read(option: Option) -> None:
    """So that no server with an ordinary command line pays for click."""
    for flag in option.flags:
        value = [] if isinstance(option.kind, Switch) else ["4"]
        plain = read_plainly([flag, *value, "app:app"])
        assert plain is not None
        assert (plain.flags, plain.config) == by_click([flag, *value, "app:app"])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--nonsense"], ["a", "b"], ["-w4"], ["--workers"], ["--print-config"]]
)
def test_the_rest_is_left_to_click(arguments: list[str]) -> None:
    assert read_plainly(arguments) is None


def test_click_is_not_imported() -> None:
    code = (
        "import sys; from portway.cli.run import main; main(['serve', 'no.such:app', '--bind', 'nonsense']);"
        "sys.exit('click' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
