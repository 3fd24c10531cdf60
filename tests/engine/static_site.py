"""A folder of files, a configuration that serves it, and a server of it: for the tests of static files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.engine.conftest import TLS_WAYS, serve
from tests.engine.wire import Response, Wire
from tests.support.processes import Portway

STATIC_WAYS = ("wsgi-epoll", "wsgi-poll", "asgi-epoll", "asgi-poll", "asgi-epoll-uvloop", *TLS_WAYS)
CHANGED = 1_700_000_000
"""When every file was changed: Tue, 14 Nov 2023 22:13:20 GMT."""
BIG = bytes(range(256)) * 16384
"""4 MiB: more than any socket takes at once."""

ROUTES = """
[[routes]]
path = "/static/*"
static = "static"
not-found = "404.html"
[routes.cache]
"*.txt" = "public, max-age=60"

[[routes]]
path = "/favicon.ico"
static = "static"

[[routes]]
path = "/plain/*"
static = "static"
index = ["none.html", "index.htm"]
precompressed = false
hidden = true
cache = "no-store"

[[routes]]
path = "/linked/*"
static = "static"
follow-symlinks = true

[[routes]]
path = "/old/*"
redirect = "/new/*"
status = 301

[[routes]]
path = "/any/*"
redirect = "/*"

[[routes]]
path = "/away/*/end"
redirect = "https://example.test/a/*?from=here#there"
status = 302
"""


def write(path: Path, data: bytes, changed: int = CHANGED) -> Path:
    """Write a file that was changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (changed, changed))
    return path


def make_site(folder: Path, routes: str = ROUTES) -> Path:
    """Write a site's folder and its configuration; return the configuration's path."""
    static = folder / "static"
    write(folder / "secret.txt", b"secret")
    write(static / "hello.txt", b"hello, world\n")
    write(static / "empty.txt", b"")
    write(static / "app.js", b"let x = 1;\n" * 100)
    write(static / "app.js.br", b"brotli")
    write(static / "app.js.zst", b"zstandard")
    write(static / "app.js.gz", b"gzipped")
    write(static / "style.8f3d2a1b.css", b"body{}")
    write(static / "stale.css", b"new")
    write(static / "stale.css.gz", b"old", CHANGED - 1)
    write(static / "photo.png", b"\x89PNG")
    write(static / "photo.png.gz", b"never")
    write(static / "big.bin", BIG)
    write(static / "favicon.ico", b"icon")
    write(static / "404.html", b"<h1>not here</h1>")
    write(static / ".env", b"SECRET=1")
    write(static / ".well-known" / "security.txt", b"Contact: x")
    write(static / ".well-known" / ".hidden", b"hidden")
    write(static / "a b" / "ü%.txt", b"named")
    write(static / "sub" / "index.html", b"<h1>sub</h1>")
    write(static / "sub" / "index.htm", b"<h1>htm</h1>")
    write(static / "back\\slash.txt", b"backslash")
    write(static / "\\evil" / "index.html", b"evil")
    (static / "bare").mkdir(exist_ok=True)
    for name, target in {
        "inside.txt": "hello.txt",
        "outside.txt": "../secret.txt",
        "absolute.txt": str(folder / "secret.txt"),
        "up": "..",
        "loop": "loop",
        "dangling": "nowhere",
    }.items():
        if not (static / name).is_symlink():
            (static / name).symlink_to(target)
    path = folder / "site.toml"
    path.write_text(routes)
    return path


def serve_site(
    way: str, folder: Path, *args: str, routes: str = ROUTES, env: Mapping[str, str] | None = None
) -> Portway:
    """Start a server of a site with an application behind it."""
    return serve(way, "app", "--config", str(make_site(folder, routes)), *args, env=env)


def site_fixture(
    *args: str, ways: tuple[str, ...] = STATIC_WAYS, routes: str = ROUTES
) -> Callable[..., Iterator[Portway]]:
    """Return a fixture: a server for each way to run, shared by the tests of a module."""

    @pytest.fixture(scope="module", params=ways)
    def fixture(
        request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Portway]:
        with serve_site(request.param, tmp_path_factory.mktemp("site"), *args, routes=routes) as server:
            (worker,) = server.ready().workers()
            yield server
            assert server.workers() == [worker], server.log
            assert server.stop() == 0
            assert "failed at engine" not in server.log, server.log

    return fixture


def ask(
    server: Portway,
    path: str,
    fields: Mapping[str, str] | None = None,
    method: str = "GET",
    body: bytes = b"",
) -> Response:
    """Make one request on a connection of its own; return its response."""
    with Wire(server.address) as wire:
        return ask_on(wire, path, fields, method, body)


def ask_on(
    wire: Wire, path: str, fields: Mapping[str, str] | None = None, method: str = "GET", body: bytes = b""
) -> Response:
    """Make one request; return its response."""
    wire.send(bytes_of(path, fields, method, body))
    return wire.final(method)


def bytes_of(
    path: str, fields: Mapping[str, str] | None = None, method: str = "GET", body: bytes = b""
) -> bytes:
    """Return the bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: portway.test"]
    lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
    lines += [f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
