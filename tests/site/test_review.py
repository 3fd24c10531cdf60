"""What is doubtful about a site: each remark, and silence where there is nothing to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from portway.config import resolve
from portway.errors import BadValue
from portway.site.reading import read_site
from portway.site.review import check_folders, review
from portway.site.site import AppTarget, ProxyTarget, RedirectTarget, Route, Site, StaticTarget, Target

APP = AppTarget("api:app", "/api")


def remarks(
    *routes: tuple[str, Target], app: str | None = "shop:app", bind: tuple[str, ...] = ()
) -> list[str]:
    site = Site(app=app, routes=tuple(Route(pattern, target) for pattern, target in routes))
    return [f"{remark.level}: {remark.text}" for remark in review(site, bind)]


def redirect(to: str) -> RedirectTarget:
    return RedirectTarget(to)


def test_nothing_to_say(tmp_path: Path) -> None:
    assert (
        remarks(("/static/*", StaticTarget(folder=str(tmp_path), base="/static/")), ("/a", redirect("/b")))
        == []
    )


def test_what_never_matches() -> None:
    assert remarks(("/a/*", APP), ("/a/b", APP), ("/x//y", APP))[1:] == [
        "warning: routes '/a/b' never matches: '/a/*' before it takes all that it would",
        "warning: routes '/x//y' never matches: "
        "no path looks like that once //, /. and /.. are taken out of it",
    ]
    found = remarks(("/a", redirect("/b")), ("/a?*", redirect("/b")), ("/a*", redirect("/b")))
    assert found == ["warning: routes '/a*' never matches: those before it take all that it would"]


def test_thousands_of_redirects() -> None:
    old = [(f"/old-{number}", redirect(f"/new/{number}")) for number in range(2_000)]
    found = remarks(
        *old, ("/old-*", redirect("/gone")), ("/old-7", redirect("/x")), ("/old-1?", redirect("/y"))
    )
    assert [text.split("'")[1] for text in found] == ["/old-7", "/old-1?"]


def test_an_application_that_gets_nothing() -> None:
    assert remarks(("/*", redirect("https://example.com/*"))) == [
        "warning: the application shop:app gets nothing: the routes take every path"
    ]
    assert remarks(("/*", redirect("https://example.com/*")), app=None) == []


def test_the_directory_itself() -> None:
    text = "note: routes '/api/*' does not take /api itself:"
    assert remarks(("/api/*", APP)) == [f"{text} the application shop:app answers that"]
    assert remarks(("/api/*", APP), app=None) == [f"{text} nobody answers that"]
    assert remarks(("/api/*", APP), ("/api", redirect("/api/"))) == []


def test_an_open_end() -> None:
    text = "note: routes '/api*' takes /apix as well, and its directory is /; /api/* is what is below it"
    assert remarks(("/api*", APP)) == [text]
    assert remarks(("/*.png*", APP), ("/x", APP), ("/a*b", APP), ("/y*", redirect("/"))) == []


def test_redirects_that_come_back() -> None:
    assert remarks(("/a*", redirect("/a/b"))) == [
        "warning: routes '/a*' comes back to itself: a redirect to '/a/b' matches it again"
    ]
    assert remarks(("/a", redirect("/a?x=1"))) != []
    assert remarks(("/a", redirect("/%61#top"))) != []
    assert remarks(("/a", redirect("/caf%C3%A9")), ("/b?", redirect("/b%3F"))) == []
    assert remarks(("/a/*", redirect("https://example.com/a/*")), ("/a", redirect("/a/"))) == []
    assert remarks(("/app/*", APP), ("/app", APP), ("/*", redirect("/app/*")), app=None) == []


@pytest.mark.parametrize(
    ("url", "bind", "found"),
    [
        ("http://127.0.0.1:8000", "0.0.0.0:8000", True),
        ("http://localhost:8000", "127.0.0.1:8000", True),
        ("http://10.0.0.1:8000", "10.0.0.1:8000", True),
        ("http://127.0.0.1:8001", "127.0.0.1:8000", False),
        ("http://example.com:8000", "127.0.0.1:8000", False),
    ],
)
def test_a_proxy_to_this_server(url: str, bind: str, found: bool) -> None:
    said = remarks(("/x", ProxyTarget(upstreams=(url,))), bind=(bind, "unix:/run/x.sock"))
    assert bool(said) is found


def test_a_folder_that_is_the_project(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").touch()
    (tmp_path / "sub").mkdir()
    target = StaticTarget(folder=str(tmp_path), base="/")
    assert "shows portway.toml to everybody" in remarks(("/*", target), app=None)[0]
    assert remarks(("/*.css", target)) == []
    assert remarks(("/*", StaticTarget(folder=str(tmp_path / "sub"), base="/")), app=None) == []


def test_a_page_for_404_that_is_not_there(tmp_path: Path) -> None:
    target = StaticTarget(folder=str(tmp_path), base="/x/", not_found="404.html")
    assert "has no 404.html" in remarks(("/x/*", target))[0]
    (tmp_path / "404.html").touch()
    assert remarks(("/x/*", target)) == []


def test_folders_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("[[routes]]\npath = '/x/*'\nstatic = 'public'\n")
    site = read_site(resolve({}, {}, tmp_path))
    with pytest.raises(BadValue, match="must be a folder that exists"):
        check_folders(site, "portway.toml")
    (tmp_path / "public").touch()
    with pytest.raises(BadValue):
        check_folders(site, "portway.toml")
    (tmp_path / "public").unlink()
    (tmp_path / "public").mkdir()
    check_folders(site, "portway.toml")
