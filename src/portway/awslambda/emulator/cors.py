"""CORS as an HTTP API and a Function URL do it when it is set up there.

The door answers a preflight itself and puts its own fields on every answer to a cross-origin request;
what the function says about CORS is dropped. REST APIs and load balancers have no such setting: there
the application answers.
"""

from __future__ import annotations

from dataclasses import dataclass

Fields = list[tuple[str, str]]

_PREFIX = "access-control-"


@dataclass(frozen=True, slots=True)
class CORS:
    """A door's CORS settings, named as AWS names them.

    Attributes:
        allow_origins: Origins, or "*"; empty switches CORS off.
        allow_methods: Methods, or "*".
        allow_headers: Request fields, or "*".
        expose_headers: Answer fields that scripts may read.
        max_age: Seconds for which a browser may keep a preflight's answer, or None.
        allow_credentials: Whether cookies may be sent along.
    """

    allow_origins: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ("*",)
    allow_headers: tuple[str, ...] = ("*",)
    expose_headers: tuple[str, ...] = ()
    max_age: int | None = None
    allow_credentials: bool = False

    def preflight(self, method: str, origin: str, wanted: str) -> Fields | None:
        """Return the fields of a preflight's answer, or None when the request is none.

        Args:
            method: The request's method.
            origin: Its Origin, "" without one.
            wanted: Its Access-Control-Request-Method, "" without one.
        """
        if not self.allow_origins or method != "OPTIONS" or not origin or not wanted:
            return None
        fields = self.added(origin)
        if fields:
            fields.append(("Access-Control-Allow-Methods", ",".join(self.allow_methods)))
            if self.allow_headers:
                fields.append(("Access-Control-Allow-Headers", ",".join(self.allow_headers)))
            if self.max_age is not None:
                fields.append(("Access-Control-Max-Age", str(self.max_age)))
        return fields

    def added(self, origin: str) -> Fields:
        """Return what goes on an answer to a request from `origin`: nothing when it is not allowed."""
        if not origin or not ("*" in self.allow_origins or origin in self.allow_origins):
            return []
        anybody = "*" in self.allow_origins and not self.allow_credentials
        fields = [("Access-Control-Allow-Origin", "*" if anybody else origin)]
        if self.allow_credentials:
            fields.append(("Access-Control-Allow-Credentials", "true"))
        if self.expose_headers:
            fields.append(("Access-Control-Expose-Headers", ",".join(self.expose_headers)))
        return fields

    def applied(self, fields: Fields, origin: str) -> Fields:
        """Return an answer's fields with the door's own in place of the function's."""
        if not self.allow_origins:
            return fields
        kept = [field for field in fields if not field[0].lower().startswith(_PREFIX)]
        return kept + self.added(origin)
