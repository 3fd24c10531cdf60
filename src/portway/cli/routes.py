"""`portway routes`: the rules of the site, and which one answers a path."""

from __future__ import annotations

import re

import click

from portway.cli.command import SETTINGS, TopicCommand
from portway.cli.options import load_settings, setting_parameters
from portway.cli.session import Session
from portway.config import Loaded
from portway.errors import UsageError, plain
from portway.site.explain import Explanation, describe, explain
from portway.site.reading import read_site
from portway.site.site import Site

_HELP = """Say which rule answers a path, and why not those before it. Without a PATH, show all rules.

Nothing is asked for and nothing imported: a PATH is what a client would send, as /a%20b or /old/x?y=1."""

MOST_STEPS = 40
"""Rules that are shown of those that were asked; of more, the first and the last."""

_MARKS = {True: "yes", False: "no"}


def _routes(paths: tuple[str, ...], **_: object) -> int:
    context = click.get_current_context()
    session: Session = context.obj
    site = site_of(load_settings(context, session))
    if not paths:
        click.echo("\n".join(rule_lines(site)))
        return 0
    click.echo("\n\n".join("\n".join(_lines(path, explain(site, _target(path)))) for path in paths))
    return 0


def site_of(loaded: Loaded) -> Site:
    """Return the site of a configuration that must have one.

    Raises:
        ConfigError: It has no routes, or something is wrong with them.
    """
    if not loaded.has_routes:
        place = loaded.file.path if loaded.file else "no configuration file here"
        raise UsageError(f"there are no routes: {place}", "a route begins with [[routes]] in portway.toml.")
    return read_site(loaded)


def _target(path: str) -> str:
    """Return the request target of a path, or of a whole URL."""
    rest = re.sub(r"^https?://[^/?#]*", "", path).partition("#")[0]
    return rest if rest.startswith("/") else f"/{rest}"


def rule_lines(site: Site) -> list[str]:
    """Return the rules of a site, a line each; the last one is what no route takes."""
    rules = [(route.pattern, describe(route.target)) for route in site.routes]
    rules.append(("", f"application {site.app}" if site.app else "404"))
    width = max(len(pattern) for pattern, _ in rules)
    return [f"{pattern or 'else':<{width}}  {text}" for pattern, text in rules]


def _lines(path: str, found: Explanation) -> list[str]:
    seen = plain(found.path.path.decode("utf-8", "backslashreplace"))
    width = max(len(step.pattern or "else") for step in found.steps)
    head = plain(path) + (f", as rules see it {seen}" if seen != path else "")
    lines = [f"{head}; {found.path.problem}" if found.path.problem else head]
    steps = [f"  {_MARKS[one.taken]:<3}  {one.pattern or 'else':<{width}}  {one.text}" for one in found.steps]
    if len(steps) > MOST_STEPS:
        left_out = len(steps) - MOST_STEPS
        steps[MOST_STEPS // 2 : -MOST_STEPS // 2] = [f"  …    {left_out} more that do not match"]
    return [*lines, *steps, *([f"       {found.result}"] if found.result else [])]


def routes_command() -> click.Command:
    """Return the command."""
    paths = click.Argument(["paths"], nargs=-1, metavar="[PATH]...")
    return TopicCommand(
        "routes",
        callback=_routes,
        params=[paths, *setting_parameters(("stage", "chdir"))],
        help=_HELP,
        short_help="Say which rule of the site answers a path, and why.",
        context_settings=SETTINGS,
    )
