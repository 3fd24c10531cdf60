"""`portway compress`: what it makes, what it leaves, what it says."""

from __future__ import annotations

import gzip
import os
import pty
import subprocess
import sys
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from portway.site.compress import Work, compress
from tests.cli.conftest import Run, check_golden

CSS = b"body { color: red }\n" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one file of each sort."""
    folder = tmp_path / "static"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.css").write_bytes(CSS)
    (folder / "sub" / "b.js").write_bytes(CSS)
    (folder / "small.css").write_bytes(b"a{}")
    (folder / "noise.json").write_bytes(os.urandom(5000))
    (folder / "photo.png").write_bytes(CSS)
    (folder / ".hidden.css").write_bytes(CSS)
    (folder / "link.css").symlink_to("a.css")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, ns=(1_700_000_000_123_456_789,) * 2)
    return folder


def names(folder: Path) -> list[str]:
    """Return the compressed files in a folder."""
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix in (".br", ".zst", ".gz")
    )


def test_every_form(run: Run, folder: Path) -> None:
    (folder / "a.css").chmod(0o640)
    outcome = run("compress", "static")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{folder}: 6 written, 3 would not be smaller; 9.0 kB become ")
    assert names(folder) == [
        f"{name}{end}" for name in ("a.css", "sub/b.js") for end in (".br", ".gz", ".zst")
    ]
    assert brotli.decompress((folder / "a.css.br").read_bytes()) == CSS
    assert zstandard.ZstdDecompressor().decompress((folder / "a.css.zst").read_bytes()) == CSS
    assert gzip.decompress((folder / "a.css.gz").read_bytes()) == CSS
    for end in (".br", ".zst", ".gz"):
        info = (folder / f"a.css{end}").stat()
        assert info.st_mtime_ns == 1_700_000_000_123_456_789
        assert info.st_mode & 0o777 == 0o640
    assert not [path for path in folder.rglob(".*") if path.name != ".hidden.css"]


def test_what_is_right_stays(run: Run, folder: Path) -> None:
    run("compress", "static", "--coding", "gzip")
    before = (folder / "a.css.gz").stat().st_ino
    assert "2 up to date" in run("compress", "static", "--coding", "gzip").out
    assert (folder / "a.css.gz").stat().st_ino == before
    assert "2 written" in run("compress", "static", "--coding", "gzip", "--force").out
    assert (folder / "a.css.gz").stat().st_ino != before


def test_a_file_that_changed(run: Run, folder: Path) -> None:
    run("compress", "static")
    (folder / "a.css").write_bytes(CSS + b"p {}")
    (folder / "sub" / "b.js").write_bytes(os.urandom(2000))
    assert "3 written" in run("compress", "static").out
    assert gzip.decompress((folder / "a.css.gz").read_bytes()) == CSS + b"p {}"
    assert names(folder) == ["a.css.br", "a.css.gz", "a.css.zst"]


def test_forms_without_a_file(run: Run, folder: Path) -> None:
    run("compress", "static")
    (folder / "a.css").unlink()
    (folder / "backup.gz").write_bytes(b"mine")
    run("compress", "static")
    assert "a.css.br" in names(folder)
    assert "3 removed" in run("compress", "static", "--prune").out
    assert names(folder) == ["backup.gz", "sub/b.js.br", "sub/b.js.gz", "sub/b.js.zst"]


def test_a_file_that_changes_meanwhile(folder: Path) -> None:
    def encode(data: bytes) -> bytes:
        (folder / "a.css").write_bytes(b"new")
        return b"old"

    done = compress(Work(folder / "a.css", "gzip"), encode)
    assert done.outcome == "written"
    # the form has the time of what it was made of, so it is older than what there is now
    assert (folder / "a.css.gz").stat().st_mtime_ns < (folder / "a.css").stat().st_mtime_ns


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    (tmp_path / "app.js").write_text(os.urandom(20_000).hex())
    limited = f"ulimit -f 8; exec {sys.executable} -m portway compress {tmp_path}"
    done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith(f"error: cannot compress {tmp_path}/app.js.")
    assert os.listdir(tmp_path) == ["app.js"]


def test_the_folders_of_the_site(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text(
        'app = "app:app"\n[[routes]]\npath = "/static/*"\nstatic = "static"\nprecompressed = ["gzip"]\n'
    )
    outcome = run("compress")
    assert outcome.code == 0, outcome.err
    assert names(folder) == ["a.css.gz", "sub/b.js.gz"]


def test_no_folders(run: Run, tmp_path: Path) -> None:
    outcome = run("compress")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: there are no routes")
    outcome = run("compress", "nowhere")
    assert outcome.code == 1
    assert outcome.err.startswith("error: there is no directory nowhere")


def test_help(run: Run, tmp_path: Path) -> None:
    check_golden("help-compress", run("compress", "--help").out, tmp_path)


@pytest.mark.parametrize("terminal", [False, True])
def test_the_bar_is_for_terminals(folder: Path, terminal: bool) -> None:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    ran = subprocess.run(
        [sys.executable, "-m", "portway", "compress", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        cwd=folder,
        check=True,
        timeout=50,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # the end of a terminal
    os.close(ours)
    assert b"6 written" in ran.stdout
    assert (b"9/9" in shown) == terminal
    assert terminal or shown == b""
