"""Other addresses at a reload: those that stay lose nothing, and what waits at those that go is answered."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from tests.server.test_activation import LAUNCH
from tests.server.test_control import ctl
from tests.server.test_renewal import Site
from tests.support.certificates import certificate
from tests.support.client import Address, Client, SecureAddress, get
from tests.support.load import Load
from tests.support.processes import APPS, COMMAND, Portway, children, standing_still, wait_for_end
from tests.support.waiting import wait_until

KINDS = ("wsgi.py", "asgi.py")
COMMON, DROPPED, ADDED = "127.0.0.1:0", "127.0.0.2:0", "127.0.0.3:0"
HOST = {"Host": "localhost"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An empty one."""
    return Site(tmp_path)


def start(site: Site, kind: str, *args: str, **variables: str) -> Portway:
    """Start a server that listens where its file says."""
    return Portway(kind, *args, cwd=site.directory, env=variables, bind=False)


def bind(*addresses: str) -> str:
    """Return the line of the file."""
    return f"bind = {list(addresses)}"


def address(server: Portway, host: str) -> tuple[str, int]:
    """Return where a host's listener is."""
    match = server.wait_for(rf"info: listening on (https?)://{re.escape(host)}:(\d+)")
    return SecureAddress((host, int(match[2]))) if match[1] == "https" else (host, int(match[2]))


def reload(server: Portway, count: int) -> None:
    """Reload, and wait until the new generation serves."""
    server.send(signal.SIGHUP)
    server.ready(count)


def somebody_listens_on(host: str) -> bool:
    """Whether any process has a listening socket there."""
    place = socket.inet_aton(host)[::-1].hex().upper()
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return any(row[1].startswith(f"{place}:") and row[3] == "0A" for row in rows)


def refuses(where: Address) -> bool:
    """Whether nobody listens there."""
    family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.5)  # until the workers have let go, the kernel does not answer
        try:
            probe.connect(where)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except TimeoutError:
            pass
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_other_addresses_under_load_lose_nothing(kind: str, site: Site) -> None:
    """The connections to what is dropped are kept as well: the new workers go on with them."""
    file = site.directory / "old.sock"
    site.write("workers = 2", bind(COMMON, DROPPED, "unix:old.sock"))
    with start(site, kind) as server:
        old = server.ready().workers()
        common, dropped = address(server, "127.0.0.1"), address(server, "127.0.0.2")
        with (
            Load(common, keep_alive=3, fresh=2) as load,
            Load(dropped, keep_alive=2) as leaving,
            Load(str(file), keep_alive=2) as local,
        ):
            load.wait_for(50)
            leaving.wait_for(20)
            local.wait_for(20)
            site.write("workers = 2", bind(ADDED, COMMON, "unix:new.sock"))
            reload(server, 2)
            server.wait_for(f"info: no longer listening on http://127.0.0.2:{dropped[1]}")
            added = address(server, "127.0.0.3")
            with Load(added, keep_alive=2, fresh=2) as arriving:
                for worker in old:
                    wait_for_end(worker)
                for each in (load, leaving, local, arriving):
                    each.wait_for(50)
                assert refuses(dropped)
                assert not file.exists()
                assert get(str(site.directory / "new.sock")).status == 200
                site.write("workers = 2", bind(COMMON, DROPPED))
                reload(server, 3)
                for each in (load, leaving, local):
                    each.wait_for(50)
        for each in (load, leaving, local):
            assert each.failures == []
        assert not {str(worker) for worker in old} & {str(worker) for worker in server.workers()}
        assert refuses(added)
        assert server.stop() == 0
        assert refuses(common)


@pytest.mark.parametrize("kind", KINDS)
def test_what_waits_at_a_dropped_address_is_answered(kind: str, site: Site) -> None:
    site.write(bind(COMMON, DROPPED, "unix:old.sock"))
    with start(site, kind) as server:
        (old,) = server.ready().workers()
        dropped: list[Address] = [address(server, "127.0.0.2"), str(site.directory / "old.sock")]
        with standing_still(old):
            waiting = [Client(where) for where in dropped for _ in range(5)]
            for client in waiting:
                client.request("/pid")
            site.write(bind(COMMON))
            reload(server, 2)
        for client in waiting:
            with client:
                assert client.answer().status == 200
        wait_for_end(old)
        assert all(refuses(where) for where in dropped)


FALTERING = """
import os, pathlib, time

here = pathlib.Path(__file__).parent
if (here / "second").exists():
    try:
        os.open(here / "taken", os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        (here / "waiting").touch()
        while not (here / "fail").exists():
            time.sleep(0.02)
        raise RuntimeError("broken on purpose")

def app(environ, start_response):
    if environ["PATH_INFO"] == "/until":
        (here / "asked").touch()
        while not (here / "answer").exists():
            time.sleep(0.02)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("line", ["ready-check = '/raise'", "error-log = '/no/such/directory/at.all'"])
def test_a_reload_that_fails_opens_nothing(line: str, site: Site) -> None:
    site.write(bind(COMMON, DROPPED))
    with start(site, "wsgi.py") as server:
        old = server.ready().workers()
        common, dropped = address(server, "127.0.0.1"), address(server, "127.0.0.2")
        with Load(common, keep_alive=2, fresh=1) as load, Load(dropped, keep_alive=2, fresh=1) as other:
            site.write(bind(COMMON, "unix:new.sock"), "workers = 2", line)
            server.send(signal.SIGHUP)
            server.wait_for("error: (reload: refused, |generation 2 cannot start; generation 1 keeps)")
            for each in (load, other):
                each.wait_for(50)
        assert load.failures == other.failures == []
        wait_until(lambda: not (site.directory / "new.sock").exists(), "end of the file")
        assert set(old) <= set(server.workers())
        assert "no longer" not in server.log


def test_what_a_generation_took_on_before_it_was_given_up_is_answered(site: Site) -> None:
    """One of its workers serves already, on an address of its own, when another one cannot start."""
    (site.directory / "faltering.py").write_text(FALTERING)
    site.write(bind(COMMON), "threads = 4")
    with start(site, "faltering:app") as server:
        (old,) = server.ready().workers()
        (site.directory / "second").touch()
        site.write(bind(COMMON, "unix:new.sock"), "workers = 2", "threads = 4")
        server.send(signal.SIGHUP)
        new = str(site.directory / "new.sock")
        wait_until(lambda: os.path.exists(new), "new socket")
        with Client(new) as client, Client(new) as between:
            client.request("/until")
            wait_until((site.directory / "asked").exists, "request under way")
            assert between.get().body == between.get().body != str(old).encode()
            (site.directory / "fail").touch()
            server.wait_for(
                "error: generation 2 cannot start; generation 1 keeps serving: .*broken on purpose"
            )
            while not between.get().closes:  # once it drains: nobody else knows its address
                pass
            (site.directory / "answer").touch()
            assert client.answer().status == 200
        assert refuses(new)
        assert get(address(server, "127.0.0.1")).body == str(old).encode()


def test_an_address_that_cannot_be_had_is_one_line(site: Site) -> None:
    site.write(bind(COMMON, DROPPED))
    with (
        start(site, "wsgi.py", "--control", "c.sock") as server,
        socket.create_server(("127.0.0.1", 0)) as taken,
    ):
        workers = server.ready().workers()
        site.write(bind(COMMON, "unix:new.sock", f"127.0.0.1:{taken.getsockname()[1]}"))
        server.send(signal.SIGHUP)
        server.wait_for(
            "error: reload: refused, .* stays: cannot listen on '127.0.0.1:.*': address already in use"
        )
        assert not (site.directory / "new.sock").exists()
        told = ctl(site.directory / "c.sock", "status").stdout
        assert "generation 2 could not start: cannot listen on '127.0.0.1:" in told
        assert server.workers() == workers
        for host in ("127.0.0.1", "127.0.0.2"):
            assert get(address(server, host)).status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_narrower_or_wider_address_of_the_same_port_takes_over(kind: str, site: Site) -> None:
    site.write(bind(COMMON))
    with start(site, kind) as server:
        server.ready()
        common = address(server, "127.0.0.1")
        with Load(common, keep_alive=2, fresh=2) as load:
            for count, host in enumerate(("0.0.0.0", "127.0.0.1", "localhost"), start=2):
                load.wait_for(50)
                old = server.workers()
                site.write(bind(f"{host}:{common[1]}"))
                reload(server, count)
                for worker in old:
                    wait_for_end(worker)
            load.wait_for(50)
        assert load.failures == []
        assert server.stop() == 0


def test_a_unix_socket_that_is_spelled_differently_is_the_same(site: Site) -> None:
    file = site.directory / "one.sock"
    site.write(bind("unix:one.sock"), "uds-permissions = '600'")
    with start(site, "wsgi.py") as server:
        (old,) = server.ready().workers()
        inode = file.stat().st_ino
        with Load(str(file), keep_alive=2, fresh=2) as load:
            site.write(bind(f"unix:{file}", "unix:two.sock"), "uds-permissions = '660'")
            reload(server, 2)
            wait_for_end(old)
            load.wait_for(50)
        assert load.failures == []
        assert file.stat().st_ino == inode
        assert stat.S_IMODE((site.directory / "two.sock").stat().st_mode) == 0o660
        assert server.stop() == 0
        assert not file.exists()


def test_the_file_of_a_socket_that_stays_is_not_made_anew(site: Site) -> None:
    site.write(bind("unix:one.sock"), "uds-permissions = '600'")
    with start(site, "wsgi.py") as server:
        server.ready()
        site.write(bind("unix:one.sock"), "uds-permissions = '660'")
        reload(server, 2)
        server.wait_for(
            "warning: reload: unix:one.sock keeps the permissions and the owner .* until a restart"
        )
        assert stat.S_IMODE((site.directory / "one.sock").stat().st_mode) == 0o600


def test_the_file_of_another_server_stays(site: Site) -> None:
    file = site.directory / "one.sock"
    site.write(bind(COMMON, "unix:one.sock"))
    with start(site, "wsgi.py") as server, socket.socket(socket.AF_UNIX) as other:
        server.ready()
        file.unlink()
        other.bind(str(file))
        site.write(bind(COMMON))
        reload(server, 2)
        server.wait_for("info: no longer listening on unix:one.sock")
        assert file.exists()


@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_workers_that_come_later_listen_there_too(preload: tuple[str, ...], site: Site) -> None:
    site.write(bind(COMMON, DROPPED))
    with start(site, "wsgi.py", *preload) as server:
        server.ready()
        site.write(bind(COMMON, ADDED))
        reload(server, 2)
        places = address(server, "127.0.0.1"), address(server, "127.0.0.3")
        os.kill(int(get(places[0]).body), signal.SIGKILL)
        for place in places:
            with Client(place, timeout_s=20) as client:
                assert client.get().status == 200
        server.send(signal.SIGTTIN)
        server.wait_for("info: 2 workers wanted")
        with Client(places[1]) as client:  # its worker has more to do than the other one
            first = client.get().body
            wait_until(lambda: get(places[1]).body != first, "answer of the other one")
        assert refuses(address(server, "127.0.0.2"))


def test_a_worker_that_is_replaced_meanwhile_keeps_no_new_socket_open(site: Site) -> None:
    (site.directory / "faltering.py").write_text(FALTERING)
    site.write(bind(COMMON))
    with start(site, "faltering:app") as server:
        (old,) = server.ready().workers()
        (site.directory / "second").touch()
        (site.directory / "taken").touch()
        site.write(bind(COMMON, "127.0.77.1:0"))
        server.send(signal.SIGHUP)
        wait_until((site.directory / "waiting").exists, "new worker")
        (site.directory / "second").unlink()
        os.kill(old, signal.SIGKILL)
        server.wait_for(f"worker {old} ended")
        assert get(address(server, "127.0.0.1")).status == 200
        assert somebody_listens_on("127.0.77.1")
        (site.directory / "fail").touch()
        server.wait_for("generation 2 cannot start")
        wait_until(lambda: not somebody_listens_on("127.0.77.1"), "end of the socket")
        assert get(address(server, "127.0.0.1")).status == 200


def test_an_upgrade_follows_a_reload_with_other_addresses(site: Site) -> None:
    site.write(bind(COMMON, DROPPED))
    with start(site, "wsgi.py") as server:
        server.ready()
        site.write(bind(COMMON, ADDED))
        reload(server, 2)
        places = address(server, "127.0.0.1"), address(server, "127.0.0.3")
        with Load(places[0], keep_alive=2, fresh=2) as load, Load(places[1], keep_alive=2, fresh=2) as other:
            with Client(places[1]) as idle:
                idle.get()
                server.send(signal.SIGUSR2)
                new = int(server.wait_for(r"info: upgrade: started the arbiter (\d+)")[1])
                server.wait_for(rf"\[{new}\] info: serving ")
                server.send(signal.SIGTERM)
                server.wait_for(rf"\[{new}\] info: upgrade: the arbiter {server.pid} is gone")
                assert idle.get().body.decode() in map(str, children(new))  # it went over, too
            load.wait_for(20)
            assert load.failures == []
            site.write(bind(ADDED))
            os.kill(new, signal.SIGHUP)
            server.wait_for(rf"\[{new}\] info: no longer listening on http://127.0.0.1")
            other.wait_for(20)
        assert other.failures == []
        os.kill(new, signal.SIGTERM)
        wait_for_end(new)


@pytest.mark.parametrize("kind", KINDS)
def test_a_descriptor_is_never_closed(kind: str, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed, socket.create_server(("127.0.0.1", 0)) as spare:
        numbers = passed.fileno(), spare.fileno()
        site.write(bind(f"fd://{numbers[0]}", COMMON))
        with Portway(kind, cwd=site.directory, pass_fds=numbers, bind=False) as server:
            server.ready()
            where = passed.getsockname()
            assert get(where).status == 200
            site.write(bind(COMMON))
            reload(server, 2)
            server.wait_for(
                f"info: no longer listening on fd://{numbers[0]} .*, which was passed and stays open: who"
            )
            with Client(where) as client:  # waits
                client.request()
                site.write(bind(COMMON, f"fd://{numbers[0]}"))
                reload(server, 3)
                assert client.answer().status == 200
            site.write(bind(COMMON, f"fd://{numbers[1]}"))
            server.send(signal.SIGHUP)
            server.wait_for(
                f"error: reload: refused, .*fd://{numbers[1]}': a descriptor is passed to a server when it"
            )
            assert get(where).status == 200


def test_sockets_of_systemd_stay_whatever_bind_says(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        site.write(bind("127.0.0.1:8000"))
        moved = os.dup(passed.fileno())
        with Portway(
            "",
            cwd=site.directory,
            pass_fds=(moved,),
            command=[
                sys.executable,
                "-c",
                LAUNCH,
                str(moved),
                "web",
                *COMMAND[1:],
                "serve",
                str(APPS / "wsgi.py"),
            ],
        ) as server:
            server.ready()
            with Load(passed.getsockname(), keep_alive=2, fresh=2) as load:
                load.wait_for(20)
                site.write(bind("127.0.0.1:1"), "workers = 2")
                reload(server, 2)
                server.wait_for("warning: reload: bind is of no effect: sockets were passed in its place")
                load.wait_for(50)
            assert load.failures == []
            assert server.log.count("listening on") == 1


def test_tls_and_its_redirects_move_as_well(site: Site) -> None:
    made = certificate("127.0.0.1", "127.0.0.3", "localhost")
    tls = (f"certfile = '{made.pem}'", "workers = 2")
    site.write(bind(COMMON), *tls, f"redirect-bind = ['{DROPPED}']")
    with start(site, "wsgi.py") as server:
        server.ready()
        common, redirect = address(server, "127.0.0.1"), address(server, "127.0.0.2")
        with (
            Load(common, keep_alive=2, fresh=1) as load,
            Client(redirect) as follower,
        ):
            site.write(
                bind(COMMON, ADDED),
                *tls,
                "redirect-bind = ['127.0.0.4:0']",
                "insecure-bind = ['127.0.0.5:0']",
            )
            reload(server, 2)
            assert follower.get("/a", HOST).status == 301  # of the old address, by the new workers
            load.wait_for(20)
            assert get(address(server, "127.0.0.3")).status == 200
            assert get(address(server, "127.0.0.5")).status == 200
            with Client(address(server, "127.0.0.4")) as client:
                assert client.get("/a", HOST).status == 301
        assert load.failures == []
