"""Make build/bench-venv: the peers, the frameworks, and this tree's Portway beside them.

Portway is not installed there, its tree is put on the path. So every server runs on the same Python
with the same frameworks, and none pays for an editable install's import hook at start.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

from bench.paths import BENCH, ROOT, VENV

COMMAND = """\
#!{python}
import sys
from portway.cli import main
sys.exit(main())
"""


def make(*, force: bool = False) -> Path:
    """Make or refresh the virtual environment and return its path; quick when nothing changed."""
    requirements = BENCH / "requirements.txt"
    stamp, digest = VENV / ".requirements", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if force or not stamp.exists() or stamp.read_text() != digest:
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        stamp.write_text(digest)
    _add_portway()
    return VENV


def _add_portway() -> None:
    packages = next((VENV / "lib").glob("python3*")) / "site-packages"
    (packages / "portway-tree.pth").write_text(f"{ROOT / 'src'}\n")
    command = VENV / "bin" / "portway"
    command.write_text(COMMAND.format(python=VENV / "bin" / "python"))
    command.chmod(0o755)


def versions() -> dict[str, str]:
    """Return the versions of what is installed there, for the head of the results."""
    pip = [
        str(VENV / "bin" / "python"),
        "-m",
        "pip",
        "list",
        "--format=freeze",
        "--disable-pip-version-check",
    ]
    lines = subprocess.run(pip, check=True, capture_output=True, text=True).stdout.split()
    return dict(line.split("==", 1) for line in lines if "==" in line)
