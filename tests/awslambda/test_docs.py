"""The page about Lambda names what there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from portway.awslambda.options import FIELDS
from portway.awslambda.registry import KINDS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "lambda.md").read_text()


@pytest.mark.parametrize("option", FIELDS)
def test_every_option_is_described(option: str) -> None:
    variable, default, _ = FIELDS[option]
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{variable}` |"))
    argument = "" if option in ("app", "factory") else f"`{option}`"
    _, _, named, shown, _ = (cell.strip() for cell in row.split("|", 4))
    assert named == argument
    words = {None: "from the event", True: "on", False: "off", "": ""}
    expected = words.get(default, f"`{default}`") if not isinstance(default, float) else f"`{default}`"
    assert shown == expected


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_event_is_named(kind: str) -> None:
    assert f"`{kind}`" in PAGE


def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    """Run the page's Flask file and its event as they stand there."""
    import subprocess
    import sys

    from tests.awslambda.runtime_api import SOURCE

    blocks = [block.split("```", 1)[0] for block in PAGE.split("```python\n")[1:]]
    site, line, session = blocks[0], blocks[1], blocks[2]
    (tmp_path / "site_app.py").write_text(f"{line.splitlines()[0]}\n{site}\n{line.splitlines()[2]}\n")
    (tmp_path / "session.txt").write_text(session)
    done = subprocess.run(
        [sys.executable, "-m", "doctest", "session.txt"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{tmp_path}:{SOURCE}:{':'.join(filter(None, sys.path))}"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
