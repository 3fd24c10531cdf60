"""The keys of a `[[routes]]` table, declared once: reading, messages and the reference come from here.

A route has a `path`, one of the four keys that say who answers, and what goes with that key.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from portway.config.amounts import Seconds
from portway.config.kinds import Choice, Kind, Many, Refused, Switch, Text

IMMUTABLE = "public, max-age=31536000, immutable"
"""What `cache = "immutable"` stands for: a year, and never asked for again."""

_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Status(Kind):
    """A status of redirection that keeps its meaning for a client of today."""

    metavar = "301|302|307|308"

    def from_toml(self, value: object) -> int:
        """Return the status, or raise Refused."""
        if type(value) is not int or value not in (301, 302, 307, 308):
            raise Refused("must be 301, 302, 307 or 308")
        return value


class Cache(Kind):
    """A value of Cache-Control, or a table from pattern to value."""

    metavar = "VALUE or TABLE"

    def from_toml(self, value: object) -> tuple[tuple[str, str], ...]:
        """Return pairs of pattern and value in their order, or raise Refused."""
        table = value if isinstance(value, dict) else {"*": value}
        return tuple((pattern, self._value(text)) for pattern, text in table.items())

    def _value(self, text: object) -> str:
        if not isinstance(text, str) or not _FIELD_VALUE.fullmatch(text):
            raise Refused("must be a value of Cache-Control, or a table from pattern to value")
        return IMMUTABLE if text == "immutable" else text


class Codings(Many):
    """Content codings in the order of preference; `false` for none."""

    def __init__(self) -> None:
        super().__init__(Choice("br", "zstd", "gzip"))

    def from_toml(self, value: object) -> tuple[str, ...]:
        """Return the codings, or raise Refused."""
        return () if value is False else super().from_toml(value)


class Key(Struct, frozen=True):
    """One key of a route.

    Attributes:
        name: As it is written.
        kind: How its value is read.
        help: A sentence or two.
        default: What holds when it is left out; None: the text says it.
    """

    name: str
    kind: Kind
    help: str
    default: Any = None


PATH = Key(
    "path",
    Text("PATTERN"),
    "Which paths: * is any characters or none, ? is one. The first route that matches counts.",
)

TARGETS = {
    "app": Key("app", Text("APP"), "Another application; it is mounted at the pattern's directory."),
    "static": Key(
        "static", Text("FOLDER"), "A folder of files; a relative one starts at the file's own directory."
    ),
    "redirect": Key(
        "redirect", Text("URL"), "Send clients there. A * in it is what the last * of the pattern matched."
    ),
    "proxy": Key(
        "proxy", Many(Text("URL"), 1), "Another server, or several: the next one is asked when one is down."
    ),
}
"""Who answers: a route has exactly one of these."""

KEYS: dict[str, tuple[Key, ...]] = {
    "app": (
        Key(
            "interface",
            Choice("auto", "wsgi", "asgi", "asgi2", "lambda"),
            "What the application speaks.",
            "auto",
        ),
    ),
    "static": (
        Key("index", Many(Text("NAME")), "Files that stand for their directory.", ("index.html",)),
        Key("not-found", Text("FILE"), "A file of the folder that is sent, with 404, where there is none."),
        Key(
            "cache",
            Cache(),
            'Cache-Control of the files: a value, or a table from pattern to value. "immutable" is a year.',
        ),
        Key(
            "precompressed",
            Codings(),
            "Which compressed files beside a file are used, by preference; false for none.",
            ("br", "zstd", "gzip"),
        ),
        Key("hidden", Switch(), "Serve names that begin with a dot, too.", False),
        Key("follow-symlinks", Switch(), "Let symbolic links lead out of the folder.", False),
    ),
    "redirect": (Key("status", Status(), "The status of the redirect.", 308),),
    "proxy": (
        Key("connect-timeout", Seconds(0.1, 600.0), "Seconds for a connection to the other server.", 5.0),
        Key("read-timeout", Seconds(0.1, 86_400.0), "Seconds between two pieces of its response.", 60.0),
        Key("keep-host", Switch(), "Send the client's Host on; else the other server gets its own.", False),
        Key("strip", Switch(), "Take the pattern's directory off the path.", False),
    ),
}
"""What goes with each of them."""
