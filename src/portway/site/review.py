"""What is wrong or doubtful about a site that is well formed: folders that are not there, rules that never
match, redirects that come back to themselves. Looks at folders, and at nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from portway.errors import BadValue, plain, shown
from portway.site.inclusion import TooHard, can_match, example, includes
from portway.site.patterns import directory_of, matches, normalise
from portway.site.site import ProxyTarget, RedirectTarget, Route, Site, StaticTarget

_OWN_FILES = ("portway.toml", "pyproject.toml", "manage.py")


class Remark(Struct, frozen=True):
    """Something to say about a site.

    Attributes:
        level: "warning" for what is most likely a mistake, "note" for what surprises people.
        text: One line.
    """

    level: Literal["warning", "note"]
    text: str


def check_folders(site: Site, path: str) -> None:
    """Refuse a site whose folders are not there.

    Args:
        site: The site.
        path: The configuration file, as the user named it.

    Raises:
        BadValue: It names the route and the folder.
    """
    for route in site.routes:
        if isinstance(route.target, StaticTarget) and not os.path.isdir(route.target.folder):
            problem = "must be a folder that exists"
            hint = "a relative one starts at the directory of the configuration file."
            name = f"static of routes {shown(route.pattern)}"
            raise BadValue(name, route.target.folder, problem, source=f"in {plain(path)}", hint=hint)


def review(site: Site, bind: Sequence[str] = ()) -> Iterator[Remark]:
    """Yield what there is to say.

    Args:
        site: The site.
        bind: What the server listens on, as the option spells it.
    """
    before = _Before()
    for route in site.routes:
        never = _never(route.pattern, before.rivals(route.pattern))
        if never:
            yield Remark("warning", f"routes {shown(route.pattern)} never matches: {never}")
            continue
        match route.target:
            case RedirectTarget():
                yield from _circle(route, before)
            case ProxyTarget():
                yield from _own_address(route, route.target, bind)
            case StaticTarget():
                yield from _contents(route, route.target)
        yield from _bare_directory(site, route)
        yield from _open_end(route)
        before.add(route.pattern)
    if site.app is not None and before.wild and not can_match("/*", before.rivals("/*")):
        yield Remark("warning", f"the application {site.app} gets nothing: the routes take every path")


class _Before:
    """The patterns before one, kept so that thousands of plain paths cost little."""

    def __init__(self) -> None:
        self.wild: list[str] = []
        self._plain: dict[str, None] = {}

    def add(self, pattern: str) -> None:
        """Add the next one."""
        if _is_plain(pattern):
            self._plain[pattern] = None
        else:
            self.wild.append(pattern)

    def rivals(self, pattern: str) -> list[str]:
        """Return those that can take a path that a pattern takes."""
        if _is_plain(pattern):
            return [pattern] if pattern in self._plain else self.wild
        return [*self.wild, *(one for one in self._plain if matches(pattern, one.encode()))]


def _is_plain(pattern: str) -> bool:
    return "*" not in pattern and "?" not in pattern


def _never(pattern: str, earlier: Sequence[str]) -> str:
    """Return why a pattern never matches, or ""."""
    if can_match(pattern, earlier):
        return ""
    if not can_match(pattern):
        return "no path looks like that once //, /. and /.. are taken out of it"
    for one in earlier:
        if includes(one, pattern):
            return f"{shown(one)} before it takes all that it would"
    return "those before it take all that it would"


def _circle(route: Route, before: _Before) -> Iterator[Remark]:
    """A redirect within the site that its own pattern takes again."""
    assert isinstance(route.target, RedirectTarget)
    written = route.target.to.partition("?")[0].partition("#")[0]
    to = normalise(written.encode()).path.decode("latin-1")
    foreign = "?" in to or to.count("*") != written.count("*")  # escaped, they are no wildcards
    if not written.startswith("/") or foreign or not includes(route.pattern, to):
        return
    try:
        again = example(to, before.rivals(to))
    except TooHard:
        return
    if again is not None:
        text = (
            f"routes {shown(route.pattern)} comes back to itself: a redirect to {shown(to)} matches it again"
        )
        yield Remark("warning", text)


def _own_address(route: Route, target: ProxyTarget, bind: Sequence[str]) -> Iterator[Remark]:
    for url in target.upstreams:
        host, _, port = url.partition("://")[2].rpartition(":")
        for address in bind:
            own_host, _, own_port = address.rpartition(":")
            if port == own_port and _same_host(host, own_host):
                text = (
                    f"routes {shown(route.pattern)} sends requests to {url}, where this server listens itself"
                )
                yield Remark("warning", text)


def _same_host(host: str, own: str) -> bool:
    here = ("localhost", "127.0.0.1", "[::1]")
    return host == own or (host in here and own in (*here, "0.0.0.0", "[::]", ""))


def _contents(route: Route, target: StaticTarget) -> Iterator[Remark]:
    if target.not_found and not os.path.isfile(os.path.join(target.folder, target.not_found)):
        text = f"not-found of routes {shown(route.pattern)}: {target.folder} has no {target.not_found}"
        yield Remark("warning", text)
    for name in _OWN_FILES:
        file = os.path.join(target.folder, name)
        if matches(route.pattern, os.fsencode(target.base + name)) and os.path.exists(file):
            text = f"shows {name} to everybody: {target.folder} is the project itself"
            yield Remark("warning", f"routes {shown(route.pattern)} {text}")
            return


def _open_end(route: Route) -> Iterator[Remark]:
    """`/api*` takes `/apis`, too, and its directory is the root."""
    name = route.pattern.removesuffix("*")
    if isinstance(route.target, RedirectTarget) or name.endswith(("/", "*", "?")) or name == route.pattern:
        return
    if "*" not in name and "?" not in name:
        text = (
            f"takes {name}x as well, and its directory is {directory_of(name)}; {name}/* is what is below it"
        )
        yield Remark("note", f"routes {shown(route.pattern)} {text}")


def _bare_directory(site: Site, route: Route) -> Iterator[Remark]:
    """`/api/*` does not take `/api`, in CloudFront and here."""
    directory = directory_of(route.pattern)
    bare = directory[:-1]
    if route.pattern != f"{directory}*" or not bare or isinstance(route.target, StaticTarget):
        return
    answering = next((one for one in site.routes if matches(one.pattern, bare.encode())), None)
    if answering is None:
        who = f"the application {site.app}" if site.app else "nobody"
        text = f"routes {shown(route.pattern)} does not take {bare} itself: {who} answers that"
        yield Remark("note", text)
