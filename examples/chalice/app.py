"""Little Harbour in Chalice: the page of examples/site with its template, its static files and its boats.

Start it from the top of the repository with `portway serve examples/chalice/app.py`; API Gateway's REST API
is put before it by itself.
"""

from pathlib import Path
from urllib.parse import parse_qs

from chalice import Chalice, NotFoundError, Response
from chalicelib.boats import boats, find_boats
from jinja2 import Environment, FileSystemLoader

SITE = Path(__file__).parent.parent / "site"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

app = Chalice(app_name="harbour")
app.register_blueprint(boats)
templates = Environment(loader=FileSystemLoader(SITE / "templates"), autoescape=True)


def html(**values: object) -> Response:
    """Return the page with these values in its template."""
    text = templates.get_template("page.html").render(framework="Chalice", **values)
    return Response(text, headers={"Content-Type": "text/html; charset=utf-8"})


@app.route("/")
def page() -> Response:
    """Show the page with an empty search form."""
    return html()


@app.route("/", methods=["POST"], content_types=["application/x-www-form-urlencoded"])
def search() -> Response:
    """Show the page with the boats that the form asked for."""
    form = parse_qs(app.current_request.raw_body.decode())
    words = form.get("words", [""])[0]
    return html(words=words, boats=find_boats(words))


@app.route("/static/{name}")
def static(name: str) -> Response:
    """Send one of the static files. API Gateway hands a name on as it was sent, slashes encoded."""
    path = SITE / "static" / name
    if "/" in name or path.suffix not in TYPES or not path.is_file():
        raise NotFoundError(name)
    return Response(path.read_text(encoding="utf-8"), headers={"Content-Type": TYPES[path.suffix]})
