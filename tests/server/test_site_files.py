"""`portway routes` and the engine say the same about files."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from portway.config import resolve
from portway.site.explain import explain
from portway.site.reading import read_site
from tests.support.client import Client
from tests.support.processes import Portway

FILE = """
[[routes]]
path = "/open/*"
static = "public"
hidden = true
follow-symlinks = true

[[routes]]
path = "/images/*.png"
static = "public/images"

[[routes]]
path = "/*"
static = "public"
"""
PIECES = (
    *("/", "//", "/", ".", "..", "%2e%2e", "%2F", "%00", "%zz", "%5C", "\\"),
    *("open", "images", "docs", "bare", "a.css", "A.CSS", "index.html", ".env", ".git/config", "x.png"),
    *("link", "inside", "loop", "dir-link", "caf%C3%A9", "cafe%CC%81", "%C3%A9", "a%20b", "secret", "?x=1"),
)


def make(project: Path) -> None:
    public = project / "public"
    for folder in ("docs", "bare", "images", ".git"):
        (public / folder).mkdir(parents=True)
    for name in ("a.css", "a b", "café", ".env", ".git/config", "docs/index.html", "images/x.png", "x.png"):
        (public / name).write_text(name)
    (project / "secret").write_text("secret")
    (project / "elsewhere").mkdir()
    (project / "elsewhere" / "secret").write_text("secret")
    (public / "link").symlink_to(project / "secret")
    (public / "inside").symlink_to("a.css")
    (public / "loop").symlink_to("loop")
    (public / "dir-link").symlink_to(project / "elsewhere")
    (project / "portway.toml").write_text(FILE)


def test_the_engine_and_portway_routes_agree(tmp_path: Path) -> None:
    make(tmp_path)
    site = read_site(resolve({}, {}, tmp_path))
    with Portway("", cwd=tmp_path) as server, Client(server.ready().address) as client:

        @settings(max_examples=600, deadline=None)
        @given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
        def check(rest: str) -> None:
            path = f"/{rest}"
            answer = client.get(path)
            result = explain(site, path).result
            if result.startswith("file "):
                size = int(re.search(r", ([0-9]+) bytes", result)[1])  # type: ignore[index]
                assert (answer.status, len(answer.body)) == (200, size), result
            elif result.startswith("redirect "):
                assert answer.status == 301, result
                assert answer.headers["location"].partition("?")[0] == result.split()[2].rstrip(","), result
            else:
                assert answer.status == int(result[:3]), result

        check()
