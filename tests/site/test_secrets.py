"""Secrets of AWS, asked for with its own client at ministack, an emulator of AWS."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portway.config import resolve
from portway.errors import SecretUnavailable
from portway.site.environment import environment_of
from tests.awslambda.peers import needs
from tests.support.client import get
from tests.support.processes import Portway, wait_for_end

pytestmark = [needs("ministack", "botocore"), pytest.mark.timeout(120)]

WAIT_S = 60.0
ACCESS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Cloud:
    """A running ministack."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.environ = {"PATH": os.environ["PATH"], **ACCESS, "AWS_ENDPOINT_URL": self.url}
        log = directory / "log"
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack.app"],
                cwd=directory,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(directory),
                    "GATEWAY_PORT": str(port),
                    "BIND_HOST": "127.0.0.1",
                },
            )
        deadline = time.monotonic() + WAIT_S
        while True:
            assert time.monotonic() < deadline and self.process.poll() is None, log.read_text()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                pass

    def client(self, service: str) -> Any:
        """Return a client of one of its services."""
        return (
            importlib.import_module("botocore.session")
            .get_session()
            .create_client(
                service,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        )


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    try:
        parameters = made.client("ssm")
        for number in range(12):
            parameters.put_parameter(Name=f"/shop/{number}", Type="SecureString", Value=f"value {number}")
        parameters.put_parameter(Name="/shop/0", Type="SecureString", Value="second", Overwrite=True)
        secrets = made.client("secretsmanager")
        secrets.create_secret(Name="shop/db", SecretString=json.dumps({"user": "u", "port": 5432}))
        secrets.create_secret(Name="plain", SecretString="hunter2")
        secrets.create_secret(Name="nul", SecretString="hunter2\0")
        secrets.create_secret(Name="bytes", SecretBinary=b"\x00\x01")
        yield made
    finally:
        made.process.terminate()
        made.process.wait(WAIT_S)


def found(folder: Path, variables: dict[str, str], environ: dict[str, str]) -> dict[str, str]:
    lines = "\n".join(f"{name} = {json.dumps(text)}" for name, text in variables.items())
    (folder / "portway.toml").write_text(f"[env]\n{lines}\n")
    return dict(environment_of(resolve({}, environ, folder), environ))


def test_parameters_and_secrets(cloud: Cloud, tmp_path: Path) -> None:
    numbered = {f"P{number}": f"${{ssm:/shop/{number}}}" for number in range(12)}
    values = found(
        tmp_path,
        {
            **numbered,
            "DB": "postgres://${secret:shop/db#user}:${secret:plain}@db:${secret:shop/db#port}/",
            "WHOLE": "${secret:shop/db}",
        },
        cloud.environ,
    )
    assert values["P0"] == "second"
    assert values["P11"] == "value 11"
    assert values["DB"] == "postgres://u:hunter2@db:5432/"
    assert json.loads(values["WHOLE"]) == {"user": "u", "port": 5432}


def test_the_region_may_stand_among_the_variables(cloud: Cloud, tmp_path: Path) -> None:
    environ = {name: value for name, value in cloud.environ.items() if name != "AWS_DEFAULT_REGION"}
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        variables = {name: "us-east-1", "A": "${secret:plain}"}
        assert found(tmp_path, variables, environ)["A"] == "hunter2"


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("${ssm:/shop/none}", "${ssm:/shop/none} for A of env in portway.toml does not exist in us-east-1"),
        ("${secret:none}", "${secret:none} for A of env in portway.toml does not exist in us-east-1"),
        ("${secret:shop/db#password}", "has no key 'password'"),
        ("${secret:plain#user}", "has no key 'user'"),
        ("${secret:bytes}", "is binary"),
        ("${secret:nul}", "holds a NUL byte"),
    ],
)
def test_what_is_not_there(cloud: Cloud, tmp_path: Path, reference: str, message: str) -> None:
    with pytest.raises(SecretUnavailable) as caught:
        found(tmp_path, {"FIRST": "${secret:plain}", "A": reference}, cloud.environ)
    assert message in str(caught.value)
    assert caught.value.hint
    assert "hunter2" not in caught.value.render()


@pytest.mark.parametrize(
    ("taken", "added", "message", "hint"),
    [
        ({"AWS_DEFAULT_REGION"}, {}, "must specify a region", "AWS_REGION"),
        ({"AWS_ACCESS_KEY_ID"}, {}, "redentials", "AWS_"),
        (set(), {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "could not connect", "reached"),
    ],
)
def test_aws_is_out_of_reach(
    cloud: Cloud, tmp_path: Path, taken: set[str], added: dict[str, str], message: str, hint: str
) -> None:
    environ = {name: value for name, value in cloud.environ.items() if name not in taken} | added
    environ |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    with pytest.raises(SecretUnavailable) as caught:
        found(tmp_path, {"A": "${ssm:/shop/0}"}, environ)
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_a_denied_secret_names_the_right_that_is_missing(tmp_path: Path) -> None:
    """ministack denies nothing, so this peer answers as AWS does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        body = b'{"__type":"AccessDeniedException","message":"User: u is not authorized"}'
        peer = subprocess.Popen(
            [sys.executable, "-c", _DENYING, str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.PIPE,
        )
        assert peer.stdin is not None
        peer.stdin.write(body)
        peer.stdin.close()
        try:
            environ = {"PATH": os.environ["PATH"], **ACCESS, "AWS_ENDPOINT_URL": url}
            with pytest.raises(SecretUnavailable, match="may not be read") as caught:
                found(tmp_path, {"A": "${secret:plain}"}, environ)
        finally:
            peer.kill()
            peer.wait(WAIT_S)
    assert "secretsmanager:GetSecretValue" in (caught.value.hint or "")


def test_a_service_that_hangs_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:  # takes connections, and answers none
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        environ = {"PATH": os.environ["PATH"], **ACCESS, "AWS_ENDPOINT_URL": url}
        with pytest.raises(SecretUnavailable, match=r"read timeout|not answered within"):
            found(tmp_path, {"A": "${secret:plain}"}, environ)


_DENYING = """
import socket, sys
body = sys.stdin.buffer.read()
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    peer = listener.accept()[0]
    peer.recv(65536)
    peer.sendall(b"HTTP/1.1 400 Bad Request\\r\\nContent-Type: application/x-amz-json-1.1\\r\\n"
                 b"Connection: close\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
    peer.shutdown(socket.SHUT_WR)
    while peer.recv(65536):
        pass
    peer.close()
"""


APP = """
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [os.environ["TOKEN"].encode()]
"""


def test_a_rotated_secret_arrives_with_a_reload(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "portway.toml").write_text('app = "app:app"\nenv = { TOKEN = "${secret:rotated}" }\n')
    secrets = cloud.client("secretsmanager")
    secrets.create_secret(Name="rotated", SecretString="first-value")
    with Portway("", "--workers", "2", env=cloud.environ, cwd=tmp_path) as server:
        assert get(server.ready().address).body == b"first-value"
        secrets.put_secret_value(SecretId="rotated", SecretString="second-value")
        old = server.workers()
        server.send(signal.SIGHUP)
        server.ready(2)
        for worker in old:
            wait_for_end(worker)
        assert get(server.address).body == b"second-value"
        server.wait_for("reload: env: TOKEN changed")

        secrets.delete_secret(SecretId="rotated", ForceDeleteWithoutRecovery=True)
        server.send(signal.SIGHUP)
        server.wait_for("reload: refused.*rotated.*does not exist")
        assert get(server.address).body == b"second-value"
        os.kill(server.workers()[0], signal.SIGKILL)  # its successor has the value without asking
        server.wait_for("worker .*(died|killed|ended|gone)")
        server.stop()
    assert "-value" not in server.log


def test_a_project_cannot_get_between(cloud: Cloud, tmp_path: Path) -> None:
    """The process that asks does not import from the directory that the server is started in."""
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')\n")
    (tmp_path / "portway.toml").write_text('[env]\nA = "${secret:plain}"\n')
    code = (
        "import os, sys; from pathlib import Path; from portway.config import resolve;"
        "from portway.site.environment import environment_of;"
        "print(dict(environment_of(resolve({}, os.environ, Path.cwd()), os.environ)) == {'A': 'hunter2'})"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        env=cloud.environ,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
