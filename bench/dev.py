"""From a save to the first answer of the new version, under each server's way of development.

A project of two files is saved with another word in it, and asked for that word every few milliseconds on new
connections. Nothing is pinned: the watchers and both versions run as they would on a desk. What a server does
with the connection in the meantime (refuse it, hold it, answer with the old version) is not looked at.
"""

import http.client
import shlex
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.paths import BUILD
from bench.process import BenchError, free_port, running
from bench.result import Result, Row, Verdict
from bench.servers import BIN, Server, portway_program
from bench.workload import Options

NAME = "dev"
TITLE = "Development: from a save to the first answer of the new version"
SERVERS = ("portway", "granian", "uvicorn")
SAVES = 3
"""For each round that is asked for."""

ENDPOINTS = 30
PATIENCE_S = 20.0
PAUSE_S = 1.2
"""Between saves: watchers that look every second are to see each, and Python's cache of bytecode, too."""

_FASTAPI = """\
from fastapi import FastAPI
from parts import router

app = FastAPI()
app.include_router(router)


@app.get("/word")
def word() -> str:
    return "{word}"
"""

_FASTAPI_PARTS = (
    "from fastapi import APIRouter\nfrom pydantic import BaseModel\n\nrouter = APIRouter()\n"
    + "".join(
        f"""

class Item{number}(BaseModel):
    name: str
    price: float
    tags: list[str] = []


@router.post("/items{number}")
def make_{number}(item: Item{number}) -> Item{number}:
    return item
"""
        for number in range(ENDPOINTS)
    )
)

_FLASK = """\
from flask import Flask
from parts import parts

app = Flask(__name__)
app.register_blueprint(parts)


@app.get("/word")
def word():
    return "{word}"
"""

_FLASK_PARTS = "from flask import Blueprint\n\nparts = Blueprint('parts', __name__)\n" + "".join(
    f"\n\n@parts.get('/items{number}')\ndef item_{number}():\n    return 'item'\n"
    for number in range(ENDPOINTS)
)


class Project:
    """A folder with the two files of a project."""

    def __init__(self, framework: str) -> None:
        self.folder: Path = BUILD / "dev" / framework
        self.folder.mkdir(parents=True, exist_ok=True)
        self._text, parts = (_FASTAPI, _FASTAPI_PARTS) if framework == "FastAPI" else (_FLASK, _FLASK_PARTS)
        (self.folder / "parts.py").write_text(parts)

    def save(self, word: str) -> None:
        """Save it as editors do: a new file in the place of the old one."""
        temporary = self.folder / ".main.py.swp"
        temporary.write_text(self._text.format(word=word))
        temporary.rename(self.folder / "main.py")


def _portway(folder: Path, port: int) -> list[str]:
    return [portway_program(), "dev", "main:app", "--chdir", str(folder), "--bind", f"127.0.0.1:{port}"]


def _uvicorn(folder: Path, port: int) -> list[str]:
    where = ["--app-dir", str(folder), "--reload", "--reload-dir", str(folder)]
    return [str(BIN / "uvicorn"), "main:app", *where, "--port", str(port)]


def _granian(folder: Path, port: int) -> list[str]:
    where = ["--working-dir", str(folder), "--reload", "--reload-paths", str(folder)]
    return [str(BIN / "granian"), "--interface", "asgi", *where, "--port", str(port), "main:app"]


def _flask(folder: Path, port: int) -> list[str]:
    return [str(BIN / "flask"), "--app", str(folder / "main.py"), "run", "--debug", "--port", str(port)]


@dataclass(frozen=True)
class Way:
    """One way to develop: who serves which framework."""

    name: str
    server: str
    framework: str
    command: Callable[[Path, int], list[str]]


WAYS = (
    Way("portway dev", "portway", "FastAPI", _portway),
    Way("uvicorn --reload", "uvicorn", "FastAPI", _uvicorn),
    Way("granian --reload", "granian", "FastAPI", _granian),
    Way("portway dev", "portway", "Flask", _portway),
    Way("flask run --debug", "portway", "Flask", _flask),
)


def ask(port: int) -> str | None:
    """Return the word of the version that answers, or None when none does."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/word")
        response = connection.getresponse()
        return response.read().decode().strip('"') if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def wait_for(port: int, word: str) -> float:
    """Return the seconds until a version with that word answers.

    Raises:
        BenchError: none does.
    """
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_S:
        if ask(port) == word:
            return time.monotonic() - begun
        time.sleep(0.003)
    raise BenchError(f"{word} was never answered")


def times(way: Way, saves: int) -> list[float]:
    """Return the milliseconds of each save."""
    project, port = Project(way.framework), free_port()
    project.save("first")
    found = []
    with running(way.name.replace(" ", "-"), way.command(project.folder, port), port):
        wait_for(port, "first")
        time.sleep(3 * PAUSE_S)  # until watchers watch, and what is done in advance is done
        for number in range(saves):
            word = f"word-{number}-{time.monotonic_ns()}"
            project.save(word)
            found.append(1000 * wait_for(port, word))
            time.sleep(PAUSE_S)
    return found


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure each way, and return the table."""
    names = {server.name for server in servers}
    figures: list[dict[str, Any]] = []
    for way in WAYS:
        if way.server not in names:
            continue
        try:
            taken = times(way, SAVES * options.rounds)
        except (BenchError, OSError) as error:
            told(f"{NAME:<12} {way.name:<20} failed: {error}")
            continue
        command = shlex.join(way.command(Path("build/bench/dev") / way.framework, 8000))
        figures.append(
            {
                "way": way.name,
                "framework": way.framework,
                "ms": [round(one) for one in taken],
                "command": command,
            }
        )
        told(f"{NAME:<12} {way.name:<20} {way.framework:<8} median {statistics.median(taken):>5.0f} ms")
    rows = [
        Row(
            (
                one["way"],
                one["framework"],
                f"{statistics.median(one['ms']):.0f}",
                f"{min(one['ms'])}",
                f"{max(one['ms'])}",
            ),
            (one["command"],),
        )
        for one in figures
    ]
    ours = [one for one in figures if (one["way"], one["framework"]) == ("portway dev", "FastAPI")]
    verdicts = [
        Verdict("save to served, FastAPI project, ms", statistics.median(one["ms"]), 600, 300, smaller=True)
        for one in ours
    ]
    return Result(
        NAME,
        TITLE,
        ("server", "project", "median, ms", "least, ms", "most, ms"),
        rows,
        options=f"{SAVES * options.rounds} saves of a project with {ENDPOINTS} routes in two files",
        verdicts=verdicts,
        raw=figures,
    )
