"""What each example answers, asked by a plain HTTP client."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from urllib.request import OpenerDirector

import pytest

from tests.examples.conftest import EXAMPLES, Example
from tests.support.client import get
from tests.support.processes import Portway


def text(visitor: OpenerDirector, example: Example, path: str, data: dict[str, str] | None = None) -> str:
    """Return the body that answers a GET request, or a POST request with a form."""
    body = urllib.parse.urlencode(data).encode() if data is not None else None
    with visitor.open(example.get(path), body) as answer:
        assert answer.status == 200
        assert answer.headers.get_content_type() == "text/html"
        return str(answer.read().decode("utf-8"))


def search(visitor: OpenerDirector, example: Example, words: str) -> str:
    """Load the page, fill in its form as a browser would, hidden fields included, and return the answer."""
    page = text(visitor, example, "/")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]+)"', page))
    return text(visitor, example, "/", {**hidden, "words": words})


def test_page(example: Example, visitor: OpenerDirector) -> None:
    page = text(visitor, example, "/")
    assert "<h1>Little Harbour</h1>" in page
    assert f"A {example.framework} application" in page
    assert 'id="results"' not in page


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("style.css", "text/css"),
        ("counter.js", "text/javascript"),
        ("harbour.svg", "image/svg+xml"),
        ("bell.svg", "image/svg+xml"),
    ],
)
def test_static_file_arrives_byte_for_byte(
    example: Example, visitor: OpenerDirector, name: str, kind: str
) -> None:
    with visitor.open(example.get(f"/static/{name}")) as answer:
        assert answer.headers.get_content_type() == kind
        assert answer.read() == (EXAMPLES / "site" / "static" / name).read_bytes()


def test_routes_answer_without_the_application() -> None:
    with Portway("", "--chdir", str(EXAMPLES / "site")) as server:
        answer = get(server.ready().address, "/favicon.ico")
        assert (answer.status, answer.headers["location"]) == (302, "/static/bell.svg")
        answer = get(server.address, "/static/bell.svg")
        assert answer.headers["cache-control"] == "public, max-age=3600"
        assert answer.body == (EXAMPLES / "site" / "static" / "bell.svg").read_bytes()


def test_form_lists_matches(example: Example, visitor: OpenerDirector) -> None:
    page = search(visitor, example, "Bergen")
    assert "2 boats in port for “Bergen”" in page
    assert re.findall(r"<td>(Aurora|Kingfisher|Bluebell)</td>", page) == ["Aurora", "Kingfisher"]


def test_form_lists_all_or_none(example: Example, visitor: OpenerDirector) -> None:
    assert "14 boats in port" in search(visitor, example, "")
    assert "0 boats in port for “submarine”" in search(visitor, example, "submarine")


def test_form_shows_what_was_typed_as_text(example: Example, visitor: OpenerDirector) -> None:
    page = search(visitor, example, "<b>'; DROP TABLE boat")
    assert "0 boats in port" in page
    assert "<b>" not in page
    assert "14 boats" in search(visitor, example, "")


def test_json(example: Example, visitor: OpenerDirector) -> None:
    with visitor.open(example.get("/boats.json", words="tromsø")) as answer:
        assert answer.headers.get_content_type() == "application/json"
        found = json.load(answer)
    assert found["count"] == 2
    assert [boat["name"] for boat in found["boats"]] == ["Little Auk", "Northern Light"]
    assert found["boats"][1] == {
        "name": "Northern Light",
        "kind": "Ferry",
        "home": "Tromsø",
        "length_m": 38.5,
        "berth": "D2",
    }


def test_unknown_path(example: Example, visitor: OpenerDirector) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        visitor.open(example.get("/nothing-here"))
    with caught.value:
        # API Gateway, which stands before Chalice, knows no 404.
        assert caught.value.code == (403 if example.framework == "Chalice" else 404)


def test_many_searches_at_once(example: Example, visitor: OpenerDirector) -> None:
    def ask(words: str) -> int:
        with visitor.open(example.get("/boats.json", words=words)) as answer:
            return int(json.load(answer)["count"])

    words = ["bergen", "ketch", "fishing", "", "submarine"] * 20
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, words)) == [2, 2, 3, 14, 0] * 20
