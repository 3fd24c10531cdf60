"""Little Harbour: a first Flask site, with a template, static files, a form, SQLite and JSON.

Start it from the top of the repository with `portway serve --chdir examples/site`; portway.toml beside this
file has its static files served without it.
"""

import sqlite3
from pathlib import Path

from flask import Flask, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)

# Each worker process builds its own small database in memory when it imports this module. The name
# lets every thread open a connection to it, and `keeper`, which nobody uses, keeps it alive.
DATABASE = "file:harbour?mode=memory&cache=shared"
keeper = sqlite3.connect(DATABASE, uri=True)
keeper.executescript((Path(__file__).parent / "boats.sql").read_text(encoding="utf-8"))

FIND = """
    SELECT name, kind, home, length_m, berth FROM boat
    WHERE instr(lower(name), :words) OR instr(lower(kind), :words) OR instr(lower(home), :words)
    ORDER BY name
"""


def find_boats(words: str) -> list[dict[str, object]]:
    """Return the boats whose name, kind or home port contains `words`, all of them for an empty string."""
    if "db" not in g:
        g.db = sqlite3.connect(DATABASE, uri=True)
        g.db.row_factory = sqlite3.Row
    return [dict(row) for row in g.db.execute(FIND, {"words": words.strip().lower()})]


@app.teardown_appcontext
def close_database(_error: BaseException | None) -> None:
    """Close this request's connection, if it opened one."""
    if "db" in g:
        g.db.close()


@app.get("/")
def page() -> ResponseReturnValue:
    """Show the page with an empty search form."""
    return render_template("page.html", framework="Flask")


@app.post("/")
def search() -> ResponseReturnValue:
    """Show the page with the boats that the form asked for."""
    words = request.form.get("words", "")
    return render_template("page.html", framework="Flask", words=words, boats=find_boats(words))


@app.get("/boats.json")
def boats_json() -> ResponseReturnValue:
    """Answer the same search to a program: /boats.json?words=bergen."""
    boats = find_boats(request.args.get("words", ""))
    return jsonify(count=len(boats), boats=boats)
