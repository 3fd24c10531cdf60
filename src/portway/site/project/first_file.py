"""The first portway.toml of a project: what was found, and in comments what to change it into."""

from __future__ import annotations

import json
import os
from pathlib import Path

from portway.site.project.discovery import SETTINGS_VARIABLE, Choice, choose, modules, settings_named
from portway.site.project.django import django_folders
from portway.site.project.statics import StaticFolder, static_folders

THREADED = frozenset({"Flask", "Django", "Bottle", "Pyramid", "Falcon", "WSGI", "Chalice", "Lambda"})
"""Frameworks whose applications run in threads, usually."""

USUAL = ("static", "public", "assets")

_HEAD = """\
# Portway's configuration of a {kind}.
#
#     portway dev      serves it for whoever writes it: reload on save, errors in the browser
#     portway serve    serves it for good
#     portway check    validates this file and loads the application
#
# `portway serve --help` lists every option; each can be a line here.

app = {app}  # {why}

# bind = ["127.0.0.1:8000"]
# workers = "auto"    # as many processes as the load needs, up to the number of processors
"""
_THREADS = "# threads = 4        # requests at once in each of them\n"
_ROUTES = """
# Files that Portway serves itself. The first route whose pattern matches a path answers it; what none takes
# goes to `app`. In a pattern * stands for anything and ? for one character.
"""
_NO_ROUTES = """
# A folder of files, served by Portway itself: static/style.css at /static/style.css. The first route whose
# pattern matches a path answers it; what none takes goes to `app`.
# [[routes]]
# path = "/static/*"
# static = "static"
"""
_OTHERS = """
# Further routes: redirect = "/new/*", app = "module:attr", proxy = "http://127.0.0.1:5173".
# `portway routes /some/path` tells which one answers.
"""
_STAGES = """
# What is different from place to place. `portway dev` takes the stage local, `--stage prod` asks for another.
# A secret is named, never written: ${env:NAME}, ${ssm:/name}, ${secret:name}.
[stages.local]
# env = { DEBUG = "1" }
# env-files = [".env"]

[stages.prod]
# env = { SECRET_KEY = "${env:SECRET_KEY}" }
# workers = "auto"
# access-log = "-"
"""


def first_file(folder: Path, choice: Choice | None = None) -> str:
    """Return the text of a portway.toml for the project in a folder.

    Args:
        folder: An absolute path.
        choice: Its application; found in the folder by default.

    Raises:
        AppNotFound: No application is found there.
        UsageError: There are several, and nothing tells which is meant.
    """
    choice = choice or choose(folder)
    framework = _framework(choice)
    folders, notes = _folders(folder, choice, framework)
    common = [_route(one, folder) for one in folders if not one.production]
    production = [_route(one, folder, "stages.prod.routes") for one in folders if one.production]
    kind = f"{framework} project" if framework else "project"
    parts = [
        _HEAD.format(kind=kind, app=_text(choice.chosen.target), why=_comment(choice.chosen.what)),
        _THREADS if framework in THREADED else "",
        *(f"\n# {_comment(note)}\n" for note in notes),
        *((_ROUTES, *common) if common else (_suggestion(folder),)),
        _OTHERS,
        _STAGES,
        *production,
    ]
    return "".join(parts)


def _framework(choice: Choice) -> str:
    known = (one.framework for one in (choice.chosen, *choice.others))
    return choice.chosen.framework or next((name for name in known if name), "")


def _folders(folder: Path, choice: Choice, framework: str) -> tuple[list[StaticFolder], list[str]]:
    read = modules(folder)
    if framework == "Django":
        named = next(filter(None, map(settings_named, read)), None)
        settings = (
            choice.chosen.settings or os.environ.get(SETTINGS_VARIABLE, "") or (named[0] if named else "")
        )
        if settings:
            return django_folders(settings, folder)
    read.sort(key=lambda module: module.path != folder / choice.chosen.file)
    found = {one.url: one for module in reversed(read) for one in reversed(static_folders(module, folder))}
    return sorted(found.values(), key=lambda one: (-one.url.count("/"), one.url)), []


def _suggestion(folder: Path) -> str:
    """Return a route in comments, with the name of a folder that is there."""
    name = next((name for name in USUAL if (folder / name).is_dir()), "static")
    return (
        _NO_ROUTES.replace("static/style", f"{name}/style")
        .replace('"static"', _text(name))
        .replace("/static/", f"/{name}/")
    )


def _route(one: StaticFolder, folder: Path, part: str = "routes") -> str:
    place = os.path.relpath(one.path, folder)
    if place.startswith("../../.."):
        place = str(one.path)
    hint = "  # filled by `manage.py collectstatic`" if one.production else ""
    lines = [
        f"\n# {_comment(one.why)}",
        f"[[{part}]]",
        f"path = {_text(one.url + '*')}",
        f"static = {_text(place)}{hint}",
    ]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Return a TOML string: JSON's escapes are TOML's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """Return what may stand in a comment: a name of a file can hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
