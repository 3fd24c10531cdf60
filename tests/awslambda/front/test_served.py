"""A plain handler on `portway serve`: what the engine tells it of a request."""

from __future__ import annotations

import http.client
import json

import pytest

from tests.support.processes import DEADLINE_S, Portway


@pytest.mark.parametrize("kind", ["rest", "http", "url", "alb"])
def test_the_event_has_what_the_client_sent(kind: str) -> None:
    with Portway("echo_event.py", "--event", kind) as server:
        connection = http.client.HTTPConnection(*server.ready().address, timeout=DEADLINE_S)
        for _ in range(3):  # the later ones come from the memo of the header block
            connection.putrequest("PUT", "/a%2Fb/?x=1&x=2&y", skip_accept_encoding=True)
            for name, value in (
                ("X-Probe", "1"),
                ("x-probe", "2"),
                ("X_Under", "3"),
                ("Content-Length", "2"),
            ):
                connection.putheader(name, value)
            connection.endheaders(b"hi")
            response = connection.getresponse()
            assert (response.status, response.getheader("content-type")) == (200, "application/json")
            event = json.loads(response.read())
            headers = event.get("multiValueHeaders") or event["headers"]
            found = {name.lower() for name in headers}
            assert "x_under" in found
            if kind == "rest":
                assert (headers["X-Probe"], headers["x-probe"]) == (["1"], ["2"])
            else:
                assert headers["x-probe"] in ("1,2", ["1", "2"])
            assert event.get("path", event.get("rawPath")) == ("/a/b/" if kind == "http" else "/a%2Fb/")
            assert event["body"] == "aGk="
        connection.close()
        assert server.stop() == 0


def test_the_name_of_the_handler_is_found_and_told() -> None:
    with Portway("echo_event.py") as server:
        server.ready()
        server.wait_for(r"serving Lambda \(Function URL\) application .*echo_event\.py")


def test_a_web_function_is_served_where_lambda_says() -> None:
    environ = {"AWS_LAMBDA_HTTP_ENDPOINT": "127.0.0.1:0", "PORT": "1"}
    with Portway("echo_event.py", bind=False, env=environ) as server:
        connection = http.client.HTTPConnection(*server.ready().address)
        connection.request("GET", "/x")
        assert json.loads(connection.getresponse().read())["rawPath"] == "/x"
        connection.close()
        assert server.stop() == 0
