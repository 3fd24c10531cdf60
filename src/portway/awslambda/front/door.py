"""A front door as it is set up: which service, its stage, its binary types, its limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["rest", "http", "url", "alb"]

MIB = 1 << 20
INVOKE_LIMIT = 6 * MIB
"""Most bytes of an event, as Lambda's Invoke takes it."""
ANSWER_LIMIT = INVOKE_LIMIT + 100
"""Most bytes of an answer's JSON: 6 MB and a little for the envelope."""
ALB_LIMIT = 1_000_000
"""The documented 1 MB of a request body and of an answer's JSON, read the cautious way."""

_REQUEST_LIMITS = {"rest": 10 * MIB, "http": 10 * MIB, "url": INVOKE_LIMIT, "alb": ALB_LIMIT}


def auto(chalice: bool) -> Kind:
    """Return the door of a function whose user has named none.

    Chalice understands the events of a REST API only. Everything else stands behind a Function URL: the
    door that needs nothing but the function, loses least of a request and can stream; its events are
    those of an HTTP API in all but the path.
    """
    return "rest" if chalice else "url"


@dataclass(frozen=True, slots=True)
class Door:
    """One front door before one function.

    Attributes:
        kind: API Gateway REST API, API Gateway HTTP API (payload 2.0), Function URL or Application Load
            Balancer.
        stage: Name of the stage that stands first in the public path, or "" when the door is at the root: a
            custom domain's, or the stage `$default` of an HTTP API.
        binary_types: binaryMediaTypes of a REST API: "image/png", "image/*", "*/*".
        multi_value: Whether a load balancer's target group has `lambda.multi_value_headers.enabled`.
        region, account: Where the function lives, for ARNs and names.
        api_id: Id of the API, of the URL, or of the target group.
    """

    kind: Kind
    stage: str = ""
    binary_types: tuple[str, ...] = ("*/*",)
    multi_value: bool = True
    region: str = "us-east-1"
    account: str = "123456789012"
    api_id: str = "local"

    @property
    def request_limit(self) -> int:
        """Most bytes of a request body."""
        return _REQUEST_LIMITS[self.kind]

    @property
    def answer_limit(self) -> int:
        """Most bytes of an answer's JSON."""
        return ALB_LIMIT if self.kind == "alb" else ANSWER_LIMIT

    @property
    def domain(self) -> str:
        """The name that the service gives the door."""
        if self.kind == "url":
            return f"{self.api_id}.lambda-url.{self.region}.on.aws"
        return f"{self.api_id}.execute-api.{self.region}.amazonaws.com"

    def within(self, path: str) -> str | None:
        """Return what of a public path lies behind the stage, or None when the path is not below it."""
        if not self.stage or self.kind in ("url", "alb"):
            return path
        prefix = f"/{self.stage}"
        if path == prefix:
            return "/"
        return path[len(prefix) :] if path.startswith(f"{prefix}/") else None
