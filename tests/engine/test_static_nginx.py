"""The same folder and requests, served by a real nginx and by the engine: where HTTP decides, they agree."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.static_site import ask, make_site, serve_site
from tests.engine.wire import Response, Wire
from tests.support.processes import Portway
from tests.support.waiting import wait_until

CONFIGURATION = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{}}
http {{
    include /etc/nginx/mime.types; access_log off; sendfile on; gzip_static on; gzip_vary on;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen unix:{folder}/socket;
        location / {{ root {root}; }}
        absolute_redirect off;
    }}
}}
"""
TEXT = "/static/hello.txt"
DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
EARLIER = "Mon, 13 Nov 2023 22:13:20 GMT"
SAME: tuple[tuple[str, dict[str, str]], ...] = (
    (TEXT, {}),
    ("/static/empty.txt", {}),
    ("/static/photo.png", {}),
    ("/static/sub/", {}),
    ("/static/sub", {}),
    ("/static/sub?a=b", {}),
    ("/static/a%20b/%C3%BC%25.txt", {}),
    ("/static/nothing", {}),
    ("/static/hello.txt/", {}),
    ("/static/%00", {}),
    ("/static/%zz", {}),
    ("/../static/hello.txt", {}),
    ("/static//sub//../hello.txt", {}),
    ("/static/sub%2Findex.html", {}),
    ("/static/" + "x" * 300, {}),
    ("/static/app.js", {"Accept-Encoding": "gzip"}),
    ("/static/app.js", {"Accept-Encoding": "gzip;q=0"}),
    ("/static/photo.png", {"Accept-Encoding": "identity"}),
    (TEXT, {"Range": "bytes=0-4"}),
    (TEXT, {"Range": "bytes=5-"}),
    (TEXT, {"Range": "bytes=-5"}),
    (TEXT, {"Range": "bytes=-99"}),
    (TEXT, {"Range": "bytes=0-0, 4-5"}),
    (TEXT, {"Range": "bytes=99-"}),
    (TEXT, {"Range": "lines=1-2"}),
    (TEXT, {"If-Modified-Since": DATE}),
    (TEXT, {"If-Modified-Since": EARLIER}),
    (TEXT, {"If-Unmodified-Since": DATE}),
    (TEXT, {"If-Unmodified-Since": EARLIER}),
    (TEXT, {"If-Match": '"x"'}),
    (TEXT, {"If-Match": "*"}),
    (TEXT, {"If-None-Match": '"x"'}),
    (TEXT, {"If-None-Match": "*"}),
    (TEXT, {"If-None-Match": '"x"', "If-Modified-Since": DATE}),
    (TEXT, {"Range": "bytes=0-1", "If-Range": '"x"'}),
    (TEXT, {"Range": "bytes=0-1", "If-Range": DATE}),
    (TEXT, {"Range": "bytes=0-1", "If-Range": EARLIER}),
)
# (path, fields, nginx's status, ours, why)
DIFFERENT: tuple[tuple[str, dict[str, str], int, int, str], ...] = (
    ("/static/.env", {}, 200, 404, "hidden files are refused"),
    ("/static/absolute.txt", {}, 200, 404, "a link does not lead out of the folder"),
    ("/static/bare/", {}, 403, 404, "a folder that is not listed is not there"),
    (TEXT, {"Range": "bytes=5-2"}, 416, 200, "what is no range is ignored (RFC 9110, 14.2)"),
    (TEXT, {"Range": "bytes=0-2,1-3"}, 206, 200, "ranges that overlap are ignored"),
    (TEXT, {"If-Modified-Since": "Fri, 14 Nov 2025 22:13:20 GMT"}, 200, 304, "later counts, too (13.1.3)"),
)
FIELDS = ("last-modified", "content-range", "content-encoding", "content-length", "accept-ranges")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a site."""
    folder = tmp_path_factory.mktemp("site")
    folder.chmod(0o755)
    make_site(folder)
    return folder


@pytest.fixture(scope="module")
def nginx(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run nginx; return the path of its socket."""
    own = tmp_path_factory.mktemp("nginx")
    user = "user root;" if os.geteuid() == 0 else ""
    (own / "conf").write_text(CONFIGURATION.format(folder=own, root=folder, user=user))
    process = subprocess.Popen(["nginx", "-p", own, "-c", own / "conf", "-e", own / "error.log"])
    try:
        wait_until(lambda: (own / "socket").is_socket(), "socket of nginx")
        yield str(own / "socket")
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module", params=["wsgi-epoll", "asgi-epoll"])
def ours(folder: Path, request: pytest.FixtureRequest) -> Iterator[Portway]:
    """Run Portway with the same folder."""
    routes = '[[routes]]\npath = "/*"\nstatic = "."\nprecompressed = ["gzip"]\n'
    with serve_site(request.param, folder, routes=routes) as server:
        yield server.ready()


def theirs(socket: str, path: str, fields: dict[str, str], method: str) -> Response:
    """Ask nginx."""
    lines = [f"{method} {path} HTTP/1.1", "Host: portway.test", *(f"{n}: {v}" for n, v in fields.items())]
    with Wire(socket) as wire:
        wire.send("\r\n".join([*lines, "", ""]).encode())
        return wire.final(method)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("path", "fields"), SAME)
def test_the_same(nginx: str, ours: Portway, path: str, fields: dict[str, str], method: str) -> None:
    if method == "HEAD" and "Range" in fields:
        fields = {}  # RFC 9110, section 14.2: for GET alone; nginx takes it for HEAD, too
    expected, answer = theirs(nginx, path, fields, method), ask(ours, path, fields, method)
    assert answer.status == expected.status
    assert answer.all("location") == expected.all("location")
    if answer.status in (200, 206, 304):
        multipart = answer.all("content-type") and answer["content-type"].startswith("multipart")
        for name in FIELDS:
            if multipart and name == "content-length":
                continue
            if name == "accept-ranges" and not expected.all(name):
                continue
            assert answer.all(name) == expected.all(name), name
        assert multipart or answer.body == expected.body


@pytest.mark.needs("nginx")
@pytest.mark.parametrize(("path", "fields", "there", "here", "why"), DIFFERENT)
def test_where_they_differ(
    nginx: str, ours: Portway, path: str, fields: dict[str, str], there: int, here: int, why: str
) -> None:
    assert (theirs(nginx, path, fields, "GET").status, ask(ours, path, fields).status) == (there, here), why


@pytest.mark.needs("nginx")
def test_the_multipart_form(nginx: str, ours: Portway) -> None:
    """Byte for byte the same, but for the boundary and the type's charset."""

    def body(response: Response) -> bytes:
        boundary = response["content-type"].partition("boundary=")[2].encode()
        return response.body.replace(boundary, b"B").replace(b"; charset=utf-8", b"")

    fields = {"Range": "bytes=0-0, 4-5, -1"}
    assert body(ask(ours, TEXT, fields)) == body(theirs(nginx, TEXT, fields, "GET"))
