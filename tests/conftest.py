"""What holds for every test: what a test may skip for, and that CI skips nothing.

A test that needs a program which is no part of Portway says so with a marker::

    @pytest.mark.needs("chromium", "chromedriver")

On a machine without it the test is skipped with the Debian package that has it. CI installs every
such package (`.ci/run`) and runs with `--no-skips`, where any skip, whatever its reason, is a failure.
Time limits and warnings as errors are settings of pytest, in pyproject.toml.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator

import pytest

# The Debian package of a program, where the two names differ.
PACKAGES = {"chromedriver": "chromium-driver", "systemd-analyze": "systemd"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--no-skips`."""
    parser.addoption("--no-skips", action="store_true", help="count a skipped test as a failed one")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and let Debian's programs for administrators be found by everybody."""
    config.addinivalue_line("markers", "needs(*programs): skip where one of these programs is missing")
    # nginx lives in /usr/sbin, which an ordinary user's PATH lacks.
    os.environ["PATH"] = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose programs are missing, naming each with its Debian package."""
    wanted = [program for marker in item.iter_markers("needs") for program in marker.args]
    missing = [program for program in wanted if shutil.which(program) is None]
    if missing:
        packages = " ".join(PACKAGES.get(program, program) for program in missing)
        pytest.skip(f"needs {', '.join(missing)} (Debian: apt-get install {packages})")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure under `--no-skips`; an expected failure stays what it is."""
    report = yield
    if item.config.getoption("--no-skips") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips was given: {reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a module that skips itself as a whole (`importorskip`)."""
    report = yield
    if collector.config.getoption("--no-skips") and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, and --no-skips was given: {reason(report)}"
    return report


def reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Return what a skipped report gives as its reason."""
    return report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
