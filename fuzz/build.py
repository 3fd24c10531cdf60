"""A copy of the package whose compiled part reports its branches, and its memory errors when asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "portway"
BUILD = ROOT / "build" / "fuzz"
BRIDGE = BUILD / "coverage.so"
FLAGS = "-g -fsanitize-coverage=trace-pc,trace-cmp"
ADDRESS_FLAGS = f"{FLAGS} -fsanitize=address -fno-omit-frame-pointer"


def place(address: bool) -> Path:
    """Return the folder that the copy is in, for sys.path.

    Args:
        address: Whether it is the one with AddressSanitizer.
    """
    return BUILD / ("address" if address else "plain")


def build(address: bool) -> Path:
    """Build the copy, unless it is newer than every source; return its folder."""
    target = place(address)
    stamp = target / "built"
    sources = [
        *SOURCE.rglob("*.py"),
        *SOURCE.glob("engine/*.p[yx]*"),
        ROOT / "pyproject.toml",
        Path(__file__),
    ]
    if stamp.exists() and stamp.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return target
    shutil.rmtree(target / "portway", ignore_errors=True)
    shutil.copytree(SOURCE, target / "portway", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    _compile(target, ADDRESS_FLAGS if address else FLAGS)
    stamp.touch()
    return target


def bridge() -> Path:
    """Compile coverage.c; return the shared object."""
    source = Path(__file__).with_name("coverage.c")
    if not BRIDGE.exists() or BRIDGE.stat().st_mtime < source.stat().st_mtime:
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", BRIDGE, source, "-ldl"], check=True)
    return BRIDGE


def address_library() -> str:
    """Return the shared object of gcc's AddressSanitizer, which has to be loaded before everything else."""
    out = subprocess.run(["cc", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)
    return out.stdout.strip()


def _compile(target: Path, flags: str) -> None:
    command = [
        sys.executable,
        "-W",
        "ignore::UserWarning",
        "-c",
        "import setuptools; setuptools.setup()",
        "-q",
    ]
    folders = ["--build-lib", str(target), "--build-temp", str(target / "temp")]
    environ = {**os.environ, "CFLAGS": flags, "LDFLAGS": flags.partition(" -fno-omit")[0]}
    environ.pop("DIST_EXTRA_CONFIG", None)
    subprocess.run([*command, "build_ext", "--force", *folders], check=True, cwd=ROOT, env=environ)
