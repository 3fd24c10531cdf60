"""What a reload says about a site."""

from __future__ import annotations

from portway.site.changes import environment_changes, site_changes
from portway.site.environment import Environment
from portway.site.site import RedirectTarget, Route, Site


def site(*patterns: str, to: str = "/", stage: str | None = None) -> Site:
    return Site(app="a:app", stage=stage, routes=tuple(Route(one, RedirectTarget(to)) for one in patterns))


def test_routes() -> None:
    assert site_changes(None, None) == []
    assert site_changes(site("/a"), site("/a")) == []
    assert site_changes(None, site("/a", "/b")) == ["routes: /a added, /b added"]
    assert site_changes(site("/a", "/b"), None) == ["routes: /a removed, /b removed"]
    assert site_changes(site("/a", "/b"), site("/b", "/c", to="/x")) == [
        "routes: /c added, /a removed, /b changed"
    ]
    assert site_changes(site("/a", "/b"), site("/b", "/a")) == ["routes: another order"]
    assert site_changes(site("/a"), site("/a", stage="prod")) == ["stage: none → prod"]
    many = [f"/{number}" for number in range(8)]
    assert site_changes(None, site(*many))[0].endswith("/4 added, 3 more")


def test_variables_are_named_and_not_shown() -> None:
    old, new = Environment({"A": "hidden", "B": "1"}), Environment({"A": "hidden-too", "C": "1"})
    assert environment_changes(old, new) == ["env: C added, B removed, A changed"]
    assert environment_changes(None, old) == ["env: A added, B added"]
    assert environment_changes(old, None) == ["env: A removed, B removed"]
