"""`portway.testing` as a user's test suite has it, with the clients that one has."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import requests

import portway
from portway.testing import running
from tests.embedding.apps import Recorder, wsgi_app

SUITE = """
import asyncio, threading
import pytest, requests
from flask import Flask, request
from fastapi import FastAPI
import portway
from portway.testing import running

flask = Flask(__name__)
@flask.post("/double")
def double():
    return {"doubled": request.get_json()["number"] * 2}
@flask.get("/broken")
def broken():
    raise RuntimeError("of the application")

fastapi = FastAPI()
@fastapi.get("/hello/{name}")
async def hello(name: str):
    return {"hello": name}

@pytest.fixture(scope="module")
def url():
    with running(flask, threads=2) as url:
        yield url

def test_with_flask(url):
    assert requests.post(f"{url}/double", json={"number": 21}).json() == {"doubled": 42}

def test_the_same_server(url):
    assert requests.get(f"{url}/nothing").status_code == 404

def test_with_the_fixture(portway_server):
    one, two = portway_server(flask), portway_server(fastapi)
    assert one != two
    assert requests.get(f"{two}/hello/you").json() == {"hello": "you"}
    assert requests.get(f"{one}/broken").status_code == 500

def test_several_clients_at_once(portway_server):
    url, answers = portway_server(fastapi), []
    def ask(number):
        with requests.Session() as client:
            for _ in range(5):
                answers.append(client.get(f"{url}/hello/{number}").json()["hello"] == str(number))
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert answers == [True] * 40

def test_async():
    async def main():
        async with portway.testing.running(fastapi) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(b"GET /hello/loop HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
            assert (await reader.read()).endswith(b'{"hello":"loop"}')
            writer.close()
            await writer.wait_closed()
    asyncio.run(main())

def test_that_fails(portway_server):
    requests.get(f"{portway_server(flask)}/broken")
    pytest.fail("to see what the server said")
"""


def suite(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a test suite of a user's project."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_suite_of_a_project(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["portway.testing.fixtures"]\n')
    (tmp_path / "test_site.py").write_text(SUITE)
    done = suite(tmp_path)
    assert "5 passed" in done.stdout and "1 failed" in done.stdout, done.stdout + done.stderr
    # a test that fails shows what the application raised
    assert "RuntimeError: of the application" in done.stdout
    assert "FAILED test_site.py::test_that_fails" in done.stdout


def test_the_fixture_costs_nothing_until_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["portway.testing.fixtures"]\n')
    (tmp_path / "test_none.py").write_text(
        "import sys\ndef test_it():\n    assert 'portway.config' not in sys.modules\n"
    )
    done = suite(tmp_path)
    # `portway.testing` is the package that the fixtures stand in
    assert "1 passed" in done.stdout, done.stdout


def test_with_the_standard_library() -> None:
    with running(wsgi_app) as url, urllib.request.urlopen(url, timeout=20) as answer:
        assert answer.read().startswith(b"wsgi http")


def test_an_open_connection_of_the_test_does_not_hold_it_up() -> None:
    record = Recorder()
    with requests.Session() as client:
        with running(record) as url:
            assert client.get(url, timeout=20).status_code == 200
        with pytest.raises(requests.ConnectionError):
            client.get(url, timeout=20)
    assert record.events == ["startup", "shutdown"]


def test_a_test_that_fails_still_ends_its_server() -> None:
    record = Recorder()
    with pytest.raises(ZeroDivisionError), running(record):
        _ = 1 / 0
    assert record.events == ["startup", "shutdown"]


def test_async_and_threads_side_by_side() -> None:
    record = Recorder()

    async def main() -> str:
        async with running(record) as one, running(wsgi_app) as two:
            first, second = await asyncio.gather(
                *(asyncio.to_thread(requests.get, url, timeout=20) for url in (one, two))
            )
        return f"{first.text} {second.text}"

    assert asyncio.run(main()).startswith("asgi http state wsgi http")
    assert record.events == ["startup", "shutdown"]


def test_the_package_leads_there() -> None:
    assert portway.testing.running is running
