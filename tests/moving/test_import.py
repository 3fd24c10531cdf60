"""portway import: what becomes of the configuration of other servers."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import COMMAND, DEADLINE_S


def run(cwd: Path, *words: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any], str]:
    """Run `portway import` and return its code, the table that it printed, and its notes."""
    outcome = subprocess.run(
        [*COMMAND, "import", *words],
        cwd=cwd,
        env={"PATH": "", "PYTHONPATH": ":".join(filter(None, sys.path)), **(env or {})},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    return outcome.returncode, tomllib.loads(outcome.stdout), outcome.stderr


def test_a_configuration_file_of_gunicorn(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os\n"
        "print('not part of the output')\n"
        "cores = 3\n"
        "bind = ['0.0.0.0', 'unix:/run/app.sock', '[::1]:81']\n"
        "workers = cores\n"
        "worker_class = 'gthread'\n"
        "threads = 8\n"
        "keepalive = 5\n"
        "timeout = 90\n"
        "max_requests, max_requests_jitter = 1000, 50\n"
        "preload_app = True\n"
        "accesslog = '-'\n"
        "umask = 0o027\n"
        "forwarded_allow_ips = '10.0.0.0/8, 127.0.0.1'\n"
        "wsgi_app = os.environ['WHICH'] + ':app'\n"
        "limit_request_line = 10**9\n"
        "daemon = True\n"
        "def post_fork(server, worker): pass\n"
    )
    (tmp_path / "shop.py").write_text("raise RuntimeError('the application was imported')\n")
    code, table, notes = run(tmp_path, "gunicorn.conf.py", env={"WHICH": "shop"})
    assert code == 0, notes
    assert table == {
        "app": "shop:app",
        "bind": ["0.0.0.0:8000", "unix:/run/app.sock", "[::1]:81"],
        "workers": 3,
        "preload": True,
        "keep-alive": 5,
        "timeout": 90,
        "max-requests": 1000,
        "max-requests-jitter": 50,
        "access-log": "-",
        "umask": 0o027,
        "forwarded-allow-ips": ["10.0.0.0/8", "127.0.0.1"],
        "threads": 8,
    }
    assert "limit_request_line: 1000000000 cannot be limit-request-line, which must be from 64 to 1M" in notes
    assert (
        'post_fork: put the function into a module and name it: [hooks] post_fork = "module:function"'
        in notes
    )
    assert "daemon: a service manager keeps it" in notes
    assert "cores" not in notes


def test_what_is_printed_configures_the_server(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def app(environ, start_response): ...\n")
    words = "gunicorn -w 4 -b :9000 -k gthread --threads 3 --access-logfile=- -m 022 --proxy-protocol app:app"
    outcome = subprocess.run(
        [*COMMAND, "import", "--", *words.split()], cwd=tmp_path, capture_output=True, timeout=DEADLINE_S
    )
    (tmp_path / "portway.toml").write_bytes(outcome.stdout)
    check = subprocess.run(
        [*COMMAND, "check"], cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S
    )
    assert check.returncode == 0, check.stderr
    assert "0.0.0.0:9000" in check.stdout
    assert tomllib.loads(outcome.stdout.decode()) == {
        "app": "app:app",
        "bind": ["0.0.0.0:9000"],
        "workers": 4,
        "threads": 3,
        "umask": 0o022,
        "access-log": "-",
        "proxy-protocol": "auto",
    }


def test_one_thread_stays_one_thread(tmp_path: Path) -> None:
    """Portway's default is four, and an application that gunicorn's sync workers ran may not bear two."""
    assert run(tmp_path, "--", "gunicorn", "app:app")[1] == {"app": "app:app", "threads": 1}


@pytest.mark.parametrize(
    ("words", "table"),
    [
        (
            "gunicorn -w4 -k uvicorn.workers.UvicornWorker --preload app:app",
            {"app": "app:app", "workers": 4, "interface": "asgi", "preload": True},
        ),
        (
            "WEB=1 exec /venv/bin/python3.12 -m gunicorn --bind=unix:/run/x.sock -u nobody a:b",
            {"app": "a:b", "bind": ["unix:/run/x.sock"], "user": "nobody", "threads": 1},
        ),
        (
            "uvicorn --host :: --port 80 --no-access-log --workers 2 --root-path /api app:app",
            {"app": "app:app", "bind": ["[::]:80"], "workers": 2, "root-path": "/api"},
        ),
        (
            "uvicorn --uds /run/x.sock --factory --no-proxy-headers --no-date-header --loop uvloop app:make",
            {
                "app": "app:make",
                "factory": True,
                "bind": ["unix:/run/x.sock"],
                "uds-permissions": 0o666,
                "forwarded-allow-ips": [],
                "loop": "uvloop",
                "access-log": "-",
                "date-header": False,
            },
        ),
        (
            "uvicorn app:app --limit-max-requests 100 --timeout-graceful-shutdown 3 --log-level trace",
            {
                "app": "app:app",
                "max-requests": 100,
                "graceful-timeout": 3,
                "log-level": "debug",
                "access-log": "-",
            },
        ),
        (
            "uvicorn app:app --no-access-log --ws websockets --ws-max-size 65536 --ws-max-queue 8 "
            "--ws-ping-interval 12.5 --ws-ping-timeout=30 --ws-per-message-deflate false",
            {
                "app": "app:app",
                "ws-max-size": 65536,
                "ws-max-queue": 8,
                "ws-ping-interval": 12.5,
                "ws-ping-timeout": 30,
                "ws-per-message-deflate": False,
            },
        ),
        (
            "uvicorn app:app --no-access-log --ws-max-size 16777216 --ws-per-message-deflate true",
            {"app": "app:app"},
        ),
        ("uvicorn app:app --no-access-log --ws none", {"app": "app:app", "ws": "none"}),
        (
            "gunicorn -k asgi --websocket-max-message-size 0 app:app",
            {"app": "app:app", "interface": "asgi", "ws-max-size": 0},
        ),
    ],
)
def test_command_lines(tmp_path: Path, words: str, table: dict[str, Any]) -> None:
    code, printed, notes = run(tmp_path, "--", *words.split())
    assert (code, printed) == (0, table), notes


@pytest.mark.parametrize(
    ("setting", "table", "note"),
    [
        ("proxy_protocol = True", {"proxy-protocol": "auto"}, ""),
        ("proxy_protocol = False", {}, ""),
        ("proxy_protocol = 'V2'", {"proxy-protocol": "v2"}, ""),
        ("proxy_protocol = 'v3'", {}, "proxy_protocol: 'v3' cannot be proxy-protocol"),
        (
            """access_log_format = '%(h)s %(t)s "%(r)s" %(s)s %({x-real-ip}i)s %(D)s'""",
            {"access-log-format": '%(h)s %(t)s "%(r)s" %(s)s %({x-real-ip}i)s %(D)s'},
            "",
        ),
        ("access_log_format = '%(h)s %({etag}o)s'", {}, "there is no field '{etag}o'"),
        ("control_socket = '/run/g.ctl'", {}, "`portway ctl`"),
        ("http_protocols = 'h2,h1'", {}, "let a proxy in front speak HTTP/2"),
    ],
)
def test_settings_that_need_a_look(tmp_path: Path, setting: str, table: dict[str, Any], note: str) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(f"threads = 4\nkeepalive = 75\n{setting}\n")
    code, printed, notes = run(tmp_path, "gunicorn.conf.py")
    assert (code, printed) == (0, table)
    told = notes.replace("note: X-Forwarded-For: from a trusted proxy", "").count("note: ")
    assert (note in notes, told) == (True, 1 if note else 0), notes


def test_the_file_the_variable_and_the_flags_go_in_gunicorns_order(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "workers = 2\nbacklog = 100\nthreads = 2\nwsgi_app = 'app:app'\n"
    )
    env = {"GUNICORN_CMD_ARGS": "--workers=3 --backlog 200"}
    _, table, _ = run(tmp_path, "--", "gunicorn", "--workers", "4", env=env)
    assert table == {"app": "app:app", "workers": 4, "backlog": 200, "threads": 2}


def test_what_is_told_on_standard_error(tmp_path: Path) -> None:
    words = "gunicorn -k gevent --statsd-host x:1 --wrong 3 app:app"
    code, _, notes = run(tmp_path, "--", *words.split())
    assert code == 0
    for note in ("worker_class: there is no gevent", "statsd_host:", "wrong: is no setting of gunicorn"):
        assert f"note: {note}" in notes
    _, _, notes = run(tmp_path, "--", "uvicorn", "--forwarded-allow-ips", "*", "--http", "h11", "app:app")
    assert "the last entry of X-Forwarded-For is the client" in notes and "--http:" in notes
    words = "uvicorn --ws wsproto --ws-max-queue 0 --ws-ping-interval soon app:app"
    _, table, notes = run(tmp_path, "--", *words.split())
    assert not [name for name in table if name.startswith("ws")]
    assert "note: --ws: there is one WebSocket implementation" in notes
    assert "--ws-max-queue: '0' cannot be ws-max-queue, which must be from 1 to" in notes
    assert "--ws-ping-interval: 'soon' cannot be ws-ping-interval" in notes


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("import nowhere_at_all\n", "No module named 'nowhere_at_all'"),
        ("workers = \n", "SyntaxError"),
        ("raise SystemExit(3)\n", "exit code 3"),
        ("import os; os._exit(0)\n", "exit code 0"),
    ],
)
def test_a_file_that_fails_says_why(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(content)
    code, table, text = run(tmp_path, "gunicorn.conf.py")
    assert (code, table) == (1, {})
    assert text.startswith("error: ") and why in text and "hint: " in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((), "nothing to import"),
        (("nowhere.py",), "no such file"),
        (("--", "waitress-serve", "app:app"), "no command line of gunicorn or uvicorn"),
        (("--", "gunicorn", "--workers"), "--workers lacks its value"),
    ],
)
def test_input_that_cannot_be_read(tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    code, _, text = run(tmp_path, *words)
    assert code == 1 and text.startswith("error: ") and why in text


@pytest.mark.parametrize(
    ("words", "table", "note"),
    [
        (
            "uvicorn --ssl-certfile c --ssl-ca-certs ca --ssl-cert-reqs 2 app:app",
            {"certfile": ["c"], "ca-certs": "ca", "cert-reqs": "required"},
            "",
        ),
        (
            "uvicorn --ssl-certfile c --ssl-ca-certs ca --ssl-cert-reqs 1 app:app",
            {"certfile": ["c"], "ca-certs": "ca", "cert-reqs": "optional"},
            "",
        ),
        (
            "uvicorn --ssl-certfile c --ssl-ca-certs ca --ssl-keyfile-password s3cret app:app",
            {"certfile": ["c"]},
            "keyfile-password = file:PATH",
        ),
        ("gunicorn --certfile c --ca-certs ca app:app", {"certfile": ["c"]}, "it had no effect"),
        (
            "gunicorn --certfile c --ca-certs ca --cert-reqs 2 app:app",
            {"certfile": ["c"], "ca-certs": "ca", "cert-reqs": "required"},
            "",
        ),
    ],
)
def test_what_is_asked_of_clients(tmp_path: Path, words: str, table: dict[str, Any], note: str) -> None:
    code, made, notes = run(tmp_path, "--", *words.split())
    assert code == 0
    for name in ("certfile", "ca-certs", "cert-reqs", "keyfile-password"):
        assert made.get(name) == table.get(name)
    assert note in notes and "s3cret" not in notes


def test_a_constant_of_ssl_is_a_number(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text(
        "import ssl\ncertfile = 'c'\nca_certs = 'ca'\ncert_reqs = ssl.CERT_REQUIRED\n"
    )
    code, made, _ = run(tmp_path, "gunicorn.conf.py")
    assert (code, made["cert-reqs"], made["ca-certs"]) == (0, "required", "ca")
