"""Other people's packages that the tests compare with: a test that needs one is skipped without it."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest


def needs(*packages: str) -> pytest.MarkDecorator:
    """Return a marker that skips a test where one of these packages is not installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs the package {', '.join(missing)}")


def emulator() -> Path | None:
    """Return Lambda's runtime interface emulator: PORTWAY_RIE, or the one inside the package aws-sam-cli."""
    given = os.environ.get("PORTWAY_RIE")
    if given:
        return Path(given)
    package = importlib.util.find_spec("samcli")
    if package is None or package.origin is None:
        return None
    machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"
    found = Path(package.origin).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}"
    return found if found.exists() else None


needs_emulator = pytest.mark.skipif(
    emulator() is None,
    reason="needs Lambda's runtime interface emulator (the package aws-sam-cli, or PORTWAY_RIE)",
)
