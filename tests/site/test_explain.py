"""What `portway routes` knows: which rule answers, why not the others, and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from portway.site.explain import explain
from portway.site.site import AppTarget, ProxyTarget, RedirectTarget, Route, Site, StaticTarget


@pytest.fixture
def site(tmp_path: Path) -> Site:
    folder = tmp_path / "public"
    (folder / "docs").mkdir(parents=True)
    (folder / "bare").mkdir()
    for name in ("a.css", "a.css.br", "docs/index.html", ".env"):
        (folder / name).write_text("text")
    (tmp_path / "secret").touch()
    (folder / "link").symlink_to(tmp_path / "secret")
    return Site(
        app="shop:app",
        routes=(
            Route("/static/*", StaticTarget(folder=str(folder), base="/static/", not_found="404.html")),
            Route("/api/*", AppTarget("api:app", "/api")),
            Route("/old/*.html", RedirectTarget("/new/*", 301)),
            Route("/assets/*", ProxyTarget(upstreams=("http://127.0.0.1:5173",), strip="/assets")),
        ),
    )


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("/static/a.css", "public/a.css, 4 bytes, also as br"),
        ("/static/%61.css?v=1", "public/a.css, 4 bytes, also as br"),
        ("/static//x/../a.css", "public/a.css, 4 bytes, also as br"),
        ("/static/docs", "redirect to /static/docs/, the directory"),
        ("/static/docs/", "docs/index.html, 4 bytes"),
        ("/static/docs/index.html/", "404: there is no file"),
        ("/static/bare/", "is a directory without index.html; its body is 404.html"),
        ("/static/none", "404: there is no file"),
        ("/static/.env", "404: a name begins with a dot"),
        ("/static/link", "404: a symbolic link leads out of the folder"),
        ("/static/%00", "400: it holds a NUL byte"),
        ("/static/%zz", "400: it has a % that is no escape"),
        ("/../static/a.css", "400: it climbs out of the root"),
        ("/api/x/y", "root path '/api', path '/x/y'"),
        ("/old/a/b.html?x=1", "301 Location: /new/a/b?x=1"),
        ("/assets/a%20b?x", "http://127.0.0.1:5173/a%20b?x"),
        ("/other", ""),
    ],
)
def test_results(site: Site, path: str, result: str) -> None:
    found = explain(site, path)
    assert result in found.result
    assert bool(found.result) == bool(result)
    assert found.steps[-1].taken


@pytest.mark.parametrize(
    ("pattern", "path", "why"),
    [
        ("/static/*", "/other", "it does not begin with '/static/'"),
        ("/static/*", "/Static/x", "case counts"),
        ("/static/*", "/static", "/static itself is not below /static/"),
        ("/a", "/b", "it is not this path"),
        ("/a", "/A", "case counts"),
        ("*.png", "/a.jpg", "it does not end with '.png'"),
        ("*.png", "/a.PNG", "case counts"),
        ("/a*/x/*", "/ab/y/", "it has no '/x/'"),
        ("/a??", "/ab", "it is shorter than 4 bytes"),
        ("/a??*", "/ab", "it is shorter than 4 bytes"),
        ("/*b*a*", "/ab", "its parts do not come in this order"),
    ],
)
def test_why_not(pattern: str, path: str, why: str) -> None:
    site = Site(app=None, routes=(Route(pattern, RedirectTarget("/")),))
    found = explain(site, path)
    assert found.steps[0].text == why
    assert found.steps[-1].text == "nobody: there is no application"
    assert found.result == "404"
