"""Several applications in one server: by their routes, each below its root path, of one kind or of both."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.site.mounts import enter_environ, enter_scope
from tests.site.serving import ask, mounted, route, serve_site, told
from tests.support.certificates import certificate
from tests.support.client import Answer, Client, ConnectionLost, get
from tests.support.load import Load
from tests.support.processes import APPS as SUPPORT_APPS
from tests.support.processes import Portway
from tests.support.waiting import Gate, wait_until

SITE = (mounted("/w/*", "wsgi"), mounted("/a/*", "asgi"), mounted("/b/*", "second"))
# Main application, poller, event loop; whichever it is, some requests change the engine.
WAYS = (
    "wsgi-epoll",
    "wsgi-poll",
    "asgi-epoll",
    "asgi-poll",
    "wsgi-epoll-uvloop",
    "wsgi-poll-uvloop",
    "wsgi-epoll-tls",
)


def serve_mixed(folder: Path, way: str = "wsgi-epoll", *args: str) -> Portway:
    main, poller, *further = way.split("-")
    args += ("--loop", "uvloop") if "uvloop" in further else ()
    args += ("--certfile", str(certificate("portway.test").pem)) if "tls" in further else ()
    return serve_site(folder, *SITE, app=main, args=args, PORTWAY_POLLER=poller)


@pytest.fixture(scope="module", params=WAYS)
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portway]:
    with serve_mixed(tmp_path_factory.mktemp("site"), request.param) as server:
        (worker,) = server.ready().workers()
        yield server
        assert server.workers() == [worker], server.log
        assert server.stop() == 0
        assert "failed at" not in server.log, server.log


# -- root paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "path", "uri", "expected"),
    [
        ("", "/api/x", "/api/x", ("/api", "/x")),
        ("", "/api/", "/api/", ("/api", "/")),
        ("/base", "/api/x", "/base/api/x", ("/base/api", "/x")),
        ("/api", "/x", "/api/x", ("/api", "/x")),
        ("", "/y/../api/x", "/y/../api/x", ("/api", "/x")),
        ("", "/api/../api/x", "/api/../api/x", ("/api", "/x")),
        ("", "/api/a/../b", "/api/a/%2e%2e/b?q", ("/api", "/b")),
        ("", "/api/a/%2e%2e/b", "/api/a/%252e%252e/b", ("/api", "/a/%2e%2e/b")),
        ("", "/api/.well-known/..a/b.", "/api/.well-known/..a/b.", ("/api", "/.well-known/..a/b.")),
        ("", "/y/../api/x", "http://h/y/../api/x", ("/api", "/x")),
        ("", "//api/x", "http://h//api/x", ("/api", "/x")),
        ("/base", "/api/a/../b", "/api/a/../b", ("/base/api", "/b")),
        ("/api", "/a/../b", "/api/a/../b", ("/api", "/b")),
    ],
)
def test_an_environ_has_the_root_path_as_script_name(
    script: str, path: str, uri: str, expected: tuple[str, str]
) -> None:
    environ = {"SCRIPT_NAME": script, "PATH_INFO": path, "RAW_URI": uri}
    enter_environ(environ, "/api")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == expected


def test_at_the_root_an_application_of_a_route_sees_the_path_that_chose_it() -> None:
    environ = {"SCRIPT_NAME": "", "PATH_INFO": "/admin/../public.txt", "RAW_URI": "/admin/%2e./public.txt"}
    enter_environ(environ, "")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/public.txt")
    scope: dict[str, Any] = {
        "root_path": "",
        "path": "/admin/../public.txt",
        "raw_path": b"/admin/../public.txt",
    }
    enter_scope(scope, "")
    assert (scope["root_path"], scope["path"]) == ("", "/public.txt")


def test_a_root_path_beyond_ascii_is_told_as_pep_3333_has_it() -> None:
    environ = {"SCRIPT_NAME": "", "PATH_INFO": "/caf\xc3\xa9/x", "RAW_URI": "/caf%C3%A9/x"}
    enter_environ(environ, "/café")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/caf\xc3\xa9", "/x")


@pytest.mark.parametrize(
    ("before", "path", "raw", "expected"),
    [
        ("", "/api/x", b"/api/x", ("/api", "/api/x")),
        ("/base", "/base/api/x", b"/base/api/x", ("/base/api", "/base/api/x")),
        ("/api", "/api/x", b"/api/x", ("/api", "/api/x")),
        ("", "/y/../api/x", b"/y/../api/x", ("/api", "/api/x")),
        ("", "/api/a/../b", b"/api/a/%2e%2e/b", ("/api", "/api/b")),
        ("/base", "/base/api/a/../b", b"/api/a/../b", ("/base/api", "/base/api/b")),
        ("/base", "/base/api/a/../b", b"/base/api/a/../b", ("/base/api", "/base/api/b")),
    ],
)
def test_a_scope_has_the_root_path_and_keeps_it_in_its_path(
    before: str, path: str, raw: bytes, expected: tuple[str, str]
) -> None:
    scope: dict[str, Any] = {"root_path": before, "path": path, "raw_path": raw}
    enter_scope(scope, "/api")
    assert (scope["root_path"], scope["path"]) == expected


@pytest.mark.parametrize("main", ["wsgi", "asgi"])
def test_applications_of_one_kind_need_one_engine(tmp_path: Path, main: str) -> None:
    other = "other_wsgi" if main == "wsgi" else "second"
    site = (mounted("/api/*", main), mounted("/o/*", other), route("/old/*", redirect="/api/*"))
    with serve_site(tmp_path, *site, app=main) as server:
        server.ready()
        assert "event loop" not in server.log
        with Client(server.address) as client:
            said = ask(client, "/api/x")
            assert (said["root"], said["private"]) == ("/api", [])
            assert ask(client, "/x")["root"] == ""
            assert ask(client, "/api")["root"] == ""
            assert client.get("/old/z").headers["location"] == "/api/z"
            other_answer = client.get("/o/1")
            assert other_answer.body == b"other" if main == "wsgi" else told(other_answer)["name"] == "second"
        assert server.stop() == 0


# -- lifespans ---------------------------------------------------------------------------------------------


def test_an_application_that_is_mounted_twice_has_one_lifespan_and_each_its_own_state(tmp_path: Path) -> None:
    site = (mounted("/a/*", "asgi"), mounted("/b/*", "second"), mounted("/c/*", "asgi"))
    with serve_site(tmp_path, *site, app="asgi") as server:
        server.ready()
        with Client(server.address) as client:
            assert [ask(client, path)["state"] for path in ("/a/", "/b/", "/c/", "/")] == [
                "first", "second", "first", "first",
            ]  # fmt: skip
        assert server.stop() == 0
        said = [line.removeprefix("mounted: ") for line in server.lines if line.startswith("mounted: ")]
        assert said == ["first starts", "second starts", "second ends", "first ends"]


@pytest.mark.parametrize("main", ["asgi", "wsgi"])
def test_a_lifespan_that_fails_ends_the_start_and_the_lifespans_before_it(tmp_path: Path, main: str) -> None:
    site = (mounted("/a/*", "second"), mounted("/b/*", "failing"))
    with serve_site(tmp_path, *site, app=main) as server:
        assert server.exit_code() == 3
        server.wait_for("no database")
        server.wait_for("mounted: second ends")


def test_an_application_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    with serve_site(tmp_path, mounted("/a/*", "nobody"), app="wsgi") as server:
        assert server.exit_code() == 3
        server.wait_for("error: .*nobody")


def test_preloaded_applications_serve(tmp_path: Path) -> None:
    with serve_site(tmp_path, *SITE, app="wsgi", args=("--preload", "--workers", "2")) as server:
        server.ready()
        with Client(server.address) as client:
            assert [ask(client, path)["interface"] for path in ("/a/", "/w/", "/")] == [
                "asgi",
                "wsgi",
                "wsgi",
            ]
        assert server.stop() == 0


@pytest.mark.parametrize("path", ["/", "/a/", "/w/"])
def test_a_ready_check_asks_whichever_application_has_the_path(tmp_path: Path, path: str) -> None:
    with serve_site(tmp_path, *SITE, app="wsgi", args=("--ready-check", path)) as server:
        server.ready()
        assert server.stop() == 0


# -- one connection, two engines ---------------------------------------------------------------------------


def test_requests_of_one_connection_go_to_both_kinds(mixed: Portway) -> None:
    with Client(mixed.address) as client:
        for _ in range(30):
            for path, interface, root in (
                ("/a/x", "asgi", "/a"),
                ("/w/x", "wsgi", "/w"),
                ("/b/x", "asgi", "/b"),
            ):
                said = ask(client, path)
                assert (said["interface"], said["root"], said["private"]) == (interface, root, [])
                assert said["port"] == str(client.sock.getsockname()[1])
                assert said["scheme"] == ("https" if mixed.address.__class__ is not tuple else "http")


def test_pipelined_requests_are_answered_in_their_order(mixed: Portway) -> None:
    paths = ["/a/1", "/w/2", "/w/3", "/b/4", "/a/5", "/w/6"] * 12
    with Client(mixed.address) as client:
        client.send(b"".join(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode() for path in paths))
        answered = [told(client.answer()) for _ in paths]
    assert [(one["root"] + one["path"].removeprefix(one["root"])) for one in answered] == paths


def test_bodies_arrive_whole_on_the_other_side(mixed: Portway) -> None:
    body = b"0123456789" * 20_000
    with Client(mixed.address) as client:
        for path in ("/a/", "/w/", "/a/", "/w/"):
            client.request(path, method="POST", body=body)
            assert told(client.answer())["body"] == body.decode()
            head = b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
            client.send(head + b"5\r\nhello\r\n3\r\n, w\r\n")
            client.send(b"4\r\norld\r\n0\r\n\r\nGET /w/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert told(client.answer())["body"] == "hello, world"
            assert told(client.answer())["interface"] == "wsgi"


def test_expect_100_is_answered_by_the_side_that_takes_the_body(mixed: Portway) -> None:
    with Client(mixed.address) as client:
        for path in (b"/a/", b"/w/"):
            client.send(
                b"POST %b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n" % path
            )
            assert client.interim() == 100
            client.send(b"hello")
            assert told(client.answer())["body"] == "hello"


def test_a_head_in_crumbs_moves_once_it_is_whole(mixed: Portway) -> None:
    with Client(mixed.address) as client:
        for path in (b"/a/x", b"/w/x", b"/a/y"):
            for byte in b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path:
                client.send(bytes((byte,)))
            assert told(client.answer())["interface"] == {b"/a": "asgi", b"/w": "wsgi"}[path[:2]]


def test_a_client_that_has_ended_gets_all_its_answers(mixed: Portway) -> None:
    if mixed.address.__class__ is not tuple:
        return  # half a TLS connection cannot be shut
    with Client(mixed.address) as client:
        client.send(b"".join(b"GET /%b/ HTTP/1.1\r\nHost: a\r\n\r\n" % which for which in (b"a", b"w", b"b")))
        client.sock.shutdown(1)
        assert [told(client.answer())["interface"] for _ in range(3)] == ["asgi", "wsgi", "asgi"]
        assert client.rest() == b""


def test_clients_that_leave_at_any_moment_break_nothing(mixed: Portway) -> None:
    for path in ("/a/?0.05", "/w/?0.05", "/a/", "/w/"):
        for sent in (b"GET /a/ HTTP/1.1\r\nHost: a\r\n\r\n", b""):
            with Client(mixed.address) as client:
                client.send(sent + b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
    with Client(mixed.address) as client:
        assert ask(client, "/a/")["interface"] == "asgi"
        assert ask(client, "/w/")["interface"] == "wsgi"


def test_many_connections_change_sides_at_once(mixed: Portway) -> None:
    clients = [Client(mixed.address) for _ in range(40)]
    try:
        for turn in range(6):
            for number, client in enumerate(clients):
                client.request("/a/" if (number + turn) % 2 else "/w/")
            for number, client in enumerate(clients):
                assert told(client.answer())["interface"] == ("asgi" if (number + turn) % 2 else "wsgi")
    finally:
        for client in clients:
            client.close()


# -- operating ---------------------------------------------------------------------------------------------


def test_term_answers_what_is_in_flight_on_both_sides(tmp_path: Path) -> None:
    with serve_mixed(tmp_path) as server:
        server.ready()
        with Client(server.address) as one, Client(server.address) as two:
            one.request("/a/?1")
            two.request("/w/?1")
            get(server.address, "/a/")
            server.send(signal.SIGTERM)
            server.wait_for("info: stopping gracefully")
            assert told(one.answer())["interface"] == "asgi"
            assert told(two.answer())["interface"] == "wsgi"
        assert server.exit_code() == 0
        server.wait_for("mounted: first ends")


def test_a_quick_stop_ends_both_sides(tmp_path: Path) -> None:
    with serve_mixed(tmp_path) as server:
        server.ready()
        with Client(server.address) as client:
            client.request("/a/?30")
            get(server.address, "/a/")
            assert server.stop(signal.SIGQUIT) == 0
            with pytest.raises(ConnectionLost):
                client.answer()
        server.wait_for("mounted: second ends")


def test_a_reload_drops_no_request_on_either_side(tmp_path: Path) -> None:
    with serve_mixed(tmp_path, "wsgi-epoll", "--workers", "2") as server:
        server.ready()
        with (
            Load(server.address, path="/a/", keep_alive=4) as first,
            Load(server.address, path="/w/", keep_alive=4) as other,
        ):
            for count in (2, 3):
                first.wait_for(100)
                other.wait_for(100)
                server.send(signal.SIGHUP)
                server.ready(count)
            first.wait_for(200)
            other.wait_for(200)
        assert not first.failures + other.failures
        assert server.stop() == 0


def test_idle_connections_of_both_sides_survive_a_reload(tmp_path: Path) -> None:
    with serve_mixed(tmp_path) as server:
        (before,) = server.ready().workers()
        with Client(server.address) as one, Client(server.address) as two:
            assert ask(one, "/a/")["interface"] == "asgi"
            assert ask(two, "/w/")["interface"] == "wsgi"
            server.send(signal.SIGHUP)
            server.ready(2)
            wait_until(lambda: before not in server.workers(), "end of the old worker")
            assert ask(one, "/w/")["interface"] == "wsgi"
            assert ask(two, "/a/")["interface"] == "asgi"
        assert server.stop() == 0


def test_one_that_idles_on_the_other_side_makes_room(tmp_path: Path) -> None:
    with serve_mixed(tmp_path, "wsgi-epoll", "--limit-connections", "2") as server:
        server.ready()
        with Client(server.address) as one, Client(server.address) as two:
            ask(one, "/a/")
            ask(two, "/a/")
            assert told(get(server.address, "/w/"))["interface"] == "wsgi"
        assert server.stop() == 0


def test_a_deadline_holds_on_both_sides(tmp_path: Path) -> None:
    site = (*SITE, mounted("/busy/*", "busy"))
    with serve_site(tmp_path, *site, app="asgi", args=("--timeout", "0.5")) as server:
        server.ready()
        assert get(server.address, "/a/?30").status == 504
        assert get(server.address, "/busy/").status == 504
        assert told(in_time(server, "/a/"))["interface"] == "asgi"
        assert told(in_time(server, "/w/"))["interface"] == "wsgi"
        assert server.stop() == 0


def test_a_loop_that_a_system_call_blocks_answers_when_it_goes_on(tmp_path: Path) -> None:
    gate = Gate(tmp_path / "gate")
    site = (mounted("/w/*", "wsgi"), mounted("/blocks/*", "blocking"))
    with serve_site(tmp_path, *site, app="wsgi", args=("--timeout", "0.5")) as server:
        server.ready()
        with Client(server.address) as client:
            client.request(f"/blocks/?{gate.path}")
            late = "answered 504 when the event loop goes on"
            server.wait_for(rf"error: GET /blocks/ took more than .* s \(--timeout\): {late}$")
            assert told(in_time(server, "/w/"))["interface"] == "wsgi"
            gate.open()
            assert client.answer().status == 504
        assert "the application failed" not in server.log
        assert server.stop() == 0


def in_time(server: Portway, path: str) -> Answer:
    """Return the first answer but 504: a machine that stands still may take a quick one's half second."""
    while (found := get(server.address, path)).status == 504:
        pass
    return found


def test_both_sides_write_the_access_log(tmp_path: Path) -> None:
    with serve_site(tmp_path, *SITE, app="wsgi", args=("--access-log", "access.log")) as server:
        server.ready()
        with Client(server.address) as client:
            for path in ("/a/1", "/w/2", "/a/3"):
                ask(client, path)
        assert server.stop() == 0
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert sorted(line.split('"')[1] for line in lines) == [
        f"GET {p} HTTP/1.1" for p in ("/a/1", "/a/3", "/w/2")
    ]


def test_a_site_without_an_application_answers_404(tmp_path: Path) -> None:
    with serve_site(tmp_path, mounted("/a/*", "asgi")) as server:
        server.ready()
        assert "event loop" not in server.log
        with Client(server.address) as client:
            assert client.get("/").status == 404
            assert ask(client, "/a/")["root"] == "/a"
        assert server.stop() == 0


def test_hooks_hear_of_requests_on_both_sides(tmp_path: Path) -> None:
    hooks = ",".join(
        f"{event}=hooks:{event}" for event in ("pre_request", "post_request", "post_worker_init")
    )
    written = tmp_path / "hooks.txt"
    env = {"HOOKS_FILE": str(written), "PYTHONPATH": str(SUPPORT_APPS)}
    with serve_site(tmp_path, *SITE, app="wsgi", args=("--hooks", hooks), **env) as server:
        server.ready()
        with Client(server.address) as client:
            for path in ("/a/1", "/w/2", "/b/3"):
                ask(client, path)
        assert server.stop() == 0
    events = [line.split()[0] for line in written.read_text().splitlines()]
    assert events == ["post_worker_init", *["pre_request", "post_request"] * 3]


def test_requests_of_both_sides_wear_a_worker_out(tmp_path: Path) -> None:
    with serve_mixed(tmp_path, "wsgi-epoll", "--max-requests", "100") as server:
        (before,) = server.ready().workers()
        with (
            Load(server.address, path="/a/", keep_alive=2) as first,
            Load(server.address, path="/w/", keep_alive=2) as other,
        ):
            wait_until(lambda: before not in server.workers(), "end of the first worker")
            first.wait_for(200)
            other.wait_for(200)
        assert not first.failures + other.failures
        assert server.stop() == 0


def test_each_side_counts_its_own_requests_for_the_limit(tmp_path: Path) -> None:
    with serve_mixed(tmp_path, "wsgi-epoll", "--limit-concurrency", "1") as server:
        server.ready()
        with Client(server.address) as one, Client(server.address) as two, Client(server.address) as three:
            for number, path in enumerate(("/a/", "/w/")):
                gate = Gate(tmp_path / f"gate-{number}")
                one.request(f"{path}?{gate.path}")
                # by now, that one is under way: requests of one connection come in their order
                wait_until(lambda: three.get(path).status == 503, "refusal")  # noqa: B023
                three.close()
                three = Client(server.address)
                assert told(two.get("/w/" if path == "/a/" else "/a/"))["body"] == ""
                gate.open()
                assert one.answer().status == 200
            three.close()
        assert server.stop() == 0
