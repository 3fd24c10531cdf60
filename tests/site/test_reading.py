"""`[[routes]]` tables: what they become, and which error each mistake is."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portway.config import resolve
from portway.config.route_keys import KEYS, PATH, TARGETS
from portway.errors import ConfigError
from portway.site.reading import read_routes, read_site
from portway.site.site import (
    AppTarget,
    CacheRule,
    ProxyTarget,
    RedirectTarget,
    Route,
    Site,
    StaticTarget,
)


def site_of(folder: Path, text: str) -> Site:
    (folder / "portway.toml").write_text(text)
    return read_site(resolve({}, {}, folder))


def test_every_kind_of_route(tmp_path: Path) -> None:
    site = site_of(
        tmp_path,
        """
        app = "shop:app"
        [[routes]]
        path = "static/*"
        static = "public"
        cache = { "*.????????.css" = "immutable", "*" = "no-cache" }
        not-found = "404.html"
        [[routes]]
        path = "/old/*"
        redirect = "/new/*"
        status = 301
        [[routes]]
        path = "/api/*"
        app = "api:app"
        [[routes]]
        path = "/assets/*"
        proxy = "http://127.0.0.1:5173"
        strip = true
        """,
    )
    rules = (
        CacheRule("/*.????????.css", "public, max-age=31536000, immutable"),
        CacheRule("/*", "no-cache"),
    )
    folder = str(tmp_path / "public")
    assert site == Site(
        app="shop:app",
        routes=(
            Route(
                "/static/*",
                StaticTarget(folder=folder, base="/static/", cache=rules, not_found="404.html"),
            ),
            Route("/old/*", RedirectTarget("/new/*", 301)),
            Route("/api/*", AppTarget("api:app", "/api")),
            Route("/assets/*", ProxyTarget(upstreams=("http://127.0.0.1:5173",), strip="/assets")),
        ),
    )
    assert pickle.loads(pickle.dumps(site)) == site


@pytest.mark.parametrize(
    ("route", "text"),
    [
        ('static = "x"', "routes, number 1 in portway.toml has no path"),
        ('path = "/a"', "routes '/a' in portway.toml says not who answers"),
        ('path = "/a"\nstatic = "x"\nproxy = "http://h"', "routes '/a' in portway.toml has static and proxy"),
        ('path = "/a"\nstatik = "x"', "unknown key 'statik' of routes '/a' in portway.toml"),
        ('path = "/a"\nstatic = "x"\nstatus = 301', "unknown key 'status' of routes '/a'"),
        ('path = "/a"\nredirect = "/b"\nstatus = 303', "must be 301, 302, 307 or 308, not 303"),
        ('path = "/a"\nstatic = "x"\ncache = 3', "must be a value of Cache-Control"),
        ('path = "/a"\nstatic = "x"\ncache = "a\\nb"', "must be a value of Cache-Control"),
        ('path = "/a"\nstatic = "x"\ncache = { "/é" = "no-cache" }', "a pattern in cache of routes '/a'"),
        ('path = "/a"\nstatic = ""', "must name a folder"),
        (
            'path = "/a"\nstatic = "x"\nindex = ["a/b.html"]',
            "index of routes '/a' in portway.toml must",
        ),
        ('path = "/a"\nstatic = "x"\nindex = [""]', "must hold names of files, without a folder, not ''"),
        (
            'path = "/a"\nstatic = "x"\nnot-found = "../b"',
            "not-found of routes '/a' in portway.toml must",
        ),
        (
            'path = "/a"\nstatic = "x"\nnot-found = "/etc/passwd"',
            "in the folder, not '/etc/passwd'",
        ),
        ('path = "/a"\nstatic = "x"\nnot-found = ""', "must name a file in the folder, not ''"),
        ('path = "/a"\nproxy = "http://..:80"', "must name a host, with a port from 1 to 65535 or none"),
        ('path = "/a"\nproxy = "http://{app}:80"', "must name a host, with a port from 1 to 65535 or none"),
        ('path = ""\nstatic = "x"', "path of routes '' in portway.toml must not be empty"),
        (
            'path = "/a b"\nstatic = "x"',
            "must hold only letters, digits and _ - . * ? $ / ~ \" ' @ : + &, not ' '",
        ),
        ('path = "/{a}"\nstatic = "x"', "+ &, not '{'"),
        ('paht = "/a"\nstatic = "x"', "unknown key 'paht' of routes, number 1 in portway.toml"),
        ('path = "https://h/a"\nstatic = "x"', "must be the path alone"),
        ('path = 3\nstatic = "x"', "path of routes, number 1 in portway.toml must be a string"),
        ('path = "/a"\nredirect = "//evil.example"', "must not begin with //"),
        ('path = "/a"\nproxy = "127.0.0.1:80"', "must be a URL such as"),
        ('path = "/a"\nproxy = []', "must hold at least 1 value"),
        ('path = "/a"\nproxy = "http://u:p@h"', "must not hold a password"),
        ('path = "/a"\nstatic = "x"\nworkers = 4', "unknown key 'workers' of routes '/a'"),
        ('path = "/a"\napp = "a b"', "names no application: 'a b' is not the name of a module"),
        ('path = "/a"\napp = "x"\nstrip = true', "unknown key 'strip'"),
    ],
)
def test_mistakes(tmp_path: Path, route: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_of(tmp_path, f"[[routes]]\n{route}\n")
    assert text in str(caught.value)
    assert caught.value.hint


def test_an_option_below_a_table_is_told_where_it_belongs(tmp_path: Path) -> None:
    for text in ("workers = 4", "env = { A = 'b' }"):
        with pytest.raises(ConfigError) as caught:
            site_of(tmp_path, f"[[routes]]\npath = '/a'\nstatic = 'x'\n{text}\n")
        assert "write it above the first [[routes]]" in (caught.value.hint or "")


BASE = """
app = "shop:app"
[[routes]]
path = "/static/*"
static = "public"
cache = "no-cache"
[[routes]]
path = "/api/*"
app = "api:app"
"""


def staged(folder: Path, text: str, stage: str = "prod") -> list[Route]:
    (folder / "portway.toml").write_text(BASE + text)
    return list(read_site(resolve({"stage": stage}, {}, folder)).routes)


def test_a_stage_without_routes_has_those_of_the_file(tmp_path: Path) -> None:
    assert [route.pattern for route in staged(tmp_path, "[stages.prod]")] == ["/static/*", "/api/*"]


def test_an_equal_pattern_with_a_target_takes_the_place(tmp_path: Path) -> None:
    routes = staged(
        tmp_path, "[[stages.prod.routes]]\npath = 'static/*'\nproxy = 'https://cdn.example.com'\n"
    )
    assert [route.pattern for route in routes] == ["/static/*", "/api/*"]
    assert routes[0].target == ProxyTarget(upstreams=("https://cdn.example.com",))


def test_an_equal_pattern_without_a_target_changes_settings(tmp_path: Path) -> None:
    routes = staged(
        tmp_path, "[[stages.prod.routes]]\npath = '/static/*'\ncache = 'immutable'\nhidden = true\n"
    )
    target = routes[0].target
    assert isinstance(target, StaticTarget)
    assert (target.folder, target.hidden) == (str(tmp_path / "public"), True)
    assert target.cache[0].value.endswith("immutable")


def test_other_patterns_come_first(tmp_path: Path) -> None:
    text = """
    [[stages.live.routes]]
    path = "/b"
    redirect = "/"
    [stages.prod]
    extends = "live"
    [[stages.prod.routes]]
    path = "/a"
    redirect = "/"
    [[stages.prod.routes]]
    path = "/b"
    status = 301
    """
    routes = staged(tmp_path, text)
    assert [route.pattern for route in routes] == ["/a", "/b", "/static/*", "/api/*"]
    assert routes[1].target == RedirectTarget("/", 301)


def test_a_change_of_a_route_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="says not who answers") as caught:
        staged(tmp_path, "[[stages.prod.routes]]\npath = '/statik/*'\ncache = 'immutable'\n")
    assert "the path of a route that it is to change" in (caught.value.hint or "")


def test_a_mistake_names_the_stage(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"status of stages.prod.routes '/a' in portway.toml must be 301"):
        staged(tmp_path, "[[stages.prod.routes]]\npath = '/a'\nredirect = '/'\nstatus = 200\n")


def test_pyproject_has_routes_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[[tool.portway.routes]]\npath = '/x'\nredirect = '/y'\n")
    site = read_site(resolve({}, {}, tmp_path))
    assert (site.app, site.routes) == (None, (Route("/x", RedirectTarget("/y")),))


def test_a_folder_starts_where_the_file_is(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "live.toml").write_text("[[routes]]\npath = '/x/*'\nstatic = '../public'\n")
    for name, start in (("conf/live.toml", tmp_path), ("live.toml", tmp_path / "conf")):
        target = read_site(resolve({}, {}, start, name)).routes[0].target
        assert isinstance(target, StaticTarget)
        assert target.folder == str(tmp_path / "public")


VALUES = st.recursive(
    st.text("abc/*?:. ${}\0é", max_size=12) | st.integers() | st.booleans() | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab*/", max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = sorted({PATH.name, *TARGETS, *(key.name for keys in KEYS.values() for key in keys), "x"})


@settings(max_examples=300, deadline=None)
@given(VALUES | st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6) | VALUES, max_size=3))
def test_whatever_the_tables_hold_only_errors_with_a_text_come_out(tables: object) -> None:
    try:
        read_routes([("", {"routes": tables})], "portway.toml", "/nowhere")
    except ConfigError as error:
        assert error.render().startswith("error: ")
        assert "\0" not in error.render()
