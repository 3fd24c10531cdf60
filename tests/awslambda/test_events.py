"""Each front door's event becomes the request that the client sent, by that door's own rules."""

from __future__ import annotations

import pytest

from portway.awslambda import events
from portway.awslambda.adapter import LambdaHandler
from tests.awslambda.applications import Application, Context, Seen
from tests.awslambda.front_doors import (
    DOORS,
    Wire,
    alb,
    answered,
    edge,
    function_url,
    http_api,
    http_api_v1,
    lattice,
    rest,
)

FORM = Wire(
    method="POST",
    path="/shop/caf%C3%A9/a%20b",
    query="q=a+b&q=c%2Bd&flag=&x=1",
    fields=(
        ("Content-Type", "application/json"),
        ("Cookie", "a=1; b=2"),
        ("X-Twice", "one"),
        ("X-Twice", "two"),
    ),
    body='{"name": "Ünï"}'.encode(),
)


def seen(handler: LambdaHandler, application: Application, event: object) -> Seen:
    """Run one event and return what the application saw of it."""
    handler(event, Context())
    return application.seen[-1]


@pytest.mark.parametrize("door", DOORS)
def test_every_door_delivers_the_request(
    door: str, lambda_handler: LambdaHandler, application: Application
) -> None:
    event = DOORS[door](FORM)
    assert events.detect(event) == door.removesuffix("-multi").removesuffix("-single")
    answer = answered(door, lambda_handler(event, Context()))
    assert (answer.status, answer.body) == (200, b"ok")
    found = application.seen[-1]
    assert (found.method, found.path) == ("POST", "/shop/café/a b".encode())
    assert found.body == FORM.body
    assert (found.host, found.port, found.scheme) == ("example.com", 443, "https")
    assert found.client == "203.0.113.7"
    assert found.fields["content-type"] == ["application/json"]
    assert found.fields["cookie"] == ["a=1; b=2"]
    assert found.fields["content-length"] == [str(len(FORM.body))]


@pytest.mark.parametrize("door", ["http-api", "function-url", "lambda-edge"])
def test_a_raw_query_is_passed_on_byte_for_byte(
    door: str, lambda_handler: LambdaHandler, application: Application
) -> None:
    query = "b=1&a=2&b=3&f&empty=&plus=a+b&encoded=a%2Bb&&=x&u=%e2%82%ac"
    assert seen(lambda_handler, application, DOORS[door](Wire(query=query))).query == query.encode()


def test_alb_keeps_the_spelling_of_its_query(lambda_handler: LambdaHandler, application: Application) -> None:
    event = alb(Wire(query="plus=a+b&encoded=a%2Bb&again=%e2&again=x"))
    assert seen(lambda_handler, application, event).query == b"plus=a+b&encoded=a%2Bb&again=%e2&again=x"


def test_rest_encodes_its_query_again(lambda_handler: LambdaHandler, application: Application) -> None:
    event = rest(Wire(query="plus=a+b&encoded=a%2Bb&r=https%3A%2F%2Fe.org%2F&again=1&again=2&empty="))
    assert seen(lambda_handler, application, event).query == (
        b"plus=a%20b&encoded=a%2Bb&r=https%3A%2F%2Fe.org%2F&again=1&again=2&empty="
    )


@pytest.mark.parametrize(
    ("sent", "delivered", "expected"),
    [
        ("/a%252Fb", "/a%2Fb", b"/a%2Fb"),
        ("/a%2Fb", "/a/b", b"/a/b"),
        ("/100%2525", "/100%25", b"/100%25"),
        ("/space%20value", "/space value", b"/space value"),
    ],
)
def test_http_api_paths_arrive_decoded_and_are_not_decoded_again(
    sent: str, delivered: str, expected: bytes, lambda_handler: LambdaHandler, application: Application
) -> None:
    event = http_api(Wire(path=sent))
    assert event["rawPath"] == delivered
    assert seen(lambda_handler, application, event).path == expected


@pytest.mark.parametrize("door", [rest, function_url, alb, edge, lattice])
@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ("/a%252Fb", b"/a%2Fb"),
        ("/a%2Fb", b"/a/b"),
        ("/100%25", b"/100%"),
        ("/100%", b"/100%"),
        ("/%zz%4", b"/%zz%4"),
        ("/q%3Fx%23y", b"/q?x#y"),
        ("//double//slash/", b"//double//slash/"),
        ("/../up", b"/../up"),
    ],
)
def test_encoded_paths_are_decoded_once(
    door: object, sent: str, expected: bytes, lambda_handler: LambdaHandler, application: Application
) -> None:
    assert callable(door)
    found = seen(lambda_handler, application, door(Wire(path=sent)))
    assert found.path == expected


def test_a_function_urls_decoded_path_is_never_used(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    event = function_url(Wire(path="/tail/"))
    assert event["requestContext"]["http"]["path"] == "/tail"
    assert seen(lambda_handler, application, event).path == b"/tail/"


def test_wsgi_gets_the_octets_of_a_path_that_is_not_utf8(made: object, application: Application) -> None:
    assert callable(made)
    made(application.wsgi)(function_url(Wire(path="/%ff%fe")), Context())
    assert application.seen[-1].path == b"/\xff\xfe"


def test_asgi_gets_raw_path_and_a_path_it_can_hold(made: object, application: Application) -> None:
    assert callable(made)
    made(application.asgi, lifespan="off")(function_url(Wire(path="/%ff%C3%A9")), Context())
    scope = application.raw[-1]
    assert (scope["path"], scope["raw_path"]) == ("/\ufffdé", b"/%ff%C3%A9")


def test_asgi_raw_path_of_a_decoded_path_is_encoded_again(made: object, application: Application) -> None:
    assert callable(made)
    made(application.asgi, lifespan="off")(http_api(Wire(path="/caf%C3%A9%20%25")), Context())
    assert application.raw[-1]["raw_path"] == b"/caf%C3%A9%20%25"


def test_cookies_of_a_function_url_count_once(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    event = function_url(Wire(fields=(("Cookie", "session=abc; theme=dark"),)))
    assert event["cookies"] and "cookie" in event["headers"]
    assert seen(lambda_handler, application, event).fields["cookie"] == ["session=abc; theme=dark"]


def test_repeated_fields_stay_apart_for_asgi(made: object, application: Application) -> None:
    assert callable(made)
    made(application.asgi, lifespan="off")(rest(FORM), Context())
    assert application.seen[-1].fields["x-twice"] == ["one", "two"]


def test_repeated_fields_are_joined_for_wsgi(made: object, application: Application) -> None:
    assert callable(made)
    made(application.wsgi)(alb(FORM), Context())
    assert application.raw[-1]["HTTP_X_TWICE"] == "one, two"


def test_underscored_names_cannot_pose_as_others(made: object, application: Application) -> None:
    assert callable(made)
    wire = Wire(fields=(("X_Forwarded_Proto", "http"), ("Content_Type", "x"), ("X-Fine", "1")))
    made(application.wsgi)(alb(wire), Context())
    environ = application.raw[-1]
    assert environ["HTTP_X_FORWARDED_PROTO"] == "https"
    assert "CONTENT_TYPE" not in environ and "HTTP_CONTENT_TYPE" not in environ
    assert environ["HTTP_X_FINE"] == "1"


def test_the_client_of_an_alb_is_the_last_hop(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    event = alb(Wire(fields=(("X-Forwarded-For", "6.6.6.6"),), client="198.51.100.4"))
    assert event["multiValueHeaders"]["x-forwarded-for"] == ["6.6.6.6, 198.51.100.4"]
    assert seen(lambda_handler, application, event).client == "198.51.100.4"


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("198.51.100.4:4711", "198.51.100.4"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_hop_may_carry_a_port(
    hop: str, address: str, lambda_handler: LambdaHandler, application: Application
) -> None:
    assert seen(lambda_handler, application, alb(Wire(client=hop))).client == address


@pytest.mark.parametrize(
    ("host", "scheme", "expected"),
    [
        ("[::1]:8000", "http", ("::1", 80)),
        ("example.com:8443", "https", ("example.com", 443)),
        ("example.com", "http", ("example.com", 80)),
    ],
)
def test_host_and_port(
    host: str,
    scheme: str,
    expected: tuple[str, int],
    lambda_handler: LambdaHandler,
    application: Application,
) -> None:
    found = seen(lambda_handler, application, alb(Wire(host=host, scheme=scheme)))
    assert ((found.host, found.port), found.scheme) == (expected, scheme)
    assert found.fields["host"] == [host]


def test_an_alb_health_check_has_no_host(lambda_handler: LambdaHandler, application: Application) -> None:
    event = alb(Wire(path="/health", fields=(("User-Agent", "ELB-HealthChecker/2.0"),)), multi=False)
    event["headers"] = {"user-agent": "ELB-HealthChecker/2.0"}
    found = seen(lambda_handler, application, event)
    assert (found.path, found.client, found.host, found.port) == (b"/health", "", "localhost", 80)
    event["headers"] = None
    event["queryStringParameters"] = None
    assert seen(lambda_handler, application, event).fields == {}


def test_null_objects_of_a_rest_event(lambda_handler: LambdaHandler, application: Application) -> None:
    event = rest(Wire(path="/x"))
    event.update(headers=None, multiValueHeaders=None, requestContext=None)
    found = seen(lambda_handler, application, event)
    assert (found.path, found.query, found.fields, found.host) == (b"/x", b"", {}, "localhost")


def test_single_values_of_a_rest_event_do_where_the_lists_are_missing(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    event = rest(Wire(query="a=1&b=%20", fields=(("X-One", "1"),)))
    event.update(multiValueHeaders=None, multiValueQueryStringParameters=None)
    found = seen(lambda_handler, application, event)
    assert (found.query, found.fields["x-one"]) == (b"a=1&b=%20", ["1"])


@pytest.mark.parametrize(
    ("event", "root", "path"),
    [
        (rest(Wire(path="/users/7")), "/prod", b"/users/7"),
        (rest(Wire(path="/users/7/")), "/prod", b"/users/7/"),
        (rest(Wire(path="/")), "/prod", b"/"),
        (rest(Wire(path="/caf%C3%A9")), "/prod", "/café".encode()),
        (rest(Wire(path="/users"), domain="api.example.com", base="/v1"), "/v1", b"/users"),
        (rest(Wire(path="/users"), domain="api.example.com"), "", b"/users"),
        (rest(Wire(path="/v1x/users"), domain="api.example.com"), "", b"/v1x/users"),
        (http_api(Wire(path="/users"), stage="dev"), "/dev", b"/users"),
        (http_api(Wire(path="/"), stage="dev"), "/dev", b"/"),
        (http_api(Wire(path="/devices")), "", b"/devices"),
        (http_api(Wire(path="/users"), stage="dev", domain="api.example.com"), "", b"/users"),
        (http_api_v1(Wire(path="/users"), stage="dev"), "/dev", b"/users"),
        (function_url(Wire(path="/users")), "", b"/users"),
        (alb(Wire(path="/users")), "", b"/users"),
    ],
)
def test_where_the_application_is_mounted(
    event: object, root: str, path: bytes, lambda_handler: LambdaHandler, application: Application
) -> None:
    found = seen(lambda_handler, application, event)
    assert (found.root_path, found.path) == (root, path)


def test_a_stage_without_a_slash_is_the_root(lambda_handler: LambdaHandler, application: Application) -> None:
    event = rest(Wire(path="/"))
    event["requestContext"]["path"] = "/prod"
    found = seen(lambda_handler, application, event)
    assert (found.root_path, found.path) == ("/prod", b"/")


def test_a_base_path_of_an_http_api_shows_in_its_route(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    event = http_api(Wire(path="/orders/pets/6"), domain="api.example.com", route="GET /pets/{id}")
    event["pathParameters"] = {"id": "6"}
    found = seen(lambda_handler, application, event)
    assert (found.root_path, found.path) == ("/orders", b"/pets/6")


@pytest.mark.parametrize("interface", ["wsgi", "asgi"])
@pytest.mark.parametrize(
    ("event", "option", "root", "path"),
    [
        (function_url(Wire(path="/api/users")), "/api", "/api", b"/users"),
        (function_url(Wire(path="/apiary/users")), "/api", "/api", b"/apiary/users"),
        (function_url(Wire(path="/api/api/users")), "/api/", "/api", b"/api/users"),
        (function_url(Wire(path="/api")), "/api", "/api", b"/"),
        (rest(Wire(path="/api/users")), "/api", "/api", b"/users"),
        (rest(Wire(path="/users")), "", "", b"/users"),
        (rest(Wire(path="/users")), "/prod", "/prod", b"/users"),
        (http_api(Wire(path="/api/a%20b"), stage="dev"), "/api", "/api", b"/a b"),
    ],
)
def test_the_root_path_option_wins(
    event: object, option: str, root: str, path: bytes, interface: str, application: Application, made: object
) -> None:
    assert callable(made)
    handler = made(getattr(application, interface), root_path=option, lifespan="off")
    found = seen(handler, application, event)
    assert (found.root_path, found.path) == (root, path)


def test_the_environ_is_complete(made: object, application: Application) -> None:
    assert callable(made)
    context = Context()
    event = http_api(Wire(method="POST", fields=(("Content-Type", "text/plain"),), body=b"hi"))
    event["requestContext"]["authorizer"] = {"jwt": {"claims": {"sub": "alice"}, "scopes": None}}
    made(application.wsgi)(event, context)
    environ = application.raw[-1]
    assert environ["aws.event"] is event and environ["aws.context"] is context
    assert (environ["REMOTE_USER"], environ["CONTENT_TYPE"], environ["CONTENT_LENGTH"]) == (
        "alice",
        "text/plain",
        "2",
    )
    assert "HTTP_CONTENT_TYPE" not in environ and "HTTP_CONTENT_LENGTH" not in environ
    assert (environ["SERVER_PROTOCOL"], environ["wsgi.version"]) == ("HTTP/1.1", (1, 0))
    assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.run_once"]) == (
        False,
    ) * 3
    assert environ["wsgi.input_terminated"] is True


def test_one_request_does_not_show_in_the_next(made: object, application: Application) -> None:
    assert callable(made)
    handler = made(application.wsgi)
    event = http_api(
        Wire(method="POST", fields=(("Content-Type", "text/plain"), ("X-Mine", "1")), body=b"hi")
    )
    event["requestContext"]["authorizer"] = {"iam": {"userArn": "arn:aws:iam::1:user/u"}}
    handler(event, Context())
    handler(http_api(Wire(path="/second")), Context())
    environ = application.raw[-1]
    assert not {"REMOTE_USER", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_MINE"} & set(environ)


def test_the_scope_is_complete(made: object, application: Application) -> None:
    assert callable(made)
    context = Context()
    event = function_url(Wire(method="PUT", path="/x", query="a=1"))
    made(application.asgi, lifespan="off")(event, context)
    scope = application.raw[-1]
    assert scope["aws.event"] is event and scope["aws.context"] is context
    assert (scope["http_version"], scope["method"], scope["query_string"]) == ("1.1", "PUT", b"a=1")
    assert (scope["client"], scope["server"]) == (("203.0.113.7", 0), ("example.com", 443))
    assert scope["asgi"]["version"] == "3.0"


def test_text_that_is_not_ascii_reaches_the_application_as_utf8(
    lambda_handler: LambdaHandler, application: Application
) -> None:
    event = http_api(Wire(fields=(("X-Name", "Zoë"),)))
    found = seen(lambda_handler, application, event)
    assert found.fields["x-name"][0].encode("latin-1") == "Zoë".encode()


def test_response_events_of_cloudfront_are_no_requests() -> None:
    event = edge(Wire())
    event["Records"][0]["cf"]["response"] = {"status": "200", "headers": {}}
    assert events.detect(event) == ""
