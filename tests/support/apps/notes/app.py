"""A Chalice application that uses what Chalice offers, for comparing servers of it."""

# mypy: ignore-errors
# Chalice calls its request optional in every view, and its own decorators are untyped in places.

import threading
from typing import Any
from urllib.parse import parse_qs

from chalice import (
    AuthResponse,
    AuthRoute,
    BadRequestError,
    Blueprint,
    Chalice,
    ChaliceViewError,
    CognitoUserPoolAuthorizer,
    CORSConfig,
    IAMAuthorizer,
    Rate,
    Response,
)

app = Chalice(app_name="notes")
shelf = Blueprint(__name__)

FORM = ["application/x-www-form-urlencoded"]
PNG = b"\x89PNG\r\n\x1a\n\x00\xff"
meeting = threading.Barrier(4, timeout=20)


@shelf.route("/{number}")
def read(number: str) -> dict[str, Any]:
    """Tell what a blueprint sees of the request."""
    return {
        "number": number,
        "path": shelf.current_request.path,
        "left": shelf.lambda_context.get_remaining_time_in_millis() > 0,
    }


app.register_blueprint(shelf, url_prefix="/shelf")


@app.authorizer()
def by_token(request: Any) -> Any:
    """Know a few tokens."""
    match request.token:
        case "allow":
            return AuthResponse(routes=["*"], principal_id="ann", context={"level": 7, "admin": True})
        case "some":
            return AuthResponse(routes=[AuthRoute("/secret/1", ["GET"])], principal_id="bo")
        case "deny":
            return policy("Deny", request.method_arn)
        case "both":
            answer = policy("Allow", "*")
            answer["policyDocument"]["Statement"].append(
                policy("Deny", "*/secret/1")["policyDocument"]["Statement"][0]
            )
            return answer
        case "unauthorized":
            raise Exception("Unauthorized")
        case "nonsense":
            return {"principalId": "x"}
        case "nothing":
            return None
        case "nested":
            return {**policy("Allow", "*"), "context": {"a": {"b": 1}}}
        case "fails":
            raise ValueError("secret detail")
    return AuthResponse(routes=[], principal_id="nobody")


def policy(effect: str, resource: str) -> dict[str, Any]:
    """Return an authorizer's answer with one statement."""
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": [resource]}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": "x", "policyDocument": document, "context": {}}


@app.authorizer(name="by_key")
def by_key(request: Any) -> Any:
    """Take any token that says so."""
    return AuthResponse(routes=["*"] if request.token == "open" else [], principal_id="key")


by_key.config.header = "X-Key"


@app.route("/")
def index() -> dict[str, str]:
    """Answer as JSON."""
    return {"hello": "wörld"}


@app.route("/form", methods=["POST"], content_types=FORM)
def form() -> dict[str, Any]:
    """Answer with what a form says."""
    return parse_qs(app.current_request.raw_body.decode(), keep_blank_values=True)


@app.route("/json", methods=["POST", "PUT"])
def body() -> Any:
    """Answer with the JSON of the request."""
    return {"method": app.current_request.method, "body": app.current_request.json_body}


@app.route("/page")
def page() -> Response:
    """Answer with HTML and several cookies."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": ["a=1; Path=/", "b=2"], "X-One": "1"}
    return Response("<p>käse</p>", headers=headers, status_code=201)


@app.route("/image")
def image() -> Response:
    """Answer with bytes of a binary type."""
    return Response(PNG, headers={"Content-Type": "image/png"})


@app.route("/upload", methods=["POST"], content_types=["application/octet-stream", "image/png"])
def upload() -> dict[str, Any]:
    """Tell how many bytes came."""
    return {"bytes": list(app.current_request.raw_body)}


@app.route("/query")
def query() -> dict[str, Any]:
    """Answer with the query."""
    found = app.current_request.query_params
    return {} if found is None else {name: found.getlist(name) for name in found}


@app.route("/users/{name}")
def user(name: str) -> dict[str, str]:
    """Answer with a path parameter."""
    return {"name": name}


@app.route("/users/me")
def me() -> dict[str, str]:
    """Stand before the parameter."""
    return {"me": "me"}


@app.route("/cors", cors=True)
def cors() -> dict[str, str]:
    """Have the default CORS."""
    return {}


@app.route(
    "/cors/own",
    methods=["GET", "POST"],
    cors=CORSConfig(
        allow_origin="https://example.com",
        allow_headers=["X-A"],
        max_age=600,
        expose_headers=["X-B"],
        allow_credentials=True,
    ),
)
def own_cors() -> dict[str, str]:
    """Have its own CORS."""
    return {}


@app.route("/options", methods=["OPTIONS"])
def options() -> dict[str, str]:
    """Answer OPTIONS itself."""
    return {"own": "options"}


@app.route("/bad")
def bad() -> None:
    """Raise what Chalice knows."""
    raise BadRequestError("no such thing")


@app.route("/view-error")
def view_error() -> None:
    """Raise Chalice's base."""
    raise ChaliceViewError("broken")


@app.route("/crash")
def crash() -> None:
    """Raise something else."""
    raise ValueError("secret detail")


@app.route("/exit")
def leave() -> None:
    """End an environment."""
    raise SystemExit(3)


@app.route("/inject")
def inject() -> Response:
    """Try to write a second header."""
    return Response("", headers={"X-A": "1\r\nX-Evil: 1"})


@app.route("/secret/{number}", methods=["GET", "POST"], authorizer=by_token)
def secret(number: str) -> Any:
    """Answer with what the authorizer found out."""
    return app.current_request.context["authorizer"]


@app.route("/keyed", authorizer=by_key)
def keyed() -> Any:
    """Have an authorizer with a field of its own."""
    return app.current_request.context["authorizer"]["principalId"]


users = CognitoUserPoolAuthorizer(
    "pool",
    provider_arns=[
        "arn:aws:cognito-idp:us-east-1:1:userpool/us-east-1_x",
        "arn:aws:cognito-idp:eu-west-1:1:userpool/eu-west-1_y",
    ],
)


@app.route("/pool", authorizer=users)
def pool() -> Any:
    """Be for two user pools' users."""
    return {"authorizer": app.current_request.context.get("authorizer")}


@app.route("/pool/scoped", authorizer=users.with_scopes(["notes/read", "notes/write"]))
def pool_scoped() -> Any:
    """Be for those with one of two scopes."""
    return {"authorizer": app.current_request.context.get("authorizer")}


@app.route("/signed", authorizer=IAMAuthorizer())
def signed() -> str:
    """Be for IAM's users."""
    return "in"


@app.route("/api-key", api_key_required=True)
def api_key() -> str:
    """Be for those with a key."""
    return "in"


@app.route("/context")
def context() -> dict[str, Any]:
    """Answer with what stands in the request's context."""
    request = app.current_request
    return {
        "stage": request.context["stage"],
        "path": request.context["path"],
        "resource": request.path,
        "function": app.lambda_context.function_name,
        "left": app.lambda_context.get_remaining_time_in_millis(),
    }


@app.route("/meet/{name}")
def meet(name: str) -> dict[str, str]:
    """Wait for three others inside the call, then tell whose request this thread sees."""
    before = app.current_request.uri_params["name"]
    meeting.wait()
    after = app.current_request.uri_params["name"]
    meeting.wait()
    return {"name": name, "before": before, "after": after, "header": app.current_request.headers["x-name"]}


@app.middleware("http")
def stamp(event: Any, get_response: Any) -> Response:
    """Add a header to every answer."""
    response = get_response(event)
    response.headers["X-Middleware"] = "1"
    return response


@app.lambda_function()
def nightly(event: Any, context: Any) -> str:
    """Be a function beside the API."""
    return "done"


@app.schedule(Rate(1, unit=Rate.HOURS))
def hourly(event: Any) -> None:
    """Be called by a schedule."""
