"""portway export: files that the programs they are for accept, and an nginx that is believed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.support.client import Client, get
from tests.support.processes import COMMAND, DEADLINE_S, Portway

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
APP = """
import json, os
def app(environ, start_response):
    start_response("200 OK", [("X-Process", str(os.getpid()))])
    body = len(environ["wsgi.input"].read())
    if environ["PATH_INFO"] == "/big":
        return [b"x" * 3_000_000]
    seen = {k: v for k, v in environ.items() if isinstance(v, str)}
    return [json.dumps({"body": body, "scheme": environ["wsgi.url_scheme"], **seen}).encode()]
"""


TALKING = """
import json, os
async def app(scope, receive, send):
    if scope["type"] == "http":
        asked = {name.decode(): value.decode() for name, value in scope["headers"]}
        fields = [(b"content-length", str(len(json.dumps(asked))).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": json.dumps(asked).encode()})
    elif scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        told = f"{os.getpid()} {scope['client'][0]} {scope['scheme']}"
        await send({"type": "websocket.send", "text": told})
        while (message := await receive())["type"] != "websocket.disconnect":
            if message["type"] == "websocket.receive":
                await send({**message, "type": "websocket.send"})
"""


def export(cwd: Path, kind: str, *words: str) -> tuple[str, str]:
    """Return what `portway export` prints on both streams."""
    command = [*COMMAND, "export", kind, "app:app", *words]
    outcome = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S)
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout, outcome.stderr


@contextlib.contextmanager
def nginx(directory: Path, site: str) -> Iterator[int]:
    """Run nginx with a site; give the port that it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
    paths = "".join(
        f"    {name}_temp_path {directory}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (directory / "nginx.conf").write_text(
        f"{'user root; ' if os.geteuid() == 0 else ''}daemon off; worker_processes 1;\n"
        f"pid {directory}/nginx.pid; error_log stderr warn;\n"
        f"events {{ worker_connections 64; }}\nhttp {{\n    access_log off;\n{paths}{site}}}\n"
    )
    assert NGINX
    process = subprocess.Popen(
        [NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", "stderr"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(port, process)
        yield port
    finally:
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_S)
    assert not re.search(r"\[(error|emerg|crit)\]", log), log


def wait_until_it_answers(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until somebody listens."""
    while process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
    raise AssertionError(process.communicate()[1])


@pytest.mark.skipif(NGINX is None, reason="needs nginx")
@pytest.mark.parametrize("family", ["x-forwarded-for,x-forwarded-proto,x-forwarded-host", "forwarded"])
def test_nginx_in_front_of_two_backends(tmp_path: Path, family: str) -> None:
    (tmp_path / "app.py").write_text(APP)
    path = tmp_path / "portway.sock"
    trusting = ("--forwarded-allow-ips", "unix,127.0.0.1", "--forwarded-headers", family)
    with (
        Portway("app:app", "--bind", f"unix:{path}", *trusting, cwd=tmp_path) as local,
        Portway("app:app", "--bind", "127.0.0.1:0", *trusting, cwd=tmp_path) as tcp,
    ):
        port = tcp.ready().address[1]
        local.ready()
        binds = ("--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}")
        site, notes = export(tmp_path, "nginx", *binds, *trusting)
        assert notes == ""
        with nginx(tmp_path, site) as front:
            processes = set()
            forged = {
                "X-Forwarded-For": "6.6.6.6",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "evil.test",
                "X-Forwarded-Prefix": "/evil",
                "Forwarded": "for=6.6.6.6;proto=https",
                "X-Request-Start": "t=6.6.6.6",
            }
            with Client(("127.0.0.1", front)) as client:
                for _ in range(8):
                    answer = client.get("/a?b=c", forged)
                    processes.add(answer.headers["x-process"])
                    seen = json.loads(answer.body)
                    assert (seen["REMOTE_ADDR"], seen["scheme"]) == ("127.0.0.1", "http")
                    assert (seen["HTTP_HOST"], seen["SCRIPT_NAME"]) == ("portway.test", "")
                    assert re.fullmatch(r"t=\d{10}\.\d{3}", seen["HTTP_X_REQUEST_START"])
                    assert "6.6.6.6" not in answer.body.decode() and "evil" not in answer.body.decode()
                assert len(client.get("/big").body) == 3_000_000
                client.request("/", method="POST", body=b"y" * 200_000)
                assert json.loads(client.answer().body)["body"] == 200_000
            assert len(processes) == 2
            # Connections to the backends are kept: two backends, and no more than two connections to each.
            established = len(Path("/proc/net/tcp").read_text().split(f":{port:04X} 01 ")) - 1
            assert established <= 2


@pytest.mark.skipif(NGINX is None, reason="needs nginx")
def test_nginx_passes_websockets_on(tmp_path: Path) -> None:
    """Compressed as the two ends agree, to a Unix socket and to a port; and no other protocol."""
    (tmp_path / "app.py").write_text(TALKING)
    path = tmp_path / "portway.sock"
    trusting = ("--forwarded-allow-ips", "unix,127.0.0.1")
    with (
        Portway("app:app", "--bind", f"unix:{path}", *trusting, cwd=tmp_path) as local,
        Portway("app:app", "--bind", "127.0.0.1:0", *trusting, cwd=tmp_path) as tcp,
    ):
        port = tcp.ready().address[1]
        local.ready()
        site, notes = export(
            tmp_path, "nginx", "--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}", *trusting
        )
        assert notes == ""
        with nginx(tmp_path, site) as front:
            processes = set()
            for _ in range(8):
                with connect(f"ws://127.0.0.1:{front}/ws", max_size=None, proxy=None) as websocket:
                    process, *seen = str(websocket.recv(DEADLINE_S)).split()
                    processes.add(process)
                    assert seen == ["127.0.0.1", "ws"]
                    assert "permessage-deflate" in str(websocket.response)
                    for message in ("é" * 70_000, os.urandom(300_000), b"", "last"):
                        websocket.send(message)
                        assert websocket.recv(DEADLINE_S) == message
                assert websocket.close_code == 1000
            assert processes == {str(pid) for server in (local, tcp) for pid in server.workers()}
            for fields in ({}, {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}):
                asked = json.loads(get(("127.0.0.1", front), "/", fields).body)
                assert asked["host"] == "portway.test"
                assert not {"connection", "upgrade"} & {*asked}


def test_nginx_ends_a_websocket_in_which_nothing_comes(tmp_path: Path) -> None:
    text = "nginx ends a WebSocket in which nothing comes for 60 s"
    for seconds, said in (("0", True), ("60", True), ("59", False)):
        _, notes = export(tmp_path, "nginx", "--bind", "127.0.0.1:1", "--ws-ping-interval", seconds)
        assert (text in notes) is said
    assert text not in export(tmp_path, "nginx", "--bind", "127.0.0.1:1", "--ws", "none")[1]


def test_nginx_names_what_is_missing(tmp_path: Path) -> None:
    _, notes = export(tmp_path, "nginx", "--bind", "unix:p.sock")
    assert "note: add unix to forwarded-allow-ips" in notes
    _, notes = export(tmp_path, "nginx", "--bind", "fd://3")
    assert "nginx cannot be told of fd://3" in notes


def test_the_units(tmp_path: Path) -> None:
    odd = "/srv/100% $HOME"
    text, _ = export(
        *(tmp_path, "systemd", "--bind", "unix:/run/p.sock", "--bind", "[::1]:81", "--user", "daemon"),
        *("--uds-permissions", "0600", "--workers", "2", "--graceful-timeout", "20", "--root-path", "/x"),
        *("--access-log", f"{odd}/log", "--no-date-header", "--forwarded-allow-ips", "unix,10.0.0.0/8"),
    )
    for line in (
        *("ListenStream=/run/p.sock", "ListenStream=[::1]:81", "SocketMode=0600", "SocketUser=daemon"),
        *("User=daemon", "Type=notify", "TimeoutStopSec=35", f"WorkingDirectory={tmp_path}"),
        *("TimeoutStartSec=150", "RuntimeDirectory=portway-control", 'ReadWritePaths="/srv/100%% $HOME"'),
    ):
        assert line in text.splitlines()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    for words in ("--workers 2", "--no-date-header", "--root-path /x", "--forwarded-allow-ips unix"):
        assert words in command
    assert '"/srv/100%% $$HOME/log"' in command
    for absent in ("--bind", "--user", "--uds-permissions"):
        assert absent not in command


@pytest.mark.needs("systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    text, _ = export(tmp_path, "systemd", "--bind", "unix:/run/p.sock", "--bind", "127.0.0.1:8099")
    socket_unit, _, service = text.partition("# /etc/systemd/system/portway.service\n")
    program = shutil.which("true")
    # A service of another name, because systemd knows what an installed one is.
    service = re.sub(r"^ExecStart=\S+", f"ExecStart={program}", service, flags=re.MULTILINE)
    (tmp_path / "portway.socket").write_text(socket_unit)
    (tmp_path / "portway.service").write_text(service)
    outcome = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "./portway.service", "./portway.socket"],
        cwd=tmp_path,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert [line for line in outcome.stderr.splitlines() if "portway" in line] == [], outcome.stderr


def test_a_reload_by_systemd_waits_and_tells(tmp_path: Path) -> None:
    """What the unit executes, as systemd would; the directory is one of the test's."""
    text, _ = export(tmp_path, "systemd", "--bind", "127.0.0.1:0")
    text = text.replace("/run/portway-control", str(tmp_path))
    (serve,) = re.findall(r"^ExecStart=\S+ serve (.*)$", text, re.MULTILINE)
    (reload,) = re.findall(r"^ExecReload=\S+ (.*)$", text, re.MULTILINE)
    (tmp_path / "app.py").write_text(APP)
    application, *words = serve.split()
    with Portway(application, *words, cwd=tmp_path) as server:
        server.ready()
        for broken in (False, True):
            (tmp_path / "app.py").write_text("broken = on.purpose\n" if broken else APP)
            command = [*COMMAND, *reload.split()]
            outcome = subprocess.run(
                command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S
            )
            assert outcome.returncode == broken
            assert ("generation 2 keeps serving" in outcome.stderr) == broken, outcome.stderr
        get(server.address, "/")


def test_a_directory_that_is_a_link_is_followed_at_a_reload(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "current").symlink_to("release")
    text, _ = export(tmp_path, "systemd", "--chdir", str(tmp_path / "current"))
    assert f"WorkingDirectory={tmp_path}/current" in text.splitlines()
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    assert f" --chdir {tmp_path}/current" in command


def test_the_units_let_the_service_write_and_listen(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text(
        'access-log = "/var/log/shop/access.log"\nerror-log = "/var/log/error.log"\npid = "/run/shop.pid"\n'
        'bind = ["unix:/run/shop/socket", ":443"]\ncontrol = "/run/shop/control"\n'
        'certfile = "/etc/ssl/shop.pem"\nkeyfile = "/etc/ssl/shop.key"\nredirect-bind = ":80"\n'
    )
    text, notes = export(tmp_path, "systemd")
    lines = text.splitlines()
    assert "LogsDirectory=shop" in lines  # made by systemd, for its user
    assert 'ReadWritePaths="/var/log"' in lines
    assert 'ReadWritePaths="/run/shop"' in lines  # the socket is systemd's, and must not go with the service
    assert not [line for line in lines if line.startswith("RuntimeDirectory")]
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in lines
    (command,) = (line for line in lines if line.startswith("ExecStart="))
    assert ' --pid ""' in command
    assert " ctl reload --control /run/shop/control" in text
    for note in (
        "the unix socket is for root alone: name the proxy's user in uds-owner",
        "/etc/ssl/shop.key must be readable by the service's user",
        "/var/log must be there",
        "/run/shop must be there",
    ):
        assert f"note: {note}" in notes
    assert notes.count("note: ") == 4
    text, notes = export(tmp_path, "systemd", "--uds-owner", ":www-data", "--user", "shop")
    assert {"SocketUser=shop", "SocketGroup=www-data"} <= {*text.splitlines()}
    assert "alone" not in notes
    text, notes = export(tmp_path, "systemd", "--bind", "fd://web")
    assert "note: fd://web: write the address into the socket unit" in notes


def test_control_is_asked_though_a_file_is_broken(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("wrokers = 1\n")
    command = [*COMMAND, "ctl", "status", "--control", str(tmp_path / "none")]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S)
    assert "no server answers" in outcome.stderr


def test_the_image(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text("workers = 3\n")
    text, _ = export(tmp_path, "docker", "--bind", "127.0.0.1:9000", "--log-level", "debug")
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert json.loads(entry) == [
        *("portway", "serve", "app:app", "--bind", "0.0.0.0:9000"),
        *("--config", "portway.toml", "--log-level", "debug"),
    ]
    assert "EXPOSE 9000" in text.splitlines()
    assert text.count(" 'portway[websockets]'\n") == 1


def test_the_image_runs_as_nobody_whatever_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "portway.toml").write_text(
        'user = "shop"\npid = "/run/shop.pid"\nbind = "unix:/run/shop/socket"\n'
    )
    text, notes = export(tmp_path, "docker")
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)
    assert json.loads(entry)[-4:] == ["--pid", "", "--user", ""]
    assert "0.0.0.0:8000" in json.loads(entry)
    assert "note: a unix socket stays in the container" in notes
    assert "note: there is no requirements.txt here" in notes


def test_the_image_has_the_packages_that_the_configuration_needs(tmp_path: Path) -> None:
    site = "loop = 'uvloop'\nadmin = '127.0.0.1:9100'\n[[routes]]\npath = '/up/*'\nproxy = 'http://127.0.0.1:1'\n"
    (tmp_path / "portway.toml").write_text(site)
    text, _ = export(tmp_path, "docker")
    assert text.count(" 'portway[uvloop,websockets,proxy,metrics]'\n") == 1
    (tmp_path / "portway.toml").write_text("interface = 'wsgi'\n")
    text, _ = export(tmp_path, "docker")
    assert text.count("requirements.txt portway\n") == 1
