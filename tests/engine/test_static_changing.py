"""Folders and files that change, vanish, are unreadable or are something else, while they are served."""

from __future__ import annotations

import os
import re
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.static_site import BIG, ask, ask_on, bytes_of, serve_site, write
from tests.engine.wire import Ended, Response, Wire
from tests.support.processes import Portway
from tests.support.waiting import wait_until

WAYS = ("wsgi-epoll", "wsgi-poll", "asgi-epoll", "asgi-poll")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Return a way to run."""
    return str(request.param)


def until_answered(server: Portway, path: str, wanted: Callable[[Response], bool]) -> Response:
    """Ask until an answer is right; return it."""
    answers: list[Response] = []

    def right() -> bool:
        answers[:] = [ask(server, path)]
        return wanted(answers[0])

    wait_until(right, f"right answer to {path}")
    return answers[0]


def test_a_folder_that_goes_and_comes(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        static = tmp_path / "static"
        assert ask(server, "/static/hello.txt").status == 200
        static.rename(tmp_path / "old")
        until_answered(server, "/static/hello.txt", lambda answer: answer.status == 404)
        assert ask(server, "/static/hello.txt").body == b"404 Not Found\n"
        server.wait_for(r"warning: no files from '.*static': No such file or directory")
        # another folder in its place is seen at once where something is missing, else soon
        write(tmp_path / "new" / "fresh.txt", b"fresh")
        (tmp_path / "new").rename(static)
        assert ask(server, "/static/fresh.txt").body == b"fresh"
        (tmp_path / "old" / "hello.txt").unlink()
        write(static / "hello.txt", b"another")
        until_answered(server, "/static/hello.txt", lambda answer: answer.body == b"another")
        assert len(re.findall("no files from", server.log)) == 1
        assert server.stop() == 0


def test_a_link_to_the_release(way: str, tmp_path: Path) -> None:
    """What most deployments do: a symbolic link that is replaced by another one, at once."""
    for release in ("1", "2"):
        write(tmp_path / release / "version", release.encode())
    (tmp_path / "now").symlink_to("1")
    with serve_site(way, tmp_path, routes='[[routes]]\npath = "/*"\nstatic = "now"\n') as server:
        server.ready()
        assert ask(server, "/version").body == b"1"
        (tmp_path / "next").symlink_to("2")
        (tmp_path / "next").replace(tmp_path / "now")
        until_answered(server, "/version", lambda answer: answer.body == b"2")


def test_a_file_that_shrinks_while_it_is_sent(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        for path in ("/static/big.bin", "/static/big.bin?range"):
            big = write(tmp_path / "static" / "big.bin", BIG * 4)
            fields = {"Range": "bytes=0-,"} if path.endswith("range") else {}
            with Wire(server.address, receive_buffer=4096) as wire:
                wire.send(bytes_of(path, fields), bytes_of("/static/hello.txt"))
                wire.more()
                os.truncate(big, 1000)
                with pytest.raises(Ended):
                    wire.final()
                assert b"hello, world" not in wire.received
        assert ask(server, "/static/hello.txt").status == 200


def test_a_file_that_grows_while_it_is_sent(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        big = write(tmp_path / "static" / "big.bin", BIG)
        with Wire(server.address, receive_buffer=4096) as wire:
            wire.send(bytes_of("/static/big.bin"), bytes_of("/static/hello.txt"))
            wire.more()
            with big.open("ab") as file:
                file.write(b"more" * 1000)
            assert wire.final().body == BIG
            assert wire.final().body == b"hello, world\n"


def test_a_file_that_is_replaced_while_it_is_sent(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        with Wire(server.address, receive_buffer=4096) as wire:
            wire.send(bytes_of("/static/big.bin"))
            wire.more()
            write(tmp_path / "next", b"small").replace(tmp_path / "static" / "big.bin")
            assert wire.final().body == BIG
            assert ask_on(wire, "/static/big.bin").body == b"small"


def test_a_young_file_has_no_strong_tag(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        path = write(tmp_path / "static" / "young.txt", b"young", int(time.time()) + 100)
        answer = ask(server, "/static/young.txt")
        assert answer["etag"].startswith('W/"')
        assert answer["last-modified"] == answer["date"]
        wanted = {"Range": "bytes=0-1", "If-Range": answer["etag"]}
        assert ask(server, "/static/young.txt", wanted).status == 200
        assert ask(server, "/static/young.txt", {"If-None-Match": answer["etag"]}).status == 304
        write(path, b"older")
        assert ask(server, "/static/young.txt")["etag"].startswith('"')


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system in memory")
def test_a_time_that_is_no_date(way: str) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, serve_site(way, Path(folder)) as server:
        workers = server.ready().workers()
        path = Path(folder) / "static" / "hello.txt"
        for changed in (-1, -(10**12), -(2**60), 2**60):
            os.utime(path, (changed, changed))
            answer = ask(server, "/static/hello.txt")
            assert answer.status == 200
            said = "Thu, 01 Jan 1970 00:00:00 GMT" if changed < 0 else answer["date"]
            assert answer["last-modified"] == said
        assert server.workers() == workers


def test_what_is_no_file(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        os.mkfifo(tmp_path / "static" / "fifo")
        assert ask(server, "/static/fifo").status == 404
        os.mkfifo(tmp_path / "static" / "app.js.fifo")
        (tmp_path / "static" / "hello.txt.br").mkdir()
        answer = ask(server, "/static/hello.txt", {"Accept-Encoding": "br"})
        assert (answer.body, answer.all("content-encoding")) == (b"hello, world\n", [])
        (tmp_path / "static" / "bare" / "index.html").mkdir()
        assert ask(server, "/static/bare/").status == 404


def test_what_may_not_be_read(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        (tmp_path / "static" / "hello.txt").chmod(0)
        if os.geteuid() == 0:  # root may read everything
            assert ask(server, "/static/hello.txt").status == 200
            return
        assert ask(server, "/static/hello.txt").status == 403
        server.wait_for(r"warning: cannot open 'hello.txt' in '.*static': Permission denied")


def test_no_descriptor_left(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        (worker,) = server.ready().workers()
        with Wire(server.address) as wire:
            assert ask_on(wire, "/static/hello.txt").status == 200
            before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
            used = {int(fd.name) for fd in Path(f"/proc/{worker}/fd").iterdir()}
            free = next(number for number in range(1000) if number not in used)
            resource.prlimit(worker, resource.RLIMIT_NOFILE, (free, before[1]))
            answer = ask_on(wire, "/static/hello.txt")
            assert (answer.status, answer["retry-after"]) == (503, "1")
            resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
            assert ask_on(wire, "/static/hello.txt").status == 200
        server.wait_for("warning: cannot open 'hello.txt' in .*: Too many open files")


def test_nothing_stays_open(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        (worker,) = server.ready().workers()
        ask(server, "/static/hello.txt")
        folder = Path(f"/proc/{worker}/fd")
        many = {
            "/static/big.bin": {"Range": "bytes=0-1,3-4"},
            "/static/app.js": {"Accept-Encoding": "gzip"},
            "/static/hello.txt": {"If-None-Match": "*"},
            "/static/sub": {},
            "/static/sub/": {},
            "/static/bare/": {},
            "/static/big.bin?": {"Range": "bytes=99999999-"},
            "/static/big.bin?x": {},
            "/static/big.bin?y": {"If-Match": '"x"'},
        }
        with Wire(server.address) as wire:
            ask_on(wire, "/static/hello.txt")
            before = len(list(folder.iterdir()))
            for _ in range(5):
                for path, fields in many.items():
                    ask_on(wire, path, fields)
                    ask_on(wire, path, fields, "HEAD")
            assert len(list(folder.iterdir())) == before
        for _ in range(5):  # clients that leave in the middle
            with Wire(server.address, receive_buffer=4096) as wire:
                wire.send(bytes_of("/static/big.bin", {"Range": "bytes=0-2000000,3000000-"}))
                wire.more()
        wait_until(lambda: len(list(folder.iterdir())) <= before, "descriptors closed")


def test_a_drain_lets_a_file_be_read_to_its_end(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path) as server:
        server.ready()
        with Wire(server.address, receive_buffer=4096) as wire:
            wire.send(bytes_of("/static/big.bin"))
            wire.more()
            server.send(15)
            server.wait_for("stopping gracefully")
            assert wire.final().body == BIG
            wire.end()
        assert server.exit_code() == 0


def test_the_access_log(way: str, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    args = ("--access-log", str(log), "--access-log-format", "%(s)s %(r)s %(B)s %(h)s")
    with serve_site(way, tmp_path, *args, "--forwarded-allow-ips", "127.0.0.1") as server:
        server.ready()
        ask(server, "/static/hello.txt?q", {"X-Forwarded-For": "192.0.2.7"})
        ask(server, "/static/nothing", method="HEAD")
        ask(server, "/old/x")
        assert server.stop() == 0
    lines = log.read_text().splitlines()
    assert lines[0] == "200 GET /static/hello.txt?q HTTP/1.1 13 192.0.2.7"
    assert lines[1].startswith("404 HEAD /static/nothing HTTP/1.1 0 ")
    assert lines[2].startswith("301 GET /old/x HTTP/1.1 0 ")


def test_request_ids(way: str, tmp_path: Path) -> None:
    with serve_site(way, tmp_path, "--request-id", "X-Request-Id") as server:
        server.ready()
        assert ask(server, "/static/hello.txt", {"X-Request-Id": "given"})["x-request-id"] == "given"
        assert len(ask(server, "/static/hello.txt")["x-request-id"]) == 32
