"""Which rule answers a path, and why not those before it; for people."""

from __future__ import annotations

import os
from collections.abc import Iterator

from msgspec import Struct

from portway.errors import shown
from portway.site import redirects, upstreams
from portway.site.patterns import Path, match, normalise, with_slash
from portway.site.site import AppTarget, ProxyTarget, RedirectTarget, Route, Site, StaticTarget, Target


class Step(Struct, frozen=True):
    """One rule that was asked.

    Attributes:
        pattern: The rule's pattern; "" for what is behind all rules.
        taken: Whether it answers.
        text: What it answers with, or why it does not.
    """

    pattern: str
    taken: bool
    text: str


class Explanation(Struct, frozen=True):
    """What happens to a path.

    Attributes:
        path: The path as rules see it.
        steps: The rules that are asked, in their order; the last one answers.
        result: What the client gets of it, as far as it can be told without asking anybody.
    """

    path: Path
    steps: tuple[Step, ...]
    result: str


def explain(site: Site, target: str) -> Explanation:
    """Return what happens to a request.

    Args:
        site: The site.
        target: A request target in origin form, as a client sends it: "/a%20b?x=1".
    """
    path = normalise(os.fsencode(target if target.startswith("/") else f"/{target}"))
    steps = []
    for route in site.routes:
        star = match(route.pattern, path.path)
        if star is not None:
            steps.append(Step(route.pattern, True, describe(route.target)))
            return Explanation(path, tuple(steps), _result(route, path, star, target))
        steps.append(Step(route.pattern, False, _why_not(route.pattern, path.path)))
    last = f"application {site.app}" if site.app else "nobody: there is no application"
    return Explanation(path, (*steps, Step("", True, last)), "" if site.app else "404")


def describe(target: Target) -> str:
    """Return who answers, in a few words."""
    match target:
        case AppTarget():
            return f"application {target.app}" + (f" at {target.root_path}" if target.root_path else "")
        case StaticTarget():
            return f"folder {target.folder}"
        case RedirectTarget():
            return f"redirect {target.status} to {target.to}"
        case ProxyTarget():
            return f"proxy to {', '.join(target.upstreams)}"


def _result(route: Route, path: Path, star: bytes, target: str) -> str:
    match route.target:
        case AppTarget(root_path=root):
            inside = os.fsdecode(path.path).removeprefix(root) or "/"
            return f"root path {shown(root)}, path {shown(inside)}"
        case StaticTarget():
            return _file(route.target, path)
        case RedirectTarget():
            return f"{route.target.status} Location: {_location(route.target, star, target)}"
        case ProxyTarget():
            raw = target if target.startswith("/") else f"/{target}"
            before, mark, query = raw.partition("?")
            asked = upstreams.path_for(os.fsencode(before), route.target.strip)
            return f"{route.target.upstreams[0]}{os.fsdecode(asked)}{mark}{query}"


def _location(target: RedirectTarget, star: bytes, asked: str) -> str:
    query = asked.partition("?")[2]
    return redirects.location(target.to, star, query)


def _file(target: StaticTarget, path: Path) -> str:
    if path.problem:
        return f"400: {path.problem}"
    inside = os.fsdecode(path.path).removeprefix(target.base)
    if not target.hidden and any(part.startswith(".") for part in inside.split("/")):
        return "404: a name begins with a dot, and hidden is not set"
    name = os.path.join(target.folder, inside)
    if not target.follow and not _contained(name, target.folder):
        return "404: a symbolic link leads out of the folder, and follow-symlinks is not set"
    if os.path.isdir(name):
        return _directory(target, name, inside)
    if os.path.isfile(name) and not inside.endswith("/"):
        return f"file {name}, {os.path.getsize(name)} bytes{_variants(target, name)}"
    return f"404: there is no file {name}{_not_found(target)}"


def _directory(target: StaticTarget, name: str, inside: str) -> str:
    if inside and not inside.endswith("/"):
        return f"redirect to {target.base}{inside}/, the directory"
    index = next((one for one in target.index if os.path.isfile(os.path.join(name, one))), None)
    if index is None:
        wanted = " or ".join(target.index) or "an index"
        return f"404: {name} is a directory without {wanted}{_not_found(target)}"
    found = os.path.join(name, index)
    return f"file {found}, {os.path.getsize(found)} bytes{_variants(target, found)}"


def _contained(name: str, folder: str) -> bool:
    real = os.path.realpath(folder)
    return os.path.realpath(name) == real or os.path.realpath(name).startswith(real.rstrip("/") + "/")


def _variants(target: StaticTarget, name: str) -> str:
    suffixes = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
    found = [coding for coding in target.precompressed if os.path.isfile(name + suffixes[coding])]
    return f", also as {', '.join(found)}" if found else ""


def _not_found(target: StaticTarget) -> str:
    return f"; its body is {target.not_found}" if target.not_found else ""


def _why_not(pattern: str, path: bytes) -> str:
    """Return the first thing about a pattern that a path does not have."""
    own, text = with_slash(pattern), os.fsdecode(path)
    if "*" not in own and "?" not in own:
        return "case counts" if own.lower() == text.lower() else "it is not this path"
    first, *parts = own.split("*")
    for reason in _reasons(first, parts, text):
        return reason
    return "its parts do not come in this order"


def _reasons(first: str, parts: list[str], text: str) -> Iterator[str]:
    if "?" not in first and not text.startswith(first):
        if text.lower().startswith(first.lower()):
            yield "case counts"
        elif f"{text}/" == first:
            yield f"{text} itself is not below {first}"
        yield f"it does not begin with {shown(first)}"
    if parts and "?" not in (last := parts[-1]) and not text.endswith(last):
        yield "case counts" if text.lower().endswith(last.lower()) else f"it does not end with {shown(last)}"
    for part in parts[:-1]:
        if "?" not in part and part not in text:
            yield f"it has no {shown(part)}"
    least = len(first) + sum(map(len, parts))
    if len(os.fsencode(text)) < least:
        yield f"it is shorter than {least} bytes"
