"""Lambda Function URL: payload format 2.0 with the client's own percent-encoded `rawPath`.

`requestContext.http.path` is decoded and is never used. Cookies stand both in `cookies` and in
`headers.cookie`; only one counts. With the invoke mode RESPONSE_STREAM the service takes a prelude
and chunks instead of an answer object, and passes an answer object on verbatim.
"""

from __future__ import annotations

from .http_api import answer_v2, translated
from .reply import joined_fields
from .source import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .reply import Reply
    from .request import Event, Request


class FunctionURL(Source):
    """Lambda Function URL."""

    name = "function-url"
    service = "Lambda Function URL"
    streams = True

    def request(self, event: Event, root_path: str | None = None) -> Request:
        """Return the request that the event stands for (see `Source.request`)."""
        return translated(self.name, event, event["rawPath"], "", root_path, True)

    answer = staticmethod(answer_v2)

    def prelude(self, request: Request, reply: Reply) -> dict[str, Any]:
        """Return status, fields and cookies of a streamed answer (see `Source.prelude`)."""
        headers, cookies = joined_fields(reply.fields)
        return {"statusCode": reply.status, "headers": headers, "cookies": cookies}
