"""The documentation builds, and its build notices a link that leads nowhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def build(script: Path, output: Path) -> subprocess.CompletedProcess[str]:
    """Run a build script as `make docs` does."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(script), str(output)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_docs_build(tmp_path: Path) -> None:
    done = build(DOCS / "build.py", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'index.html'}\n"
    built = {path.relative_to(tmp_path).with_suffix("") for path in tmp_path.rglob("*.html")}
    assert built == {path.relative_to(DOCS).with_suffix("") for path in DOCS.rglob("*.md")}


def test_dead_links_fail(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("build.py", "style.css"):
        shutil.copy(DOCS / name, docs)
    (docs / "index.md").write_text(
        "# One\n\n## Two words, *really*!\n\n"
        "[here](#two-words-really) [there](other.md#three) [far](https://portway.invalid/x)\n"
        "[dead](gone.md) [dead](#four) [dead](other.md#five) ![dead](gone.png) [outside](../../x)\n"
    )
    (docs / "other.md").write_text("# Three\n\n[back](index.md)\n")
    (docs / "unseen.md").write_text("# Nobody links here\n\n[itself](unseen.md)\n")
    done = build(docs / "build.py", tmp_path / "html")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: docs/index.md: no file 'gone.md'",
        "error: docs/index.md: no heading '#four'",
        "error: docs/index.md: no heading 'other.md#five'",
        "error: docs/index.md: no file 'gone.png'",
        "error: docs/index.md: no file '../../x'",
        "error: docs/unseen.md: no page links to it",
    ]
    assert 'href="other.html#three"' in (tmp_path / "html" / "index.html").read_text()
    assert 'href="index.html"' in (tmp_path / "html" / "other.html").read_text()
