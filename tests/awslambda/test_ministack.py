"""A function's zip on ministack, an emulator of AWS: created, and asked through three front doors.

Ministack executes Python functions and custom runtimes without Docker. Its events are not exact (it decodes
paths, for example), so what is asked here is only what it gets right; the events themselves are checked
against captures of the real ones elsewhere.
"""

from __future__ import annotations

import http.client
import importlib
import io
import json
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.awslambda.peers import needs
from tests.awslambda.runtime_api import SOURCE

WAIT_S = 60.0
ROLE = "arn:aws:iam::000000000000:role/function"

pytestmark = [needs("ministack", "botocore"), pytest.mark.timeout(180)]

SITE = """
import json
import portway.awslambda

NAMES = ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")

def app(environ, start_response):
    found = {name: environ[name] for name in NAMES}
    found["body"] = environ["wsgi.input"].read().decode()
    fields = [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    start_response("200 OK", fields)
    return [json.dumps(found).encode()]

handler = portway.awslambda.handler(app)
"""
BOOTSTRAP = """#!/bin/sh
export PYTHONPATH="$LAMBDA_TASK_ROOT"
cd "$LAMBDA_TASK_ROOT"
exec {python} -m portway.awslambda site_app:app
"""


def packed() -> bytes:
    """Return a zip with the site, the Lambda room and a bootstrap, as a deployment would upload it."""
    data = io.BytesIO()
    source = Path(SOURCE)
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("site_app.py", SITE)
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        file.writestr(bootstrap, BOOTSTRAP.format(python=sys.executable))
        file.write(source / "portway" / "__init__.py", "portway/__init__.py")
        for path in sorted((source / "portway" / "awslambda").rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                file.write(path, str(path.relative_to(source)))
    return data.getvalue()


class Cloud:
    """A running ministack and clients of it."""

    def __init__(self, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack.app"],
                cwd=directory,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(directory),
                    "GATEWAY_PORT": str(self.port),
                    "BIND_HOST": "127.0.0.1",
                },
            )
        self._session = importlib.import_module("botocore.session").get_session()
        deadline = time.monotonic() + WAIT_S
        while True:
            assert time.monotonic() < deadline and self.process.poll() is None, self.log()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                pass

    def log(self) -> str:
        """Return what it wrote."""
        return self._log.read_text()

    def client(self, service: str) -> Any:
        """Return a client of one of its services."""
        return self._session.create_client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def create(self, name: str, runtime: str, handler: str, code: bytes) -> str:
        """Create a function and return its ARN."""
        client = self.client("lambda")
        client.create_function(
            FunctionName=name,
            Runtime=runtime,
            Role=ROLE,
            Handler=handler,
            Code={"ZipFile": code},
            Timeout=20,
            Environment={"Variables": {"PORTWAY_APP": "site_app:app"}},
        )
        return str(client.get_function(FunctionName=name)["Configuration"]["FunctionArn"])

    def ask(
        self, host: str, path: str, method: str = "GET", body: str = "", **fields: str
    ) -> tuple[Any, list[str]]:
        """Return the JSON of an answer, and its cookies."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        headers = {"Host": host, **{name.replace("_", "-"): value for name, value in fields.items()}}
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        assert response.status == 200, (response.status, data, self.log()[-3000:])
        return json.loads(data), [v for n, v in response.getheaders() if n.lower() == "set-cookie"]

    def url(self, name: str) -> str:
        """Put a function behind a Function URL and return the URL's host."""
        client = self.client("lambda")
        url = client.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
        client.add_permission(
            FunctionName=name,
            StatementId="public",
            Action="lambda:InvokeFunctionUrl",
            Principal="*",
            FunctionUrlAuthType="NONE",
        )
        return str(url).split("//")[1].strip("/")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An AWS of its own for this module."""
    made = Cloud(tmp_path_factory.mktemp("ministack"))
    yield made
    made.process.terminate()
    try:
        made.process.wait(WAIT_S)
    except subprocess.TimeoutExpired:
        made.process.kill()
        made.process.wait()


@pytest.fixture(scope="module")
def code() -> bytes:
    """The function's zip."""
    return packed()


@pytest.mark.parametrize(
    ("runtime", "handler"),
    [
        ("python3.12", "site_app.handler"),
        ("python3.12", "portway.awslambda.main"),
        ("provided.al2023", "site_app.handler"),
    ],
    ids=["handler", "main", "bootstrap"],
)
def test_behind_a_function_url(runtime: str, handler: str, cloud: Cloud, code: bytes) -> None:
    name = f"{runtime.partition('.')[0]}-{handler.replace('.', '-')}"
    cloud.create(name, runtime, handler, code)
    host = cloud.url(name)
    for number in range(2):
        found, cookies = cloud.ask(host, f"/a/{number}?x=1&y=2", "POST", "hello", Content_Type="text/plain")
        assert found == {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": f"/a/{number}",
            "QUERY_STRING": "x=1&y=2",
            "body": "hello",
        }
        assert cookies == ["a=1", "b=2"]


def test_behind_an_http_api(cloud: Cloud, code: bytes) -> None:
    arn = cloud.create("of-http", "python3.12", "site_app.handler", code)
    gateway = cloud.client("apigatewayv2")
    api = gateway.create_api(Name="h", ProtocolType="HTTP")["ApiId"]
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    gateway.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    found, _ = cloud.ask(f"{api}.execute-api.localhost:{cloud.port}", "/items/1?a=1")
    assert (found["PATH_INFO"], found["QUERY_STRING"], found["SCRIPT_NAME"]) == ("/items/1", "a=1", "")


def test_behind_a_rest_api(cloud: Cloud, code: bytes) -> None:
    arn = cloud.create("of-rest", "python3.12", "site_app.handler", code)
    gateway = cloud.client("apigateway")
    api = gateway.create_rest_api(name="r")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    proxy = gateway.create_resource(restApiId=api, parentId=root, pathPart="{proxy+}")["id"]
    gateway.put_method(restApiId=api, resourceId=proxy, httpMethod="ANY", authorizationType="NONE")
    gateway.put_integration(
        restApiId=api,
        resourceId=proxy,
        httpMethod="ANY",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations",
    )
    gateway.create_deployment(restApiId=api, stageName="prod")
    found, _ = cloud.ask(f"{api}.execute-api.localhost:{cloud.port}", "/prod/users/7?a=1")
    assert (found["PATH_INFO"], found["QUERY_STRING"]) == ("/users/7", "a=1")
