"""What a finished workload leaves: a table, verdicts and the raw figures, kept as one JSON file.

RESULTS.md is generated from these files, so a workload can be measured again alone.
"""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import peers
from bench.paths import RESULTS, ROOT


@dataclass(frozen=True)
class Verdict:
    """One figure against what the project wants.

    Args:
        what: the comparison in words.
        reached: the figure.
        floor: the least that is accepted.
        aim: what is hoped for.
        smaller: the smaller the better.
    """

    what: str
    reached: float
    floor: float
    aim: float
    smaller: bool = False

    @property
    def word(self) -> str:
        """Return "aim", "floor" or "MISSED"."""
        sign = -1 if self.smaller else 1
        if sign * self.reached >= sign * self.aim:
            return "aim"
        return "floor" if sign * self.reached >= sign * self.floor else "MISSED"


@dataclass(frozen=True)
class Row:
    """One line of a table: cells, and the commands that made it."""

    cells: tuple[str, ...]
    commands: tuple[str, ...] = ()


@dataclass
class Result:
    """Everything that is kept of one workload."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[Row]
    options: str = ""
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    raw: Any = None
    when: str = ""


def save(result: Result) -> Path:
    """Write results/NAME.json and return its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    result.when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    path = RESULTS / f"{result.name}.json"
    # Commands name files of this tree; where the tree stands is nobody's business.
    path.write_text(json.dumps(asdict(result), indent=1).replace(f"{ROOT}/", "") + "\n")
    return path


def load_all(order: list[str]) -> list[Result]:
    """Return the kept results whose names are in `order`, in that order."""
    return [_read(RESULTS / f"{name}.json") for name in order if (RESULTS / f"{name}.json").exists()]


def _read(path: Path) -> Result:
    data = json.loads(path.read_text())
    data["rows"] = [Row(tuple(row["cells"]), tuple(row["commands"])) for row in data["rows"]]
    data["verdicts"] = [Verdict(**verdict) for verdict in data["verdicts"]]
    data["columns"] = tuple(data["columns"])
    return Result(**data)


def machine() -> dict[str, str]:
    """Return what the figures depend on: processor, kernel, versions."""
    found = {"kernel": platform.release(), "cores": str(os.cpu_count())}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            found["processor"] = line.partition(":")[2].strip()
            break
    found["nginx"] = _first_line(["nginx", "-v"]).partition("/")[2]
    found["wrk"] = _first_line(["wrk", "-v"]).split(" [")[0]
    versions = peers.versions()
    names = (
        "fastpysgi",
        "bjoern-binary",
        "granian",
        "gunicorn",
        "gunicorn_h1c",
        "uvicorn",
        "uvloop",
        "httptools",
        "waitress",
        "Hypercorn",
        "Flask",
        "Django",
        "fastapi",
    )
    found["packages"] = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
    return found


def _first_line(command: list[str]) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    return (result.stderr + result.stdout).splitlines()[0]
