"""From the tables of a configuration file to a `Site`. Nothing is looked at but the tables.

Each mistake is one error that names the route, the key and what it must be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from portway.apps.target import parse_target
from portway.config.declared import BY_NAME
from portway.config.kinds import Refused
from portway.config.load import TABLES, Loaded
from portway.config.route_keys import KEYS, PATH, TARGETS, Key
from portway.config.stages import Layer
from portway.errors import AppNotFound, BadValue, ConfigError, UnknownOption, plain, shown
from portway.site import patterns, redirects
from portway.site import upstreams as upstream_urls
from portway.site.patterns import directory_of, with_slash
from portway.site.site import (
    AppTarget,
    CacheRule,
    ProxyTarget,
    RedirectTarget,
    Route,
    Site,
    StaticTarget,
    Target,
)

_MOST_NAME = 254
"""Bytes of a file's name that an index may have."""

_ONE_OF = ", ".join([*list(TARGETS)[:-1], f"or {list(TARGETS)[-1]}"])


class Table(Struct, frozen=True):
    """One `[[routes]]` table, on its way to a route.

    Attributes:
        values: What it holds.
        path: The file, as the user named it.
        folder: The absolute directory that relative folders start at.
        number: Which one it is, from 1.
        part: The array it stands in: "routes", or "stages.prod.routes".
    """

    values: Mapping[str, object]
    path: str
    folder: str
    number: int
    part: str

    @property
    def name(self) -> str:
        """The route as messages name it: `routes "/old/*"`, or `routes, number 2`."""
        path = self.values.get("path")
        return f"{self.part} {shown(path)}" if isinstance(path, str) else f"{self.part}, number {self.number}"

    @property
    def pattern(self) -> str | None:
        """The pattern with its leading slash, or None where there is none."""
        path = self.values.get("path")
        return with_slash(path) if isinstance(path, str) else None

    @property
    def place(self) -> str:
        """The file as messages name it: "in portway.toml"."""
        return f"in {plain(self.path)}"

    def wrong(self, key: str, value: object, problem: str, hint: str | None = None) -> BadValue:
        """Return the error for a value of one key."""
        return BadValue(f"{key} of {self.name}", value, problem, source=self.place, hint=hint)

    def broken(self, problem: str, hint: str) -> ConfigError:
        """Return the error for a table that cannot be a route."""
        return ConfigError(f"{self.name} {self.place} {problem}", hint)

    def take(self, key: Key) -> Any:
        """Return the value of a key, or its default."""
        if key.name not in self.values:
            return key.default
        value = self.values[key.name]
        try:
            return key.kind.from_toml(value)
        except Refused as refusal:
            offender = value if refusal.offender is None else refusal.offender
            raise self.wrong(key.name, offender, str(refusal), f"{key.name}: {key.help}") from None


def read_site(loaded: Loaded) -> Site:
    """Return the site of a configuration that has routes.

    Raises:
        ConfigError: Something in its tables is wrong.
    """
    assert loaded.file is not None
    return Site(
        app=loaded.settings.app.app or None,
        routes=read_routes(loaded.file.layers, loaded.file.path, loaded.file.directory),
        stage=loaded.settings.app.stage or None,
        environment=loaded.variables,
    )


def read_routes(layers: Sequence[Layer], path: str, folder: str) -> tuple[Route, ...]:
    """Return the routes that the tables of a file add up to.

    A route of a stage takes the place of the one with an equal pattern; without a target it changes that
    one's other keys. All others of a stage stand before those that it extends.

    Args:
        layers: The tables that count, the first one first.
        path: The file, as the user named it.
        folder: The absolute directory that relative folders start at.

    Raises:
        ConfigError: Something in them is wrong.
    """
    return tuple(_route(table) for table in merged_tables(layers, path, folder))


def merged_tables(layers: Sequence[Layer], path: str, folder: str) -> list[Table]:
    """Return the tables of the routes, before what they hold is looked at; see `read_routes`.

    Raises:
        BadValue: `routes` is no array of tables.
    """
    tables: list[Table] = []
    for prefix, layer in reversed(layers):
        tables = _over(tables, _tables(layer.get("routes", []), f"{prefix}routes", path, folder))
    return tables


def _tables(value: object, part: str, path: str, folder: str) -> list[Table]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        hint = f"each route begins with [[{part}]] on a line of its own."
        raise BadValue(part, value, "must be an array of tables", source=f"in {plain(path)}", hint=hint)
    return [Table(table, path, folder, number, part) for number, table in enumerate(value, 1)]


def _over(base: list[Table], stage: list[Table]) -> list[Table]:
    """Return the routes of a stage and of what it extends, in their order."""
    if not base:
        return stage
    merged, before = list(base), []
    for table in stage:
        same = [place for place, one in enumerate(merged) if one.pattern == table.pattern is not None]
        if not same:
            before.append(table)
        elif any(name in table.values for name in TARGETS):
            merged[same[0]] = table
        else:
            values = {**merged[same[0]].values, **table.values}
            merged[same[0]] = replace(table, values=values)
    return before + merged


def _route(table: Table) -> Route:
    kind = _kind(table)
    known = [PATH.name, *TARGETS, *(key.name for key in KEYS[kind])]
    for name in table.values:
        if name not in known:
            raise _unknown(table, name, kind, known)
    if problem := patterns.problem_of(path := table.take(PATH)):
        hint = "it is a pattern as CloudFront takes them: * is any characters or none, ? is any one."
        raise table.wrong(PATH.name, patterns.foreign_in(path) or path, problem, hint)
    pattern = with_slash(path)
    values = {key.name.replace("-", "_"): table.take(key) for key in KEYS[kind]}
    return Route(pattern, _MAKERS[kind](table, pattern, table.take(TARGETS[kind]), values))


def _kind(table: Table) -> str:
    """Return which of the four targets a route has."""
    found = [name for name in TARGETS if name in table.values]
    _refuse_misspelt(table)
    if PATH.name not in table.values:
        raise table.broken("has no path", 'say which paths it is for: path = "/static/*".')
    if len(found) == 1:
        return found[0]
    if found:
        raise table.broken(f"has {' and '.join(found)}", f"a route has one of {_ONE_OF}.")
    hint = f"give it one of {_ONE_OF}"
    if table.part != "routes":
        hint += ", or the path of a route that it is to change"
    raise table.broken("says not who answers", f"{hint}.")


def _refuse_misspelt(table: Table) -> None:
    """Name what no kind of route has, before something seems to be missing."""
    kinds = [name for name in TARGETS if name in table.values]
    known = [PATH.name, *TARGETS, *(key.name for kind in kinds or KEYS for key in KEYS[kind])]
    for name in table.values:
        if name not in _ALL:
            raise _unknown(table, name, "", known)


_ALL = {PATH.name, *TARGETS, *(key.name for keys in KEYS.values() for key in keys)}


def _unknown(table: Table, name: str, kind: str, known: list[str] | tuple[str, ...]) -> UnknownOption:
    place = f"of {table.name} {table.place}"
    owners = [owner for owner, keys in KEYS.items() if name in [key.name for key in keys]]
    if owners:  # right, but of another kind of route: no other name is nearer
        text = f"{name} goes with {owners[0]}, and this route is {_article(kind)}."
        return UnknownOption(name, kind="key", known=(), place=place, otherwise=text)
    text = f"it may have {', '.join(known)}."
    if name in BY_NAME or name in TABLES:  # TOML: what stands below a table's head belongs to it
        text, known = f"{name} is a key of the file: write it above the first [[routes]].", ()
    return UnknownOption(name, kind="key", known=known, place=place, otherwise=text)


def _article(kind: str) -> str:
    return {"app": "an application", "static": "a folder", "redirect": "a redirect", "proxy": "a proxy"}[kind]


def _app(table: Table, pattern: str, app: str, values: dict[str, Any]) -> Target:
    try:
        parse_target(app)
    except AppNotFound as error:
        raise table.broken(f"names no application: {error}", error.hint or "") from None
    return AppTarget(app, directory_of(pattern)[:-1], **values)


def _static(table: Table, pattern: str, folder: str, values: dict[str, Any]) -> Target:
    for path, _ in values["cache"] or ():
        if problem := patterns.problem_of(path):
            raise table.wrong("a pattern in cache", path, problem, "it is one as that of a route.")
    if not folder:
        raise table.wrong("static", folder, "must name a folder", 'the configuration file\'s own is ".".')
    for name in values["index"]:
        if name in ("", ".", "..") or "/" in name or len(os.fsencode(name)) > _MOST_NAME:
            problem = "must hold names of files, without a folder"
            raise table.wrong("index", name, problem, 'write index = ["index.html"].')
    if (page := values["not_found"]) is not None and os.path.normpath(f"/x/{page}") != f"/x/{page}":
        hint = 'it is relative to the folder: not-found = "404.html".'
        raise table.wrong("not-found", page, "must name a file in the folder", hint)
    rules = tuple(CacheRule(with_slash(path), value) for path, value in values["cache"] or ())
    return StaticTarget(
        folder=os.path.abspath(os.path.join(table.folder, folder)),
        base=directory_of(pattern),
        index=values["index"],
        not_found=values["not_found"],
        cache=rules,
        precompressed=values["precompressed"],
        hidden=values["hidden"],
        follow=values["follow_symlinks"],
    )


def _redirect(table: Table, pattern: str, to: str, values: dict[str, Any]) -> Target:
    if problem := redirects.problem_of(to, pattern):
        hint = 'redirect = "/new/*" takes what the last * of the path matched.'
        raise table.wrong("redirect", to, problem, hint)
    return RedirectTarget(to, **values)


def _proxy(table: Table, pattern: str, upstreams: tuple[str, ...], values: dict[str, Any]) -> Target:
    for url in upstreams:
        if problem := upstream_urls.problem_of(url):
            hint = 'write proxy = "http://127.0.0.1:5173".'
            if problem.startswith("must end"):
                hint = 'strip = true takes "/api" off the path of a request to "/api/*".'
            raise table.wrong("proxy", url, problem, hint)
    return ProxyTarget(
        upstreams=tuple(upstream_urls.normal(url) for url in upstreams),
        connect_timeout_s=values["connect_timeout"],
        read_timeout_s=values["read_timeout"],
        keep_host=values["keep_host"],
        strip=directory_of(pattern)[:-1] if values["strip"] else "",
    )


_MAKERS: dict[str, Callable[[Table, str, Any, dict[str, Any]], Target]] = {
    "app": _app,
    "static": _static,
    "redirect": _redirect,
    "proxy": _proxy,
}
