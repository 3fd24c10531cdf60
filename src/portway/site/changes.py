"""What a reload changes about a site, for the log: patterns and names of variables, never a value."""

from __future__ import annotations

from collections.abc import Mapping

from portway.site.environment import Environment
from portway.site.site import Site

MOST = 5
"""Names in one line."""


def site_changes(old: Site | None, new: Site | None) -> list[str]:
    """Return what differs in the routes, and the stage, as `reload:` says it."""
    before, after = _routes(old), _routes(new)
    found = _changes("routes", before, after)
    if not found and list(before) != list(after):
        found = ["routes: another order"]
    stages = [one.stage if one else None for one in (old, new)]
    if stages[0] != stages[1] and old and new:
        found.append(f"stage: {stages[0] or 'none'} → {stages[1] or 'none'}")
    return found


def environment_changes(old: Environment | None, new: Environment | None) -> list[str]:
    """Return which variables differ."""
    return _changes("env", dict(old or ()), dict(new or ()))


def _routes(site: Site | None) -> dict[str, object]:
    """Return the targets by pattern; of an equal pattern the first counts."""
    found: dict[str, object] = {}
    for route in site.routes if site else ():
        found.setdefault(route.pattern, route.target)
    return found


def _changes(what: str, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    words = [f"{name} added" for name in after if name not in before]
    words += [f"{name} removed" for name in before if name not in after]
    words += [f"{name} changed" for name in after if name in before and before[name] != after[name]]
    more = [f"{len(words) - MOST} more"] if len(words) > MOST else []
    return [f"{what}: {', '.join([*words[:MOST], *more])}"] if words else []
