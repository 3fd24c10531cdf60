"""Python 3.14 in a Debian folder under build/, for the workloads that want eager tasks.

Needs root and debootstrap. The folder gets Debian sid with python3.14, a virtual environment with the
peers, a copy of this tree, and Portway built there; servers run in it by chroot, the load stays outside.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.paths import ROOT, VENV
from bench.peers import COMMAND
from bench.process import BenchError

SID = ROOT / "build" / "sid"
PYTHON = "python3.14"
PACKAGES = ("ca-certificates", f"{PYTHON}-dev", f"{PYTHON}-venv", "gcc")
TREE, INNER_VENV = "/opt/portway", "/opt/venv"


def inside(command: Sequence[str]) -> list[str]:
    """Return `command`, made for this tree, as it runs inside the folder."""
    mapped = [part.replace(str(VENV), INNER_VENV).replace(str(ROOT), TREE) for part in command]
    return ["chroot", str(SID), "/usr/bin/env", f"PYTHONPATH={TREE}", *mapped]


def ready() -> bool:
    """Tell whether the folder is there with its virtual environment."""
    return (SID / INNER_VENV[1:] / "bin" / "portway").exists()


def make() -> None:
    """Make the folder, or bring its copy of the tree up to date and build what changed."""
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        raise BenchError("Python 3.14 needs root and debootstrap")
    if not (SID / "usr" / "bin" / PYTHON).exists():
        include = "--include=" + ",".join(PACKAGES)
        _run(["debootstrap", "--variant=minbase", include, "sid", str(SID)])
    _network()
    if not (SID / INNER_VENV[1:] / "bin" / "python").exists():
        _chroot([PYTHON, "-m", "venv", INNER_VENV])
    _copy_tree()
    pip = [f"{INNER_VENV}/bin/python", "-m", "pip", "install", "-q"]
    _chroot([*pip, "-r", f"{TREE}/bench/requirements.txt", "setuptools>=77", "cython>=3.2,<3.3"])
    setup = "import os; os.chdir('/opt/portway'); import setuptools; setuptools.setup()"
    _chroot([f"{INNER_VENV}/bin/python", "-c", setup, "-q", "build_ext", "--inplace"])
    _add_portway()


def _network() -> None:
    """Give the folder this machine's name resolution, certificates and pip settings."""
    for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"):
        source, target = Path(name), SID / name[1:]
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _copy_tree() -> None:
    """Copy what a build and the applications need; times are kept, so only changes are compiled."""
    skip = shutil.ignore_patterns("*.so", "*.c", "__pycache__", "results")
    for name in ("src", "bench"):
        shutil.copytree(ROOT / name, SID / TREE[1:] / name, ignore=skip, dirs_exist_ok=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy2(ROOT / name, SID / TREE[1:] / name)


def _add_portway() -> None:
    venv = SID / INNER_VENV[1:]
    (venv / "lib" / PYTHON / "site-packages" / "portway-tree.pth").write_text(f"{TREE}/src\n")
    command = venv / "bin" / "portway"
    command.write_text(COMMAND.format(python=f"{INNER_VENV}/bin/python"))
    command.chmod(0o755)


def _chroot(command: Sequence[str]) -> None:
    _run(["chroot", str(SID), *command])


def _run(command: Sequence[str]) -> None:
    # The machine's own settings for pip are paths that the folder does not have.
    environment = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    # A newer gcc suspects code that Cython generates; with -Werror that would end the build.
    environment["CFLAGS"] = "-Wno-error=maybe-uninitialized"
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        said = f"{result.stdout[-500:]}{result.stderr[-2000:]}"
        raise BenchError(f"{' '.join(command)} ended with {result.returncode}:\n{said}")
