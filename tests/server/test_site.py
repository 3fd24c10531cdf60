"""A site in a running server: its environment, what a reload takes over of it, and where redirects lead."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.site.explain import explain
from portway.site.site import RedirectTarget, Route, Site
from tests.server.test_upgrade import upgraded
from tests.support.client import Client, get
from tests.support.load import Load
from tests.support.processes import Portway, wait_for_end

APP = """
import json, os
NAMES = ("GREETING", "SECRET", "PORTWAY_STAGE", "REAL")
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({name: os.environ.get(name) for name in NAMES}).encode()]
"""
FILE = """
app = "served.py:app"
env = { GREETING = "base", REAL = "not this" }

[[routes]]
path = "/old/*"
redirect = "/new/*"

[stages.prod]
env = { GREETING = "prod", SECRET = "<${env:HIDDEN}>" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "portway.toml").write_text(FILE)
    return tmp_path


def environment(server: Portway) -> dict[str, str | None]:
    found: dict[str, str | None] = json.loads(get(server.address, "/x").body)
    return found


def reload(server: Portway, generation: int) -> None:
    """Reload, and wait until the old workers are gone."""
    old = server.workers()
    server.send(signal.SIGHUP)
    server.ready(generation)
    for worker in old:
        wait_for_end(worker)


@pytest.mark.parametrize("arguments", [(), ("--preload",)])
def test_the_environment_reaches_the_application(project: Path, arguments: tuple[str, ...]) -> None:
    env = {"HIDDEN": "swordfish", "REAL": "this", "PORTWAY_STAGE": "what --stage overrules"}
    with Portway("", "--stage", "prod", *arguments, env=env, cwd=project) as server:
        server.ready()
        assert environment(server) == {
            "GREETING": "prod",
            "SECRET": "<swordfish>",
            "PORTWAY_STAGE": "prod",
            "REAL": "this",
        }
        assert get(server.address, "/old/x").headers["location"] == "/new/x"
    assert "swordfish" not in "\n".join(server.lines)


def test_a_reload_takes_over_routes_and_environment(project: Path) -> None:
    with Portway("", cwd=project) as server:
        server.ready()
        with Load(server.address, keep_alive=2, fresh=1) as load:
            text = FILE.replace("/new/*", "/newer/*").replace('"base"', '"second"')
            (project / "portway.toml").write_text(text)
            reload(server, 2)
            load.wait_for(50)
        assert load.failures == []
        assert get(server.address, "/old/x").headers["location"] == "/newer/x"
        assert environment(server)["GREETING"] == "second"
        assert "reload: routes: /old/* changed, env: GREETING changed" in server.log

        (project / "portway.toml").write_text("app = 'served.py:app'\n")
        reload(server, 3)
        assert get(server.address, "/old/x").status == 200
        assert environment(server)["GREETING"] is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (FILE.replace("redirect", "redirct"), "unknown key 'redirct'"),
        (FILE.replace("/new/*", "//evil.example/*"), "must not begin with //"),
        (FILE.replace('redirect = "/new/*"', 'static = "none"'), "must be a folder that exists"),
        (FILE.replace('"base"', '"${env:NONE_OF_THESE}"'), "${env:NONE_OF_THESE} for GREETING"),
    ],
)
def test_a_reload_refuses_what_a_start_would(project: Path, text: str, why: str) -> None:
    with Portway("", cwd=project) as server:
        server.ready()
        (project / "portway.toml").write_text(text)
        server.send(signal.SIGHUP)
        server.wait_for("reload: refused")
        assert any(why in line for line in server.lines)
        assert get(server.address, "/old/x").headers["location"] == "/new/x"


def test_a_start_tells_what_never_matches(project: Path) -> None:
    with (project / "portway.toml").open("a") as file:
        file.write('[[routes]]\npath = "/old/x"\nredirect = "/"\n')
    with Portway("", cwd=project) as server:
        server.ready()
        assert "warning: routes '/old/x' never matches: '/old/*' before it takes all" in server.log


RULES = (
    ("/old*", "/*"),
    ("/a/*/b*", "/x/*/y#top"),
    ("/q/*", "/found?x=1"),
    ("/far/*", "https://example.com/*"),
    ("/one?", "/two"),
)
PIECES = [
    "/",
    "//",
    "%5C",
    "%2F",
    "%2f..",
    "..",
    ".",
    "@",
    ":",
    "a",
    "b",
    "%zz",
    "%00",
    "%0d%0a",
    "%E9",
    "?x=%26",
    "&",
]


def test_redirects_lead_where_portway_routes_says(project: Path) -> None:
    """The engine's answer is that of the plain description, for paths that want to lead elsewhere too."""
    site = Site(
        app="served.py:app", routes=tuple(Route(pattern, RedirectTarget(to)) for pattern, to in RULES)
    )
    routes = "".join(f'[[routes]]\npath = "{pattern}"\nredirect = "{to}"\n' for pattern, to in RULES)
    (project / "portway.toml").write_text(f'app = "served.py:app"\n{routes}')
    starts = st.sampled_from(["/old", "/old/", "/a/", "/a/x/b", "/q/", "/far/", "/one", "/"])
    rests = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)
    with Portway("", cwd=project) as server, Client(server.ready().address) as client:

        @settings(max_examples=300, deadline=None)
        @given(starts, rests)
        def check(start: str, rest: str) -> None:
            answer = client.get(start + rest)
            result = explain(site, start + rest).result
            status, _, location = result.partition(" Location: ") if result else ("200", "", "")
            refused = ("400", "")  # by the parser
            assert (str(answer.status), answer.headers.get("location", "")) in ((status, location), refused)

        check()


def test_an_upgrade_has_the_routes_and_secrets_of_today(project: Path) -> None:
    with Portway("", "--stage", "prod", env={"HIDDEN": "swordfish"}, cwd=project) as server:
        server.ready()
        (project / "portway.toml").write_text(FILE.replace("/new/*", "/newer/*"))
        with upgraded(server):
            server.send(signal.SIGTERM)
            server.exit_code()
            assert get(server.address, "/old/x").headers["location"] == "/newer/x"
            assert environment(server)["SECRET"] == "<swordfish>"
        assert "swordfish" not in server.log
