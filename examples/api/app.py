"""Little Harbour in FastAPI: the page of examples/site with its template, its static files and its boats.

Start it from the top of the repository with `portway serve examples/api/app.py`.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel

SITE = Path(__file__).parent.parent / "site"

app = FastAPI(title="Little Harbour")
app.mount("/static", StaticFiles(directory=SITE / "static"))
templates = Jinja2Templates(directory=SITE / "templates")

# Each worker process builds its own small database in memory when it imports this module. The name
# lets every thread open a connection to it, and `keeper`, which nobody uses, keeps it alive.
DATABASE = "file:harbour?mode=memory&cache=shared"
keeper = sqlite3.connect(DATABASE, uri=True)
keeper.executescript((SITE / "boats.sql").read_text(encoding="utf-8"))

FIND = """
    SELECT name, kind, home, length_m, berth FROM boat
    WHERE instr(lower(name), :words) OR instr(lower(kind), :words) OR instr(lower(home), :words)
    ORDER BY name
"""


class Boat(BaseModel):
    """One boat in port."""

    name: str
    kind: str
    home: str
    length_m: float
    berth: str


class Boats(BaseModel):
    """What a search found."""

    count: int
    boats: list[Boat]


def find_boats(words: str) -> list[Boat]:
    """Return the boats whose name, kind or home port contains `words`, all of them for an empty string."""
    with closing(sqlite3.connect(DATABASE, uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [Boat(**row) for row in db.execute(FIND, {"words": words.strip().lower()})]


@app.get("/")
def page(request: Request) -> Response:
    """Show the page with an empty search form."""
    return templates.TemplateResponse(request, "page.html", {"framework": "FastAPI"})


# These are plain functions because sqlite3 blocks: FastAPI runs them in threads of its own.
@app.post("/")
def search(request: Request, words: Annotated[str, Form()] = "") -> Response:
    """Show the page with the boats that the form asked for."""
    found = {"framework": "FastAPI", "words": words, "boats": find_boats(words)}
    return templates.TemplateResponse(request, "page.html", found)


@app.get("/boats.json")
def boats_json(words: str = "") -> Boats:
    """Answer the same search to a program: /boats.json?words=bergen."""
    boats = find_boats(words)
    return Boats(count=len(boats), boats=boats)
