"""The rules of conftest.py about skipped tests, tried on a throw-away folder of tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
import pytest

@pytest.mark.needs("python-of-a-machine-that-nobody-has", "chromedriver-that-nobody-has")
def test_with_a_missing_program():
    raise AssertionError("it must not run")

@pytest.mark.xfail(reason="an expected failure is no skip")
def test_that_is_expected_to_fail():
    raise AssertionError

def test_that_passes():
    pass
"""
MODULE = 'import pytest\npytest.skip("the whole module", allow_module_level=True)\n'


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in `folder` with this project's conftest.py and nothing else of it."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "--rootdir", str(folder)]
    # The wide terminal keeps pytest from shortening the reason that the test looks for.
    return subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_missing_program_skips_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in done.stdout
    wanted = "python-of-a-machine-that-nobody-has, chromedriver-that-nobody-has"
    assert f"needs {wanted} (Debian: apt-get install {wanted.replace(',', '')})" in done.stdout


def test_no_skips_fails_on_a_skipped_test(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    done = run(tmp_path, "--no-skips")
    assert done.returncode == 1, done.stdout
    assert "1 passed, 1 xfailed, 1 error" in done.stdout
    assert "apt-get install python-of-a-machine-that-nobody-has" in done.stdout


def test_no_skips_fails_on_a_skipped_module(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(MODULE)
    (tmp_path / "test_sample.py").write_text("def test_that_passes():\n    pass\n")
    done = run(tmp_path, "--no-skips")
    assert done.returncode != 0, done.stdout
    assert "the whole module" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--no-skips",)])
def test_a_folder_without_tests_fails(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, *arguments).returncode == 5
