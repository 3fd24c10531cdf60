"""A reload reads the configuration again: what it takes over, refuses, and says."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from portway.config.changes import changes, spell_change
from portway.config.load import load
from tests.support.client import get
from tests.support.load import Load
from tests.support.processes import APPS, Portway, wait_for_end

READY = APPS / "ready.py"


class Site:
    """A directory with a configuration file, and a server that is started there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "portway.toml"

    def write(self, *lines: str) -> None:
        """Write the configuration file."""
        self.file.write_text("\n".join(lines) + "\n")

    def start(self, app: str, *args: str, **variables: str) -> Portway:
        """Start a server in the directory."""
        return Portway(app, *args, cwd=self.directory, env=variables)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """An empty one."""
    return Site(tmp_path)


@pytest.mark.parametrize("kind", ["wsgi.py", "asgi.py"])
def test_a_reload_takes_over_what_changed_and_loses_nothing(kind: str, site: Site) -> None:
    site.write("workers = 1", "server-header = true")
    with site.start(kind) as server:
        old = server.ready().workers()
        with Load(server.address, keep_alive=3, fresh=2) as load:
            load.wait_for(50)
            assert "server" in get(server.address).headers
            site.write("workers = 3", "server-header = false")
            server.send(signal.SIGHUP)
            server.wait_for("info: reload: workers: 1 → 3, server-header: true → false$")
            server.ready(2)
            load.wait_for(50)
            for worker in old:
                wait_for_end(worker)
        assert load.failures == []
        assert "server" not in get(server.address).headers
        server.wait_for("serving .* with 3 workers", count=1)


def test_another_application_is_served_after_a_reload(site: Site) -> None:
    site.write(f'app = "{APPS / "versioned.py"}:wsgi"')
    version = site.directory / "version"
    version.write_text("one")
    with Portway("", cwd=site.directory, env={"VERSION_FILE": str(version)}) as server:
        (old,) = server.ready().workers()
        assert get(server.address).body == b"one"
        site.write(f'app = "{APPS / "wsgi.py"}"')
        server.send(signal.SIGHUP)
        wait_for_end(old)
        assert get(server.address).body.isdigit()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("workers = 0", "workers in portway.toml must be from 1 to 512, not 0"),
        ("wrkers = 2", "unknown key 'wrkers' in portway.toml"),
        ("workers = = 2", "cannot read 'portway.toml': not TOML"),
        ("workers = 500", "there is no room for 500 workers"),
        ('error-log = "/nowhere/at/all"', "cannot open the log '/nowhere/at/all'"),
        ('chdir = "gone"', "chdir in portway.toml must be a directory that exists, not 'gone'"),
        ('env-file = "gone"', "cannot read 'gone'"),
        ('[hooks]\non_exit = "no_such_module:function"', "hooks.on_exit cannot be imported"),
    ],
)
def test_a_bad_configuration_is_refused_and_the_old_one_stays(site: Site, line: str, why: str) -> None:
    site.write("workers = 2")
    with site.start("wsgi.py") as server:
        workers = server.ready().workers()
        site.write(line)
        server.send(signal.SIGHUP)
        said = server.wait_for("error: reload: refused, the present configuration stays: (.*)")
        assert said[1].startswith(why)
        assert server.workers() == workers
        assert get(server.address).status == 200
        site.write("workers = 1")
        server.send(signal.SIGHUP)
        server.ready(2)
        assert get(server.address).status == 200


def test_what_only_a_restart_can_change_is_said_each_time(site: Site) -> None:
    site.write("umask = '22'")
    with site.start("wsgi.py") as server:
        server.ready()
        site.write("umask = '27'", "threads = 2")
        for count in (1, 2):
            server.send(signal.SIGHUP)
            server.wait_for(r"warning: reload: umask: .* → .*27.* takes an upgrade \(SIGUSR2\)", count=count)
            server.ready(count + 1)
        server.wait_for("of 2 threads", count=2)


def test_a_log_is_opened_by_a_reload(site: Site) -> None:
    with site.start("wsgi.py") as server:
        server.ready()
        site.write('error-log = "error.log"', 'log-level = "debug"', 'access-log = "access.log"')
        server.send(signal.SIGHUP)
        server.wait_for('info: reload: access-log: "off" → "access.log", error-log: "-" → "error.log"')
        log = site.directory / "error.log"
        while "serving WSGI" not in (log.read_text() if log.exists() else ""):
            get(server.address)
        access = site.directory / "access.log"
        while "GET /seen" not in access.read_text():
            get(server.address, "/seen")


def test_the_environment_file_is_read_again(site: Site) -> None:
    environment = site.directory / ".env"
    environment.write_text("PORTWAY_THREADS=3\n")
    with site.start("wsgi.py", "--env-file", ".env") as server:
        server.wait_for("of 3 threads")
        environment.write_text("PORTWAY_THREADS=5\n")
        server.send(signal.SIGHUP)
        server.wait_for("of 5 threads")


def test_how_many_workers_an_operator_asked_for_outlives_a_reload(site: Site) -> None:
    site.write("workers = 1")
    with site.start("wsgi.py") as server:
        server.ready()
        server.send(signal.SIGTTIN)
        server.send(signal.SIGHUP)
        server.wait_for("with 2 workers")
        site.write("workers = 3")
        server.send(signal.SIGHUP)
        server.wait_for("with 3 workers")


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_generation_that_fails_the_ready_check_never_serves(kind: str, site: Site) -> None:
    health = site.directory / "health"
    health.write_text("204")
    arguments = ("--workers", "2", "--ready-check", "/health?deep=1")
    with site.start(f"{READY}:{kind}", *arguments, HEALTH_FILE=str(health)) as server:
        old = server.ready().workers()
        with Load(server.address, keep_alive=2, fresh=1, path="/") as load:
            for answer, why in (
                ("503", r"answered 503 to the ready check '/health\?deep=1'"),
                ("404", r"answered 404 to the ready check '/health\?deep=1'"),
                ("raise", r"failed at the ready check '/health\?deep=1': RuntimeError: unhealthy on purpose"),
            ):
                health.write_text(answer)
                server.send(signal.SIGHUP)
                server.wait_for(
                    f"error: generation .* cannot start; generation 1 keeps .*: the application {why}"
                )
                assert set(old) <= set(server.workers())
            health.write_text("302")
            server.send(signal.SIGHUP)
            server.ready(2)
            load.wait_for(20)
        assert load.failures == []


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize("how", ["hang", "import"])
def test_a_start_that_hangs_is_given_up(kind: str, how: str, site: Site) -> None:
    health = site.directory / "health"
    health.write_text("200")
    with site.start(f"{READY}:{kind}", "--ready-check", "/health", HEALTH_FILE=str(health)) as server:
        (old,) = server.ready().workers()
        site.write("startup-timeout = 1.5")  # the start above has all the time that it needs
        health.write_text(how)
        for generation in (2, 3, 4):
            server.send(signal.SIGHUP)
            why = r"worker \d+ was not ready within 1.5 s \(--startup-timeout\)"
            server.wait_for(rf"error: generation {generation} .*: {why}")
            assert old in server.workers()
            assert get(server.address).status == 200
            try:
                server.wait_for(r'File ".*ready\.py", line \d+ in ', timeout_s=3)  # where it hung
                return
            except AssertionError:  # it was held up, and killed before it could say so
                continue
        raise AssertionError(server.log)


def test_a_lifespan_that_hangs_is_given_up(site: Site) -> None:
    health = site.directory / "health"
    health.write_text("200")
    with site.start(f"{READY}:asgi", HEALTH_FILE=str(health)) as server:
        server.ready()
        site.write("startup-timeout = 1.5")
        health.write_text("lifespan")
        server.send(signal.SIGHUP)
        server.wait_for(
            r"error: generation 2 .*: worker \d+ was not ready within 1.5 s \(--startup-timeout\)"
        )
        assert get(server.address).status == 200


def test_a_url_says_which_host_is_asked_for(site: Site) -> None:
    health = site.directory / "health"
    health.write_text("host")
    with site.start(
        f"{READY}:wsgi", "--ready-check", "https://www.example.com:8443/health", HEALTH_FILE=str(health)
    ) as server:
        server.ready()
        server.wait_for("^asked for https://www.example.com:8443/health$")


def test_changes_are_spelled_as_the_options_are() -> None:
    old = load({"workers": "2"}, {}).settings
    new = load({"workers": "2:4", "bind": (":80",)}, {}).settings
    spelled = [spell_change(declared, old, new) for declared in changes(old, new)]
    assert spelled == ['bind: ["127.0.0.1:8000"] → ["0.0.0.0:80"]', 'workers: 2 → "2:4"']
