"""Socket activation: a server that serves what it was handed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.client import Client
from tests.support.processes import COMMAND, DEADLINE_S

# What systemd does: the sockets from descriptor 3 on, and the variables of the process that will be.
LAUNCH = """
import os, sys
for position, fd in enumerate(map(int, sys.argv[1].split(","))):
    os.dup2(fd, 3 + position)
    os.set_inheritable(3 + position, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(position + 1), LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.executable, [sys.executable, *sys.argv[3:]])
"""
APP = """
import json, os
def app(environ, start_response):
    start_response("200 OK", [])
    names = sorted(name for name in os.environ if name.startswith("LISTEN_"))
    return [json.dumps([environ["SERVER_PORT"], names]).encode()]
"""


def test_sockets_are_served_and_the_variables_are_gone(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    unix = tmp_path / "web.sock"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(unix))
        local.listen()
        # Far from 3 and 4, so that one is not replaced before it is moved.
        moved = [os.dup(sock.fileno()) for sock in (tcp, local)]
        command = [sys.executable, "-c", LAUNCH, ",".join(map(str, moved)), "web:local", *COMMAND[1:]]
        process = subprocess.Popen(
            [*command, "serve", str(tmp_path / "app.py"), "--bind", "127.0.0.1:1"],
            pass_fds=moved,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        for fd in moved:
            os.close(fd)
        try:
            port = tcp.getsockname()[1]
            with Client(("127.0.0.1", port), DEADLINE_S) as client:
                assert json.loads(client.get("/").body) == [str(port), []]
            with Client(str(unix), DEADLINE_S) as client:
                assert client.get("/").status == 200
        finally:
            process.terminate()
            _, log = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, log
        assert "systemd passed 2 sockets" in log
        assert unix.exists()  # the one who made it removes it
