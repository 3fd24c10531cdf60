"""The boats, and the search as JSON."""

import sqlite3
from contextlib import closing
from pathlib import Path

from chalice import Blueprint

SITE = Path(__file__).parent.parent.parent / "site"

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

boats = Blueprint(__name__)


def find_boats(words: str) -> list[dict[str, object]]:
    """Return the boats whose name, kind or home port contains `words`, all of them for an empty string."""
    with closing(sqlite3.connect(DATABASE, uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(FIND, {"words": words.strip().lower()})]


@boats.route("/boats.json", cors=True)
def boats_json() -> dict[str, object]:
    """Answer the same search to a program: /boats.json?words=bergen."""
    found = find_boats((boats.current_request.query_params or {}).get("words", ""))
    return {"count": len(found), "boats": found}
