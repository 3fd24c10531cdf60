"""`[[routes]]` tables: what they become, and which error each mistake is."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from portway.config import resolve
from portway.errors import ConfigError
from portway.site.reading import read_site
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
        ('static = "x"', "cannot read 'portway.toml': routes, number 1 has no path"),
        ('path = "/a"', "routes '/a' says not who answers"),
        ('path = "/a"\nstatic = "x"\nproxy = "http://h"', "routes '/a' has static and proxy"),
        ('path = "/a"\nstatik = "x"', "unknown key 'statik' of routes '/a' in portway.toml"),
        ('path = "/a"\nstatic = "x"\nstatus = 301', "unknown key 'status' of routes '/a'"),
        ('path = "/a"\nredirect = "/b"\nstatus = 303', "must be 301, 302, 307 or 308, not 303"),
        ('path = "/a"\nstatic = "x"\ncache = 3', "must be a value of Cache-Control"),
    ],
)
def test_mistakes(tmp_path: Path, route: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site_of(tmp_path, f"[[routes]]\n{route}\n")
    assert text in str(caught.value)
    assert caught.value.hint
