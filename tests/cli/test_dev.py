"""`portway dev` as its users run it: real processes, files that are saved, requests on real sockets."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.support.client import Client, get
from tests.support.developing import ASGI, PAGE, WSGI, Project, page, wait_for_watcher, wait_for_word
from tests.support.processes import COMMAND, DEADLINE_S, Portway
from tests.support.waiting import wait_until

SOURCES = {"wsgi": WSGI, "asgi": ASGI}


@pytest.fixture(params=SOURCES)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """A project of each interface."""
    return Project(tmp_path, SOURCES[request.param])


def state(server: Portway) -> bytes:
    return page(server.address, "/_portway/dev/state").body


def test_serves_what_the_folder_holds(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        server.wait_for(r"^portway dev: app:app \((WSGI|ASGI), app.py line \d+\)$")
        assert get(server.address).body == b"<title>one</title>one"
        assert server.address[0] == "127.0.0.1"
        server.wait_for(r"^GET / 200 \d+ ms$")
        assert server.stop() == 0


def test_a_save_is_served(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        for word in ("two", "six", "ten"):  # of one size, within one second
            project.save(word)
            wait_for_word(server.address, word)
        assert "reload: app.py changed" in server.log
        assert " error: " not in server.log


def test_the_last_good_version_goes_on_and_pages_show_the_error(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        project.break_it()
        server.wait_for("error: generation .* keeps serving: ")
        shown = page(server.address)
        assert shown.status == 500
        assert b"RuntimeError: &lt;b&gt;broken&lt;/b&gt;" in shown.body
        assert b"raise RuntimeError(&#x27;&lt;b&gt;broken&lt;/b&gt;&#x27;)" in shown.body
        assert b"<b>" not in shown.body
        assert shown.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in shown.headers["content-security-policy"]
        for fields in ({"Accept": "*/*"}, {"Sec-Fetch-Dest": "image"}, {"Accept": "application/json"}):
            assert page(server.address, "/", fields).body == b"<title>one</title>one"
        project.save("two")
        wait_for_word(server.address, "two")
        assert b'"broken":false' in state(server)


def test_no_version_was_ever_good(project: Project) -> None:
    project.break_it()
    with project.dev() as server:
        server.wait_for("error: the application cannot start: ")
        server.ready()
        assert b"RuntimeError: &lt;b&gt;broken" in page(server.address).body
        plain = page(server.address, "/", {"Accept": "*/*"})
        assert plain.status == 500
        assert b"RuntimeError: <b>broken</b>" in plain.body
        assert plain.headers["content-type"] == "text/plain; charset=utf-8"
        other = page(server.address, "/", {"Host": "evil.example"})
        assert (other.status, b"RuntimeError" in other.body) == (500, False)
        wait_for_watcher(server, project)
        project.save("two")
        wait_for_word(server.address, "two")
        project.break_it()
        server.wait_for("error: generation .* keeps serving: ")
        assert b"RuntimeError" in page(server.address).body
        assert page(server.address, "/", {"Accept": "*/*"}).body == b"<title>two</title>two"


def test_a_syntax_error_and_one_after_it(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        project.write("app.py", "app = (")
        wait_until(lambda: b"SyntaxError" in page(server.address).body, "page with the syntax error")
        first = state(server)
        project.write("app.py", "import no_such_module")
        wait_until(lambda: b"no_such_module" in page(server.address).body, "page with the import error")
        assert state(server) != first


def test_an_application_that_ends_its_process(tmp_path: Path) -> None:
    project = Project(tmp_path, "import os\nos._exit(7)  # {0}")
    with project.dev("app:app") as server:
        server.wait_for("error: the application cannot start: worker .* ended before it was ready")
        server.ready()
        assert b"ended before it was ready" in page(server.address).body


def test_what_the_application_raises_is_shown(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        shown = page(server.address, "/raise")
        assert shown.status == 500
        assert b"ValueError: &lt;/script&gt;&lt;script&gt;document.title" in shown.body
        assert b"</script><script>" not in shown.body
        assert b"raise ValueError(" in shown.body
        assert b"portway/server" not in shown.body
        plain = page(server.address, "/raise", {"Accept": "*/*"})
        assert plain.headers["content-type"] == "text/plain; charset=utf-8"
        assert b"ValueError: </script>" in plain.body
        server.wait_for("error: the application failed at GET /raise", count=2)


@pytest.mark.parametrize(
    "fields",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "evil.example:8000"},
        {"Host": "localhost", "X-Forwarded-For": "127.0.0.1"},
        {"Host": "localhost", "X-Forwarded-Proto": "https"},
        {"Host": "localhost", "X-Real-IP": "127.0.0.1"},
        {"Host": "localhost", "Via": "1.1 tunnel"},
    ],
)
def test_strangers_see_nothing(project: Project, fields: dict[str, str]) -> None:
    with project.dev() as server:
        server.ready()
        answer = page(server.address, "/raise", fields)
        assert answer.status == 500
        assert b"ValueError" not in answer.body
        assert b"edition" not in page(server.address, "/_portway/dev/state", fields).body
        wait_for_watcher(server, project)
        project.break_it()
        server.wait_for("error: generation .* keeps serving: ")
        assert page(server.address, "/", fields).body == b"<title>one</title>one"


def test_a_tunnel_is_seen_whatever_proxies_production_trusts(project: Project) -> None:
    project.write("portway.toml", 'app = "app:app"\nforwarded-allow-ips = ["10.0.0.0/8"]\n')
    with project.dev() as server:
        server.ready()
        fields = {"Host": "localhost", "X-Forwarded-For": "192.0.2.1"}
        assert b"ValueError" not in page(server.address, "/raise", fields).body
        assert b"ValueError" in page(server.address, "/raise").body


def test_a_unix_socket_is_no_browser(project: Project) -> None:
    with project.dev("--bind", "unix:dev.sock") as server:
        server.ready()
        path = str(project.folder / "dev.sock")
        assert b"ValueError" not in page(path, "/raise").body
        assert page(path, "/_portway/dev/state").body == b"<title>one</title>one"


def test_production_has_no_such_paths(project: Project) -> None:
    with Portway("app:app", cwd=project.folder) as server:
        server.ready()
        assert page(server.address, "/_portway/dev/state").body == b"<title>one</title>one"
        assert page(server.address, "/_portway/dev/last-good?to=/x").status == 200
        assert b"ValueError" not in page(server.address, "/raise").body


def test_the_last_good_version_can_be_asked_for(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        project.break_it()
        server.wait_for("error: generation .* keeps serving: ")
        link = page(server.address, "/a/b?c=d&e=%2F").body.partition(b'href="')[2].partition(b'"')[0].decode()
        answer = page(server.address, link)
        assert (answer.status, answer.headers["location"]) == (303, "/a/b?c=d&e=%2F")
        cookie = answer.headers["set-cookie"].partition(";")[0]
        assert page(server.address, "/", {"Cookie": f"a=b; {cookie}"}).body == b"<title>one</title>one"
        project.write("app.py", "another mistake")
        server.wait_for("error: generation .* keeps serving: ", count=2)
        assert page(server.address, "/", {"Cookie": cookie}).status == 500
    with project.dev() as again:
        again.ready()
        assert page(again.address, "/", {"Cookie": cookie}).status == 500


def test_it_follows_to_no_other_server(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        for to in ("//evil", "/%5Cevil", "https://evil", "/a%0d%0aX:%20y", "", "%2F%2Fevil", "/%09/evil"):
            answer = page(server.address, f"/_portway/dev/last-good?to={to}")
            assert (answer.status, answer.headers["location"]) == (303, "/")


def test_production_settings_are_left_aside(project: Project) -> None:
    project.write(
        "portway.toml",
        'app = "app:app"\nbind = "0.0.0.0:1"\nworkers = 4\nuser = "nobody"\npid = "run/none.pid"\n'
        'certfile = "no.pem"\nkeyfile = "no.pem"\naccess-log = "no/such.log"\nthreads = 2\n',
    )
    with project.dev() as server:
        server.ready()
        assert "portway dev:" not in server.log
        server.wait_for("with 1 worker (of 2 threads|on )")
        assert get(server.address).status == 200


def test_the_first_free_port(project: Project) -> None:
    with Portway("", command=[*COMMAND, "dev", "app:app"], cwd=project.folder) as first:
        host, port = first.ready().address
        assert host == "127.0.0.1"
        assert port >= 8000
        with Portway("", command=[*COMMAND, "dev", "app:app"], cwd=project.folder) as second:
            assert second.ready().address[1] > port
            second.wait_for(rf"port 8000 is in use, so this is {second.address[1]}")


def test_port_of_the_environment_stays_on_the_loopback(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Portway("", command=[*COMMAND, "dev"], cwd=project.folder, env={"PORT": str(port)}) as server:
        assert server.ready().address == ("127.0.0.1", port)


def test_requests_under_way_end(tmp_path: Path) -> None:
    slowly = "    print('begun', file=sys.stderr, flush=True)\n    threading.Event().wait(1)\n"
    source = "import sys, threading\n" + WSGI.replace("    start_response(", slowly + "    start_response(")
    project = Project(tmp_path, source)
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        with Client(server.address) as client:
            client.request("/", PAGE)
            server.wait_for("^begun")
            project.save("two")
            server.wait_for("reload: .*app.py")
            assert client.answer().body == b"<title>one</title>one"
        wait_for_word(server.address, "two")


def test_the_configuration_can_break_and_be_mended(project: Project) -> None:
    project.write("portway.toml", 'app = "app:app"\n')
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        project.write("portway.toml", 'app = "app:app"\nthread = 3\n')
        server.wait_for("error: reload: refused, the present configuration stays: unknown key 'thread'")
        assert b"unknown key &#x27;thread&#x27;" in page(server.address).body
        project.write("portway.toml", 'app = "app:app"\nthreads = 3\n')
        wait_until(lambda: page(server.address).status == 200, "page again")


def test_a_configuration_that_is_written_meanwhile(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        wait_for_watcher(server, project)
        project.write("portway.toml", 'app = "app:app"\n[[routes]]\npath = "/old"\nredirect = "/new"\n')
        wait_until(lambda: page(server.address, "/old").status == 308, "route")


def test_interrupted_it_ends_in_order(project: Project) -> None:
    with project.dev() as server:
        server.ready()
        assert server.stop(signal.SIGINT) == 0


def test_nothing_to_serve(run: Run) -> None:
    outcome = run("dev")
    assert outcome.code == 1
    assert "error: no application was found in " in outcome.err
    assert "hint: name it: `portway dev module:attr`" in outcome.err


@pytest.mark.parametrize("flag", [["--stream"], ["--memory", "512"], ["--environments", "3"], ["-e", "A=b"]])
def test_what_only_lambda_has(run: Run, flag: list[str]) -> None:
    outcome = run("dev", "app:app", *flag)
    assert outcome.code == 1
    assert "needs --as lambda" in outcome.err


def test_the_local_stage(tmp_path: Path) -> None:
    source = (
        "import os\ndef app(environ, start_response):\n    start_response('200 OK', [])\n"
        "    return [(os.environ['PLACE'] + ' {0}').encode()]\n"
    )
    project = Project(tmp_path, source)
    project.write(
        "portway.toml",
        'app = "app:app"\naccess-log = "no/such.log"\nenv = { PLACE = "base" }\n'
        '[stages.local]\nlog-level = "debug"\nenv = { PLACE = "local" }\n'
        '[stages.prod]\nenv = { PLACE = "prod" }\nbind = "0.0.0.0:1"\n',
    )
    with project.dev() as server:
        server.ready()
        assert get(server.address).body == b"local one"
    with project.dev("--stage", "prod") as server:
        server.ready()
        assert get(server.address).body == b"prod one"


def read_terminal(environ: dict[str, str], folder: Path) -> str:
    """Run `portway dev` on a terminal, ask it twice, and return what it wrote."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", **environ}
    command = [*COMMAND, "dev", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    ) as process:
        os.close(theirs)
        text = ""

        def read_until(mark: str) -> re.Match[str]:
            nonlocal text
            deadline = time.monotonic() + DEADLINE_S
            while not (match := re.search(mark, text)):
                assert select.select([ours], [], [], deadline - time.monotonic())[0], text
                text += os.read(ours, 65536).decode()
            return match

        try:
            port = int(read_until(r"listening on http://127.0.0.1:(\d+)\s")[1])
            read_until("serving ")
            get(("127.0.0.1", port), "/%1B[31m%22red")
            page(("127.0.0.1", port), "/raise")
            read_until(r"/raise .*\d+ ms")
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
            os.close(ours)
    return text


def test_the_access_log_has_colours_on_a_terminal(project: Project) -> None:
    text = read_terminal({}, project.folder)
    assert re.search(r"\x1b\[2mGET\x1b\[0m /%1B\[31m%22red \x1b\[32m200\x1b\[0m \x1b\[2m\d+ ms\x1b\[0m", text)
    assert re.search(r"/raise \x1b\[31m500\x1b\[0m", text)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_the_access_log_has_none_where_none_are_wanted(project: Project, environ: dict[str, str]) -> None:
    text = read_terminal(environ, project.folder)
    assert re.search(r"GET /raise 500 \d+ ms", text)
    assert "\x1b" not in text
