"""An API Gateway WebSocket API as an ASGI websocket, across events and environments."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest

from portway.awslambda.websocket import ClientGone, ManagementAPI
from tests.awslambda.applications import Application, Context
from tests.awslambda.conftest import Handler

ENDPOINT = "https://ws1.execute-api.eu-central-1.amazonaws.com/dev"


def event(kind: str, connection: str = "L0SM9cOFvHcCIhw=", **more: Any) -> dict[str, Any]:
    """Return an event of a connection; only the handshake has header fields."""
    context = {
        "routeKey": {"CONNECT": "$connect", "DISCONNECT": "$disconnect"}.get(kind, "$default"),
        "eventType": kind,
        "messageDirection": "IN",
        "stage": "dev",
        "connectedAt": 1607854667185,
        "identity": {"sourceIp": "203.0.113.7"},
        "domainName": "ws1.execute-api.eu-central-1.amazonaws.com",
        "connectionId": connection,
        "apiId": "ws1",
        "requestId": "XfGLwFTktjMFsLg=",
    }
    if kind == "MESSAGE":
        context["messageId"] = "Xf="
    if kind == "DISCONNECT":
        context.update(disconnectStatusCode=1001, disconnectReason="going away")
    found: dict[str, Any] = {"requestContext": context, "isBase64Encoded": False}
    if kind == "CONNECT":
        found["headers"] = {
            "Host": "ws1.execute-api.eu-central-1.amazonaws.com",
            "Sec-WebSocket-Protocol": "chat, v2",
        }
        found["multiValueHeaders"] = {name: [value] for name, value in found["headers"].items()}
        found["queryStringParameters"] = {"room": "a b"}
        found["multiValueQueryStringParameters"] = {"room": ["a b"]}
    return {**found, **more}


class Posts:
    """A poster that keeps what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, bytes]] = []
        self.closed: list[str] = []
        self.gone = False

    def post(self, endpoint: str, connection_id: str, data: bytes) -> None:
        if self.gone:
            raise ClientGone("gone")
        self.sent.append((endpoint, connection_id, data))

    def close(self, endpoint: str, connection_id: str) -> None:
        self.closed.append(connection_id)

    def texts(self) -> list[str]:
        """Return what was sent, as text, and forget it."""
        found = [data.decode() for _, _, data in self.sent]
        self.sent.clear()
        return found


class Store(dict[str, Any]):
    """A store of handshakes that environments share."""

    def save(self, connection_id: str, handshake: dict[str, Any]) -> None:
        self[connection_id] = handshake

    def load(self, connection_id: str) -> dict[str, Any] | None:
        return self.get(connection_id)

    def delete(self, connection_id: str) -> None:
        self.pop(connection_id, None)


class Chat:
    """Counts and echoes what one connection says."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.log: list[Any] = []

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        self.scopes.append(scope)
        assert (await receive())["type"] == "websocket.connect"
        if b"deny" in scope["query_string"]:
            await send({"type": "websocket.close", "code": 4000})
            return
        await send({"type": "websocket.accept", "subprotocol": "v2"})
        await send({"type": "websocket.send", "text": "welcome"})
        count = 0
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.log.append((message["code"], count))
                return
            count += 1
            text = message.get("text")
            if text == "bye":
                await send({"type": "websocket.close"})
                return
            if text == "raise":
                raise RuntimeError
            if text is None:
                await send({"type": "websocket.send", "bytes": message["bytes"][::-1]})
            else:
                await send({"type": "websocket.send", "text": f"{count} {text}"})


@pytest.fixture
def posts() -> Posts:
    """What the applications sent."""
    return Posts()


def test_a_conversation(made: Handler, posts: Posts) -> None:
    app = Chat()
    handler = made(app, poster=posts, lifespan="off", websocket_path="/ws")
    answer = handler(event("CONNECT"), Context())
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "v2"}}
    assert posts.sent == []  # the management API does not know the connection yet
    scope = app.scopes[0]
    assert (scope["path"], scope["root_path"], scope["query_string"]) == ("/dev/ws", "/dev", b"room=a%20b")
    assert (scope["scheme"], scope["subprotocols"]) == ("wss", ["chat", "v2"])
    assert (scope["client"], "method" in scope) == (("203.0.113.7", 0), False)
    assert handler(event("MESSAGE", body="hello"), Context()) == {"statusCode": 200}
    assert {(endpoint, name) for endpoint, name, _ in posts.sent} == {(ENDPOINT, "L0SM9cOFvHcCIhw=")}
    assert posts.texts() == ["welcome", "1 hello"]
    handler(event("MESSAGE", body="AQI=", isBase64Encoded=True), Context())
    assert [data for _, _, data in posts.sent] == [b"\2\1"]
    posts.sent.clear()
    assert handler(event("DISCONNECT"), Context()) == {"statusCode": 200}
    assert (app.log, posts.sent, len(app.scopes)) == ([(1001, 2)], [], 1)


def test_connections_do_not_mix(made: Handler, posts: Posts) -> None:
    handler = made(Chat(), poster=posts, lifespan="off")
    for name in ("a", "b"):
        handler(event("CONNECT", name), Context())
        handler(event("MESSAGE", name, body="x"), Context())
    handler(event("MESSAGE", "a", body="y"), Context())
    assert [(name, data) for _, name, data in posts.sent if data != b"welcome"] == [
        ("a", b"1 x"),
        ("b", b"1 x"),
        ("a", b"2 y"),
    ]


def test_a_handshake_that_is_refused(made: Handler, posts: Posts) -> None:
    handler = made(Chat(), poster=posts, lifespan="off")
    refused = event("CONNECT", multiValueQueryStringParameters={"deny": ["1"]})
    assert handler(refused, Context()) == {"statusCode": 403}
    assert posts.closed == []


def test_an_application_that_closes(made: Handler, posts: Posts) -> None:
    handler = made(Chat(), poster=posts, lifespan="off")
    handler(event("CONNECT"), Context())
    assert handler(event("MESSAGE", body="bye"), Context()) == {"statusCode": 200}
    assert posts.closed == ["L0SM9cOFvHcCIhw="]


def test_an_application_that_fails(made: Handler, posts: Posts, caplog: pytest.LogCaptureFixture) -> None:
    handler = made(Chat(), poster=posts, lifespan="off")
    handler(event("CONNECT"), Context())
    assert handler(event("MESSAGE", body="raise"), Context()) == {"statusCode": 500}
    assert posts.closed == ["L0SM9cOFvHcCIhw="]
    assert "the application failed on the connection" in caplog.text
    handler(event("CONNECT", "next"), Context())
    assert handler(event("MESSAGE", "next", body="x"), Context()) == {"statusCode": 200}


def test_another_environment_takes_over(made: Handler, posts: Posts) -> None:
    store = Store()
    first, second = Chat(), Chat()
    one = made(first, poster=posts, store=store, lifespan="off")
    one(event("CONNECT"), Context())
    one(event("MESSAGE", body="x"), Context())
    posts.sent.clear()
    two = made(second, poster=posts, store=store, lifespan="off")
    two(event("MESSAGE", body="y"), Context())
    assert posts.texts() == ["1 y"]  # not welcomed again
    assert second.scopes[0]["query_string"] == b"room=a%20b"
    two(event("DISCONNECT"), Context())
    assert (second.log, dict(store)) == ([(1001, 1)], {})


def test_without_a_store_the_handshake_is_lost_and_the_connection_is_not(made: Handler, posts: Posts) -> None:
    app = Chat()
    handler = made(app, poster=posts, lifespan="off")
    assert handler(event("MESSAGE", body="x"), Context()) == {"statusCode": 200}
    assert posts.texts() == ["1 x"]
    assert app.scopes[0]["headers"] == []


def test_a_client_that_has_gone(made: Handler, posts: Posts, caplog: pytest.LogCaptureFixture) -> None:
    raised = []

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        for _ in range(2):
            try:
                await send({"type": "websocket.send", "text": "x"})
            except OSError as error:
                raised.append(error)

    handler = made(app, poster=posts, lifespan="off")
    handler(event("CONNECT"), Context())
    posts.gone = True
    assert handler(event("MESSAGE", body="x"), Context()) == {"statusCode": 200}
    assert len(raised) == 2


def test_a_handshake_that_never_ends_meets_the_deadline(made: Handler, posts: Posts) -> None:
    import asyncio

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        if b"slow" in scope["query_string"]:
            await asyncio.get_running_loop().create_future()
        await send({"type": "websocket.accept"})
        await receive()

    handler = made(app, poster=posts, lifespan="off")
    slow = event("CONNECT", "slow", multiValueQueryStringParameters={"slow": ["1"]})
    assert handler(slow, Context(0.3)) == {"statusCode": 504}
    assert handler(event("CONNECT"), Context())["statusCode"] == 200


def test_a_wsgi_application_cannot_take_connections(
    made: Handler, application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    assert made(application.wsgi)(event("CONNECT"), Context()) == {"statusCode": 501}


def test_the_endpoint_behind_a_custom_domain(
    made: Handler, posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    handler = made(Chat(), poster=posts, lifespan="off")
    message = event("MESSAGE", body="x")
    message["requestContext"]["domainName"] = "chat.example.com"
    handler(message, Context())
    assert posts.sent[0][0] == ENDPOINT


def test_boto3_is_imported_for_the_first_message_only() -> None:
    api = ManagementAPI()
    if importlib.util.find_spec("boto3") is None:
        with pytest.raises(ImportError, match="boto3"):
            api.post("https://x", "c", b"")
