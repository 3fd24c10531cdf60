"""The form of an access log line, as an operator writes it."""

from __future__ import annotations

import json

import pytest

from portway.config.access_format import FIELDS, LETTERS, Piece, access_format, line_format, path_pattern
from portway.config.kinds import Refused


def filled(text: str) -> str:
    """Return a line with each field's own name in its place, a number for a number."""
    form = line_format(text)
    numbers = {"status": "200", "bytes": "5", "duration_us": "7", "pid": "9"}
    return "".join(
        piece.literal.decode() + numbers.get(piece.field, piece.header.decode() or piece.field)
        for piece in form.pieces
    )


def test_combined_is_what_log_analysers_know() -> None:
    assert filled("combined") == (
        'client - user clf_time "request" 200 5 "referer" "user_agent" duration_s\n'
    )


def test_json_is_json() -> None:
    line = filled("json")
    assert line.endswith("}\n")
    assert list(json.loads(line)) == [
        *("time", "client", "method", "target", "protocol", "status", "bytes", "duration_us"),
        *("referer", "user_agent"),
    ]
    assert "request_id" in {piece.field for piece in line_format("json", with_id=True).pieces}


def test_a_list_of_names_is_json_with_these() -> None:
    assert json.loads(filled("path, status,header:X-Forwarded-For")) == {
        "path": "path",
        "status": 200,
        "x-forwarded-for": "x-forwarded-for",
    }


def test_gunicorns_letters_and_names_mix() -> None:
    assert filled('%(h)s "%(r)s" %(s)s %(D)s %%') == 'client "request" 200 7 %\n'
    assert filled("%({X-Forwarded-For}i)s %(path)s %(p)s") == "x-forwarded-for path 9\n"
    assert line_format("%(s)s").pieces == (Piece(b"", "status"), Piece(b"\n"))
    assert set(LETTERS.values()) <= {*FIELDS, "duration_whole_s"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("statsu", "did you mean status"),
        ("%(nope)s", "there is no field"),
        ("status,status", "must not name the field status twice"),
        ("%s", r"must have %\(NAME\)s"),
        ("", "there is no field"),
        ("%({a b}i)s", "there is no field"),
        ('header:"', "there is no field"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, problem: str) -> None:
    with pytest.raises(Refused, match=problem):
        access_format(text)


@pytest.mark.parametrize("text", ["health", "/a*b", "/a?x", ""])
def test_a_pattern_is_a_path(text: str) -> None:
    assert path_pattern("/health/*") == "/health/*"
    with pytest.raises(Refused):
        path_pattern(text)
