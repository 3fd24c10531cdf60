"""Files that the engine serves by itself: what is answered, on every driver, poller and with TLS."""

from __future__ import annotations

import pytest

from tests.engine.static_site import BIG, ask, ask_on, bytes_of, site_fixture
from tests.engine.wire import GET, Wire
from tests.support.processes import Portway

site = site_fixture()

DATE = "Tue, 14 Nov 2023 22:13:20 GMT"
IMMUTABLE = "public, max-age=31536000, immutable"


def test_a_file(site: Portway) -> None:
    answer = ask(site, "/static/hello.txt")
    assert (answer.status, answer.body) == (200, b"hello, world\n")
    assert answer["content-type"] == "text/plain; charset=utf-8"
    assert answer["last-modified"] == DATE
    assert answer["etag"] == f'"{1_700_000_000 * 10**9:x}-d"'
    assert answer["accept-ranges"] == "bytes"
    assert answer["cache-control"] == "public, max-age=60"
    assert answer["vary"] == "Accept-Encoding"
    assert answer["content-length"] == "13"


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/static/empty.txt", b"", "text/plain; charset=utf-8"),
        ("/static/photo.png", b"\x89PNG", "image/png"),
        ("/static/sub/", b"<h1>sub</h1>", "text/html; charset=utf-8"),
        ("/plain/sub/", b"<h1>htm</h1>", "text/html; charset=utf-8"),
        ("/favicon.ico", b"icon", "image/x-icon"),
        ("/static/a%20b/%C3%BC%25.txt", b"named", "text/plain; charset=utf-8"),
        ("/linked/outside.txt", b"secret", "text/plain; charset=utf-8"),
        ("/linked/absolute.txt", b"secret", "text/plain; charset=utf-8"),
        ("/static/.well-known/security.txt", b"Contact: x", "text/plain; charset=utf-8"),
        ("/plain/.env", b"SECRET=1", "application/octet-stream"),
        ("/static/back%5cslash.txt", b"backslash", "text/plain; charset=utf-8"),
        ("/static/hello.txt?v=%00&../..", b"hello, world\n", "text/plain; charset=utf-8"),
        ("/static//sub///index.html", b"<h1>sub</h1>", "text/html; charset=utf-8"),
        ("/static/sub/../hello.txt", b"hello, world\n", "text/plain; charset=utf-8"),
        ("/static/sub%2Findex.html", b"<h1>sub</h1>", "text/html; charset=utf-8"),
        ("http://portway.test/static/hello.txt", b"hello, world\n", "text/plain; charset=utf-8"),
    ],
)
def test_what_is_there(site: Portway, path: str, body: bytes, kind: str) -> None:
    answer = ask(site, path)
    assert (answer.status, answer.body, answer["content-type"]) == (200, body, kind)


@pytest.mark.parametrize(
    "path",
    [
        "/static/nothing.txt",
        "/static/HELLO.txt",
        "/static/bare/",
        "/static/hello.txt/",
        "/static/hello.txt/more",
        "/static/.env",
        "/static/.well-known/.hidden",
        "/static/sub/.well-known/",
        "/static/outside.txt",
        "/static/absolute.txt",
        "/static/up/secret.txt",
        "/static/loop",
        "/static/dangling",
        "/static/" + "x" * 300,
        "/static/" + "x/" * 2500,
        "/static/%252e%252e/secret.txt",
        "/static/%c0%ae%c0%ae/secret.txt",
        "/static/..%5csecret.txt",
        "/static/\\..\\secret.txt",
        "/static/...",
        "/static/hello.txt%20",
        "/static/hello%2etxt.",
    ],
)
def test_what_is_not(site: Portway, path: str) -> None:
    answer = ask(site, path)
    assert (answer.status, answer.body) == (404, b"<h1>not here</h1>")
    assert answer["content-type"] == "text/html; charset=utf-8"
    assert answer["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/%00", "/static/a%00.txt", "/static/%zz", "/static/%", "/%2e%2e/static/x"]
)
def test_what_cannot_be_a_name(site: Portway, path: str) -> None:
    answer = ask(site, path)
    assert (answer.status, answer.body) == (400, b"400 Bad Request\n")
    assert not answer.closes


def test_links(site: Portway, request: pytest.FixtureRequest) -> None:
    """One that stays in the folder is followed; where there is no openat2, none is."""
    with_openat2 = "epoll" in request.node.callspec.params["site"]
    answer = ask(site, "/static/inside.txt")
    if with_openat2:
        assert (answer.status, answer.body) == (200, b"hello, world\n")
    else:
        assert answer.status == 404
    assert ask(site, "/static/outside.txt").status == ask(site, "/static/absolute.txt").status == 404
    assert ask(site, "/linked/outside.txt").body == b"secret"


def test_a_plain_404(site: Portway) -> None:
    answer = ask(site, "/plain/nothing")
    assert (answer.status, answer.body) == (404, b"404 Not Found\n")


def test_what_leaves_the_folder_is_the_applications(site: Portway) -> None:
    assert ask(site, "/static/../hello").body == b"hello"
    assert ask(site, "/static/%2e%2e/hello").all("etag") == []
    assert ask(site, "/static").all("etag") == []


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/static/sub", "/static/sub/"),
        ("/static/sub?a=/b&c=%20", "/static/sub/?a=/b&c=%20"),
        ("/static/a%20b", "/static/a%20b/"),
        ("//static//sub", "/static/sub/"),
        ("/plain/%5Cevil", "/plain/%5Cevil/"),
    ],
)
def test_a_folder_without_its_slash(site: Portway, path: str, to: str) -> None:
    answer = ask(site, path)
    assert (answer.status, answer["location"], answer.body) == (301, to, b"")


@pytest.mark.parametrize(
    ("path", "status", "to"),
    [
        ("/old/a/b?c=d", 301, "/new/a/b?c=d"),
        ("/old/", 301, "/new/"),
        ("/old/%0d%0aSet-Cookie:%20a=b", 301, "/new/%0D%0ASet-Cookie:%20a=b"),
        ("/any//example.test/", 308, "/example.test/"),
        ("/any/%2Fexample.test", 308, "/example.test"),
        ("/any/%5Cexample.test", 308, "/%5Cexample.test"),
        ("/away/x/y/end?q", 302, "https://example.test/a/x/y?from=here#there"),
    ],
)
def test_redirects(site: Portway, path: str, status: int, to: str) -> None:
    answer = ask(site, path, method="POST", body=b"some")
    assert (answer.status, answer["location"], answer.body) == (status, to, b"")


def test_redirects_of_what_cannot_be_read(site: Portway) -> None:
    assert ask(site, "/old/%zz").status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "GETS"])
def test_methods(site: Portway, method: str) -> None:
    answer = ask(site, "/static/hello.txt", method=method)
    assert (answer.status, answer["allow"]) == (405, "GET, HEAD")


def test_head(site: Portway) -> None:
    with Wire(site.address) as wire:
        for path in (
            "/static/hello.txt",
            "/static/big.bin",
            "/static/nothing",
            "/static/sub",
            "/static/app.js",
        ):
            got = ask_on(wire, path)
            head = ask_on(wire, path, method="HEAD")
            assert (head.status, head.body) == (got.status, b"")
            drop = {"date"}
            assert [f for f in head.fields if f[0] not in drop] == [f for f in got.fields if f[0] not in drop]
        assert ask_on(wire, "/static/hello.txt", {"Range": "bytes=0-1"}, "HEAD").status == 200


@pytest.mark.parametrize(
    ("accept", "coding", "body"),
    [
        ("gzip, deflate, br, zstd", "br", b"brotli"),
        ("gzip, deflate", "gzip", b"gzipped"),
        ("br;q=0.5, zstd", "zstd", b"zstandard"),
        ("GZIP;Q=1.0,br;q=0", "gzip", b"gzipped"),
        ("*", "br", b"brotli"),
        ("br;q=0, *;q=0.1", "zstd", b"zstandard"),
        ("x-gzip", "gzip", b"gzipped"),
    ],
)
def test_compressed_forms(site: Portway, accept: str, coding: str, body: bytes) -> None:
    answer = ask(site, "/static/app.js", {"Accept-Encoding": accept})
    assert (answer.status, answer["content-encoding"], answer.body) == (200, coding, body)
    assert answer["content-type"] == "text/javascript; charset=utf-8"
    assert answer["vary"] == "Accept-Encoding"
    assert answer["etag"].endswith(f'-{len(body):x}-{coding}"')
    again = ask(site, "/static/app.js", {"Accept-Encoding": accept, "If-None-Match": answer["etag"]})
    assert (again.status, again["etag"], again["vary"]) == (304, answer["etag"], "Accept-Encoding")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/static/app.js", ""),
        ("/static/app.js", "identity"),
        ("/static/app.js", "gzip;q=0, br;q=0.0, zstd;q=0.000"),
        ("/static/app.js", "gzip;q=0.5, identity"),
        ("/static/app.js", "br;q=2"),
        ("/static/photo.png", "gzip"),
        ("/static/stale.css", "gzip"),
        ("/plain/app.js", "gzip"),
        ("/static/hello.txt", "gzip"),
    ],
)
def test_plain_forms(site: Portway, path: str, accept: str) -> None:
    answer = ask(site, path, {"Accept-Encoding": accept})
    assert answer.status == 200
    assert answer.all("content-encoding") == []


def test_the_tag_of_one_form_is_not_that_of_another(site: Portway) -> None:
    tag = ask(site, "/static/app.js")["etag"]
    assert ask(site, "/static/app.js", {"Accept-Encoding": "br", "If-None-Match": tag}).status == 200


def test_cache_rules(site: Portway) -> None:
    assert ask(site, "/static/style.8f3d2a1b.css")["cache-control"] == IMMUTABLE
    assert ask(site, "/static/app.js")["cache-control"] == "no-cache"
    assert ask(site, "/static/hello.txt")["cache-control"] == "public, max-age=60"
    assert ask(site, "/plain/hello.txt")["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("wanted", "said", "body"),
    [
        ("bytes=0-4", "bytes 0-4/13", b"hello"),
        ("bytes=7-", "bytes 7-12/13", b"world\n"),
        ("bytes=-6", "bytes 7-12/13", b"world\n"),
        ("bytes=-99", "bytes 0-12/13", b"hello, world\n"),
        ("Bytes=12-99999999999999999999999", "bytes 12-12/13", b"\n"),
        ("bytes= 0-0 , 99-", "bytes 0-0/13", b"h"),
    ],
)
def test_one_range(site: Portway, wanted: str, said: str, body: bytes) -> None:
    answer = ask(site, "/static/hello.txt", {"Range": wanted})
    assert (answer.status, answer["content-range"], answer.body) == (206, said, body)


def test_several_ranges(site: Portway) -> None:
    for path, whole in (("/static/hello.txt", b"hello, world\n"), ("/static/big.bin", BIG)):
        middle = len(whole) // 2
        wanted = [(0, 1), (3, middle), (middle + 2, len(whole) - 1)]
        text = ", ".join(f"{first}-{last}" for first, last in wanted)
        answer = ask(site, path, {"Range": f"bytes={text}"})
        assert answer.status == 206
        assert answer.all("content-range") == []
        kind, _, boundary = answer["content-type"].partition("; boundary=")
        assert kind == "multipart/byteranges"
        parts = answer.body.split(b"\r\n--" + boundary.encode())
        assert (parts[0], parts[-1]) == (b"", b"--\r\n")
        for (first, last), part in zip(wanted, parts[1:-1], strict=True):
            head, _, body = part.partition(b"\r\n\r\n")
            assert f"Content-Range: bytes {first}-{last}/{len(whole)}".encode() in head
            assert b"Content-Type: " in head
            assert body == whole[first : last + 1]


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=-",
        "bytes=0-1,1-2",
        "bytes=0-,0-,0-",
        "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 40, 2)),
        "lines=0-1",
        "bytes 0-1",
        "bytes=0-1;x",
        "bytes=--1",
        "bytes=-18446744073709551616,0-",
    ],
)
def test_ranges_that_are_ignored(site: Portway, wanted: str) -> None:
    answer = ask(site, "/static/hello.txt", {"Range": wanted})
    assert (answer.status, answer.body) == (200, b"hello, world\n")


@pytest.mark.parametrize("wanted", ["bytes=13-", "bytes=-0", "bytes=99-100,200-"])
def test_ranges_outside_of_the_file(site: Portway, wanted: str) -> None:
    answer = ask(site, "/static/hello.txt", {"Range": wanted})
    assert (answer.status, answer["content-range"]) == (416, "bytes */13")


def test_conditions(site: Portway) -> None:
    tag = ask(site, "/static/hello.txt")["etag"]
    for fields, status in (
        ({"If-None-Match": tag}, 304),
        ({"If-None-Match": f'"x", W/{tag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"x"', "If-Modified-Since": DATE}, 200),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Match": tag}, 200),
        ({"If-Match": f"W/{tag}"}, 412),
        ({"If-Match": '"x"', "If-None-Match": tag}, 412),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 412),
        ({"If-Match": tag, "If-Unmodified-Since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
        ({"Range": "bytes=0-0", "If-Range": tag}, 206),
        ({"Range": "bytes=0-0", "If-Range": f"W/{tag}"}, 200),
        ({"Range": "bytes=0-0", "If-Range": '"x"'}, 200),
        ({"Range": "bytes=0-0", "If-Range": DATE}, 206),
        ({"Range": "bytes=0-0", "If-Range": "Tue, 14 Nov 2023 22:13:21 GMT"}, 200),
        ({"Range": "bytes=99-", "If-None-Match": tag}, 304),
    ):
        for method in ("GET", "HEAD"):
            answer = ask(site, "/static/hello.txt", fields, method)
            assert answer.status == (200 if status == 206 and method == "HEAD" else status), (fields, method)
            if status == 304:
                assert answer["etag"] == tag
                assert answer.all("content-length") == answer.all("content-type") == []


def test_many_on_one_connection(site: Portway) -> None:
    """Files, redirects, refusals and the application, one after the other and all at once."""
    paths = [
        "/static/hello.txt",
        "/static/nothing",
        "/hello",
        "/old/x",
        "/static/big.bin",
        "/static/%zz",
        "/hello",
    ]
    statuses = [200, 404, 200, 301, 200, 400, 200]
    with Wire(site.address) as wire:
        assert [ask_on(wire, path).status for path in paths] == statuses
        wire.send(b"".join(GET % path.encode() for path in paths * 5))
        assert [wire.final().status for _ in paths * 5] == statuses * 5
        for byte in bytes_of("/static/hello.txt"):
            wire.send(bytes((byte,)))
        assert wire.final().body == b"hello, world\n"


def test_a_body_that_nobody_wants(site: Portway) -> None:
    with Wire(site.address) as wire:
        for body in (b"x", b"x" * 20000):
            assert ask_on(wire, "/static/hello.txt", method="POST", body=body).status == 405
            assert ask_on(wire, "/static/hello.txt", body=body).body == b"hello, world\n"
        wire.send(
            bytes_of("/static/hello.txt", {"Transfer-Encoding": "chunked"}), b"3\r\nabc\r\n", b"0\r\n\r\n"
        )
        assert wire.final().status == 200
        wire.send(bytes_of("/static/hello.txt", {"Expect": "100-continue", "Content-Length": "3"}))
        answer = wire.final()
        assert (answer.status, answer.closes) == (200, True)


def test_http_1_0(site: Portway) -> None:
    with Wire(site.address) as wire:
        wire.send(b"GET /static/hello.txt HTTP/1.0\r\n\r\n")
        assert wire.final().body == b"hello, world\n"
        wire.end()


def test_a_big_file_to_a_reader_that_takes_its_time(site: Portway) -> None:
    with Wire(site.address, receive_buffer=4096) as slow, Wire(site.address) as other:
        slow.send(bytes_of("/static/big.bin"), bytes_of("/static/hello.txt"))
        for _ in range(20):
            assert ask_on(other, "/static/hello.txt").body == b"hello, world\n"
            assert ask_on(other, "/hello").body == b"hello"
        assert slow.final().body == BIG
        assert slow.final().body == b"hello, world\n"
