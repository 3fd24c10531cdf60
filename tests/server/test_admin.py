"""The admin listener: health, metrics, status; and what hostile clients and accidents do to it."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import Address, Answer, Client, get
from tests.support.load import Load
from tests.support.processes import Portway
from tests.support.waiting import wait_until

KINDS = ("wsgi.py", "asgi.py")


def free_port() -> int:
    """Return a port that nobody listens on at the moment, of those that the system does not choose."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def watched(app: str, *args: str) -> tuple[Portway, tuple[str, int]]:
    """Return a server, and the address of its admin listener."""
    address = ("127.0.0.1", free_port())
    return Portway(app, *asked_at(address), *args), address


def asked_at(address: tuple[str, int]) -> tuple[str, ...]:
    """Return the arguments for an admin listener that the tests' client may ask by its own name."""
    return "--admin", f"127.0.0.1:{address[1]}", "--admin-host", "portway.test"


def status(admin: Address) -> dict[str, Any]:
    """Return the status document."""
    answer = get(admin, "/status.json")
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = json.loads(answer.body)
    return document


def answers(admin: Address, path: str) -> Callable[[], Answer | None]:
    """Return a function that asks, and gives None when nobody answers."""

    def ask() -> Answer | None:
        try:
            return get(admin, path)
        except OSError:
            return None

    return ask


def monitor(server: Portway) -> int:
    """Return the process id of the monitor: the child that the status does not name."""
    (pid,) = set(server.workers()) - {worker["pid"] for worker in status(server_admin(server))["workers"]}
    return pid


def server_admin(server: Portway) -> tuple[str, int]:
    """Return the admin address among a server's arguments."""
    arguments = server.process.args
    assert isinstance(arguments, list)
    host, _, port = arguments[arguments.index("--admin") + 1].partition(":")
    return host, int(port)


@pytest.fixture(params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Portway]:
    """A server of either kind with two workers and an admin listener."""
    made, admin = watched(request.param, "--workers", "2", "--slow-request", "0.05")
    with made:
        made.ready()
        wait_until(answers(admin, "/livez"), "the monitor")
        yield made


def test_everything_is_counted(server: Portway) -> None:
    admin = server_admin(server)
    with Client(server.address) as client:
        for _ in range(5):
            client.get("/")
        client.get("/slow?0.06")
        client.get("/raise")
    # a request counts from its beginning, its status from the end, which the client may see first
    wait_until(lambda: sum(status(admin)["totals"]["statuses"].values()) == 7, "seven answers")
    totals = status(admin)["totals"]
    assert totals["requests"] == 7
    assert totals["statuses"] == {"200": 6, "500": 1}
    assert totals["latency"]["count"] == 7
    assert totals["latency"]["p50_us"] <= totals["latency"]["p999_us"]
    assert totals["latency"]["p999_us"] >= 50_000
    assert totals["bytes_in"] > 100
    assert totals["queued"]["count"] == 0
    found = status(admin)["slow"]
    assert all(request["duration_us"] >= 50_000 for request in found)
    (slow,) = [
        request for request in found if request["request"] == "GET /slow"
    ]  # its query may hold secrets
    assert slow["status"] == 200
    assert slow["duration_us"] >= 60_000


@pytest.mark.parametrize("form", ["t={s}", "t={s}.5", "{ms}", "t={ms}", "t={us}"])
def test_queue_time_is_read_in_every_form(server: Portway, form: str) -> None:
    admin = server_admin(server)
    start = int(time.time()) - 20
    text = form.format(s=start, ms=start * 1000, us=start * 1_000_000)
    before = status(admin)["totals"]["queued"]
    with Client(server.address) as client:
        client.get("/", {"X-Request-Start": text})
    wait_until(lambda: status(admin)["totals"]["queued"]["count"] == before["count"] + 1, "a queue time")
    seconds = (status(admin)["totals"]["queued"]["sum_us"] - before["sum_us"]) / 1e6
    assert 15 <= seconds <= 60


@pytest.mark.parametrize(
    "text", ["", "t=", "now", "t=12", "-1", "t=99999999999999999999", "1e9", "t=1700000000.x"]
)
def test_what_is_no_time_is_no_queue_time(server: Portway, text: str) -> None:
    admin = server_admin(server)
    before = status(admin)["totals"]
    with Client(server.address) as client:
        client.get("/", {"X-Request-Start": text})
    wait_until(lambda: status(admin)["totals"]["requests"] == before["requests"] + 1, "the request")
    assert status(admin)["totals"]["queued"]["count"] == before["queued"]["count"]


def test_prometheus_reads_the_metrics(server: Portway) -> None:
    admin = server_admin(server)
    get(server.address, "/")
    wait_until(lambda: status(admin)["totals"]["requests"] >= 1, "the request")
    answer = get(admin, "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    assert families["portway_requests"].samples[0].labels == {"status": "200"}
    assert families["portway_workers_wanted"].samples[0].value == 2
    assert families["portway_workers_lost"].samples[0].value == 0
    ready = [
        sample.value for sample in families["portway_workers"].samples if sample.labels == {"state": "ready"}
    ]
    assert ready == [2]
    buckets = [
        sample.value
        for sample in families["portway_request_duration_seconds"].samples
        if sample.name.endswith("_bucket")
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == status(admin)["totals"]["latency"]["count"]


def test_workers_that_nobody_told_to_end_are_counted(server: Portway) -> None:
    admin = server_admin(server)
    server.send(signal.SIGHUP)
    server.ready(2)
    wait_until(lambda: len(status(admin)["workers"]) == 2, "the old ones to end")
    assert status(admin)["workers_lost"] == 0
    os.kill(status(admin)["workers"][0]["pid"], signal.SIGKILL)
    wait_until(lambda: status(admin)["workers_lost"] == 1, "the loss")
    assert b"\nportway_workers_lost_total 1.0\n" in get(admin, "/metrics").body


def test_the_counts_of_workers_that_ended_are_kept(server: Portway) -> None:
    admin = server_admin(server)
    with Client(server.address) as client:
        for _ in range(20):
            client.get("/")
    wait_until(lambda: status(admin)["totals"]["statuses"] == {"200": 20}, "twenty answers")
    pids = {worker["pid"] for worker in status(admin)["workers"]}
    server.send(signal.SIGHUP)
    server.ready(2)
    wait_until(lambda: not pids & {worker["pid"] for worker in status(admin)["workers"]}, "the old to end")
    totals = status(admin)["totals"]
    assert totals["requests"] == 20
    assert totals["statuses"] == {"200": 20}
    assert totals["latency"]["count"] == 20
    assert status(admin)["generation"] == {"serving": 2, "coming": 0, "rejected": None}


def test_the_admin_listener_answers_through_a_reload_and_with_every_worker_busy() -> None:
    server, admin = watched("wsgi.py", "--threads", "1")
    with server:
        server.ready()
        wait_until(answers(admin, "/livez"), "the monitor")
        with Client(server.address) as busy, Load(admin, fresh=2, path="/livez") as load:
            busy.request("/slow?1.5")
            load.wait_for(20)
            assert get(admin, "/readyz").status == 200
            server.send(signal.SIGHUP)
            server.ready(2)
            load.wait_for(20)
        assert load.failures == []


def test_readiness_ends_before_the_server_does(tmp_path: Path) -> None:
    server, admin = watched("wsgi.py")
    with server:
        server.ready()
        wait_until(lambda: (answer := answers(admin, "/readyz")()) and answer.status == 200, "readiness")
        with Client(server.address) as client:
            client.request(f"/until?{tmp_path / 'go'}")
            wait_until(lambda: status(admin)["totals"]["in_flight"] == 1, "the request")
            server.send(signal.SIGTERM)
            wait_until(lambda: get(admin, "/readyz").body == b"stopping\n", "the end of readiness")
            assert get(admin, "/readyz").status == 503
            assert get(admin, "/livez").status == 200
            (tmp_path / "go").touch()
            assert client.answer().status == 200
        assert server.exit_code() == 0
        with pytest.raises(OSError, match="refused"):
            get(admin, "/livez")


def test_a_generation_that_cannot_start_is_shown(tmp_path: Path) -> None:
    version = tmp_path / "version"
    version.write_text("1")
    address = ("127.0.0.1", free_port())
    with Portway("versioned.py:wsgi", *asked_at(address), env={"VERSION_FILE": str(version)}) as server:
        server.ready()
        wait_until(answers(address, "/livez"), "the monitor")
        version.write_text("raise")
        server.send(signal.SIGHUP)
        wait_until(lambda: status(address)["generation"]["rejected"], "the failure")
        rejected = status(address)["generation"]["rejected"]
        assert rejected["generation"] == 2
        assert "broken on purpose" in rejected["why"]
        assert get(address, "/readyz").status == 200
        version.write_text("2")
        server.send(signal.SIGHUP)
        wait_until(lambda: status(address)["generation"]["serving"] == 3, "the next generation")
        assert status(address)["generation"]["rejected"] is None


def test_a_monitor_that_is_killed_comes_back_and_the_server_serves(server: Portway) -> None:
    admin = server_admin(server)
    first = monitor(server)
    os.kill(first, signal.SIGKILL)
    server.wait_for(f"warning: the monitor, pid {first}, ended")
    assert get(server.address, "/").status == 200
    assert get(admin, "/livez").status == 200  # waits in the backlog for the next one
    assert monitor(server) != first
    assert get(admin, "/readyz").status == 200


def test_the_monitor_ends_with_the_arbiter(server: Portway) -> None:
    pid = monitor(server)
    server.process.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the monitor")


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 70_000,
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"GET /status.json HTTP/9.9\r\n\r\n",
        b"POST /status.json HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
    ],
)
def test_junk_is_refused_and_the_next_client_is_answered(server: Portway, junk: bytes) -> None:
    admin = server_admin(server)
    with socket.create_connection(admin, 10) as sock:
        sock.settimeout(10)
        try:
            sock.sendall(junk)
            assert sock.recv(100).startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
        except ConnectionError:
            pass
    assert get(admin, "/livez").status == 200


def test_many_and_slow_clients_do_not_keep_others_out(server: Portway) -> None:
    admin = server_admin(server)
    slow = [socket.create_connection(admin, 10) for _ in range(150)]
    try:
        for sock in slow[:50]:
            sock.sendall(b"GET /li")
        assert get(admin, "/livez").status == 200
    finally:
        for sock in slow:
            sock.close()
    assert get(server.address, "/").status == 200


def test_what_is_not_there_and_what_is_not_allowed(server: Portway) -> None:
    admin = server_admin(server)
    assert get(admin, "/nothing").status == 404
    with Client(admin) as client:
        client.request("/livez", method="POST")
        answer = client.answer()
        assert answer.status == 405
        assert answer.headers["allow"] == "GET, HEAD"


def test_the_page_runs_nothing_but_its_own(server: Portway) -> None:
    answer = get(server_admin(server), "/")
    assert answer.status == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert b"src=" not in answer.body
    assert b"http://" not in answer.body
    assert b"https://" not in answer.body


def test_an_admin_address_that_cannot_be_had_is_one_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Portway("wsgi.py", "--admin", f"127.0.0.1:{port}") as server:
            assert server.exit_code() == 3
            assert f"error: cannot listen on '127.0.0.1:{port}': address already in use" in server.log


def test_without_prometheus_client_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('not here')\n")
    address = ("127.0.0.1", free_port())
    with Portway("wsgi.py", *asked_at(address), env={"PYTHONPATH": str(tmp_path)}) as server:
        server.ready()
        wait_until(answers(address, "/livez"), "the monitor")
        for _ in range(2):
            answer = get(address, "/metrics")
            assert answer.status == 501
            assert b"pip install 'portway[metrics]'" in answer.body
        assert get(address, "/status.json").status == 200
        server.wait_for(r"warning: /metrics: .*portway\[metrics\]")
        assert server.log.count("portway[metrics]") == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("portway.test", 200),
        ("PORTWAY.test.:9000", 200),
        ("localhost:9000", 200),
        ("status.localhost", 200),
        ("127.0.0.1", 200),
        ("[::1]:9000", 200),
        ("10.1.2.3:9000", 200),
        (socket.gethostname(), 200),
        ("attacker.test", 421),
        ("127.0.0.1.attacker.test", 421),
        ("localhost.attacker.test", 421),
        ("notlocalhost", 421),
        ("0x7f.1", 421),
        ("portway.test@attacker.test", 400),
        ("", 400),
    ],
)
def test_a_page_elsewhere_cannot_rebind_its_name_to_it(server: Portway, host: str, status: int) -> None:
    for path in ("/livez", "/status.json", "/", "/nowhere"):
        with Client(server_admin(server)) as client:
            client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = client.answer()
            expected = 404 if status == 200 and path == "/nowhere" else status
            assert answer.status == expected, path
            assert b"pid" not in answer.body or status == 200


def test_without_a_host_it_is_no_browser(server: Portway) -> None:
    with Client(server_admin(server)) as client:
        client.send(b"GET /livez HTTP/1.0\r\n\r\n")
        assert client.answer().status == 200


def test_any_name_on_a_unix_socket_or_where_any_is_asked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "admin")
    with Portway("wsgi.py", "--admin", f"unix:{path}") as server:
        server.ready()
        wait_until(answers(path, "/livez"), "the monitor")
        assert get(path, "/livez").status == 200  # Host: portway.test
    address = ("127.0.0.1", free_port())
    where = ("--admin", f"127.0.0.1:{address[1]}", "--admin-host", "*")
    with Portway("wsgi.py", *where) as server:
        server.ready()
        wait_until(answers(address, "/livez"), "the monitor")
        assert get(address, "/livez").status == 200


def test_the_log_says_where_it_is() -> None:
    with Portway("wsgi.py", "--admin", "127.0.0.1:0") as server:
        server.ready()
        port = server.wait_for(r"info: status, metrics and health checks on http://127\.0\.0\.1:(\d+)$")[1]
        assert get(("127.0.0.1", int(port)), "/livez", {"Host": "localhost"}).status == 200


def test_a_monitor_that_keeps_dying_is_started_later_and_later() -> None:
    made, admin = watched("wsgi.py")
    with made as server:
        server.ready()
        for again in ("starting another", "starting another in 0.5 s", "starting another in 1 s"):
            wait_until(answers(admin, "/livez"), "the monitor")
            os.kill(monitor(server), signal.SIGKILL)
            server.wait_for(rf"warning: the monitor, pid \d+, ended; {again}$")
        wait_until(answers(admin, "/livez"), "the monitor")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_the_monitor_needs_nothing_that_only_root_can_read() -> None:
    """Python itself may stand where the user of the workers cannot look."""
    made, admin = watched("wsgi.py", "--user", "nobody")
    with made as server:
        server.ready()
        wait_until(answers(admin, "/"), "the monitor")
        assert get(admin, "/metrics").status == 200
        assert os.stat(f"/proc/{monitor(server)}").st_uid != 0
    assert "the monitor broke down" not in server.log
