"""What the arbiter of `portway dev` posts for its workers, and who may see it."""

from __future__ import annotations

import os

import pytest

from portway.server.developing.bulletin import MOST_CHARACTERS, Bulletin, Problem
from portway.server.developing.visitors import is_loopback_host, way_back


def test_what_is_posted_is_read_by_a_fork() -> None:
    bulletin = Bulletin()
    first = bulletin.read()
    assert first.problem is None
    reading, writing = os.pipe()
    go, wait = os.pipe()
    child = os.fork()
    if child == 0:  # a worker: only reads
        os.read(go, 1)
        notice = bulletin.read()
        os.write(writing, f"{notice.generation} {notice.problem and notice.problem.text}".encode())
        os._exit(0)
    bulletin.post(7, Problem("wrong \udcff"))
    os.write(wait, b"x")
    assert os.read(reading, 1000) == b"7 wrong \\udcff"
    os.waitpid(child, 0)
    for descriptor in (reading, writing, go, wait):
        os.close(descriptor)
    assert bulletin.read().edition > first.edition


def test_each_server_has_numbers_of_its_own() -> None:
    assert Bulletin().read().edition > 10**12


@pytest.mark.parametrize("letter", ["x", "\x00", "\udcff", "ü", "\U0001f600"])
def test_long_texts_are_cut(letter: str) -> None:
    bulletin = Bulletin()
    long = letter * 10 * MOST_CHARACTERS + "end"
    bulletin.post(1, Problem(long, long, long, long))
    problem = bulletin.read().problem
    assert problem is not None
    assert problem.details.endswith("end")
    assert problem.frames == ""


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:8000",
        "app.localhost:1",
        "127.0.0.1",
        "127.8.9.1:80",
        "[::1]",
        "[::1]:8000",
        "localhost.",
    ],
)
def test_names_of_this_machine(host: str) -> None:
    assert is_loopback_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost.evil",
        "evil",
        "127.0.0.1.evil",
        "notlocalhost",
        "192.168.0.1",
        "[::2]",
        "0.0.0.0",
        "::1",
        "localhost:",
        "localhost@evil",
        "localhost/evil",
        "localhost, evil",
        "127.1\n",
        "[::ffff:8.8.8.8]",
    ],
)
def test_names_of_others(host: str) -> None:
    assert not is_loopback_host(host)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("to=/a/b", "/a/b"),
        ("to=%2Fa%3Fb%3Dc", "/a?b=c"),
        ("to=//evil", "/"),
        ("to=/%5Cevil", "/"),
        ("to=/a%5C..%5Cb", "/"),
        ("to=/a%0D%0AX", "/"),
        ("to=https://evil", "/"),
        ("to=/a&to=/b", "/"),
        ("to=/%C3%BC", "/"),
        ("", "/"),
    ],
)
def test_the_way_back(query: str, path: str) -> None:
    assert way_back(query) == path
