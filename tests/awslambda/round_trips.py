"""What is sent through front doors and back: generated requests and answers, and an application between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from portway.awslambda import handler
from portway.awslambda.adapter import LambdaHandler
from tests.awslambda.applications import Application
from tests.awslambda.front_doors import Wire

thorough = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PATH_CHARACTERS = "abcXYZ019-._~!$&'()*+,;=:@/"
VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20).map(str.strip)
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True).map(lambda name: f"X-{name}")
ESCAPE = st.integers(0, 255).map(lambda octet: f"%{octet:02X}")
WORD = st.text("abcXYZ019-._~+%", max_size=6).map(lambda text: text.replace("%", "%25"))


def utf8_paths() -> st.SearchStrategy[str]:
    """Return encoded paths whose octets are UTF-8."""
    piece = st.one_of(
        st.text(PATH_CHARACTERS, max_size=6),
        st.text(max_size=3)
        .filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
        .map(lambda text: "".join(f"%{octet:02X}" for octet in text.encode())),
    )
    return st.lists(piece, max_size=5).map(lambda pieces: "/" + "".join(pieces))


def queries() -> st.SearchStrategy[str]:
    """Return queries as forms write them, repeats and empty values included."""
    pair = st.tuples(st.text("abcxyz", min_size=1, max_size=3), WORD)
    return st.lists(pair, max_size=5).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


wires = st.builds(
    Wire,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]),
    path=utf8_paths(),
    query=queries(),
    fields=st.lists(st.tuples(NAME, VALUE), max_size=6).map(tuple),
    body=st.binary(max_size=60),
    host=st.sampled_from(
        ["example.com", "example.com:8443", "[2001:db8::1]", "[::1]:8000", "xn--bcher-kva.example"]
    ),
    client=st.sampled_from(["203.0.113.7", "2001:db8::7"]),
    scheme=st.sampled_from(["https", "http"]),
)


@dataclass(frozen=True)
class Given:
    """What the application answers."""

    status: int
    headers: list[tuple[str, str]]
    cookies: list[str]
    kind: str
    body: bytes

    @property
    def joined(self) -> dict[str, str]:
        """Its own fields, repeated ones joined."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.lower(), []).append(value)
        return {name: ", ".join(values) for name, values in found.items()}


def answers(*kinds: str) -> st.SearchStrategy[Given]:
    """Return answers of these media types; "" is none."""
    return st.builds(
        Given,
        status=st.integers(200, 599).filter(lambda status: status not in (204, 304)),
        headers=st.lists(st.tuples(NAME, VALUE), max_size=6),
        cookies=st.lists(
            st.from_regex(r"[a-z]=[A-Za-z0-9, ;=]{0,20}", fullmatch=True).map(str.strip), max_size=4
        ),
        kind=st.sampled_from(kinds),
        body=st.one_of(
            st.binary(max_size=80), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))
        ),
    )


class Rig:
    """One application behind one interface, for every door."""

    def __init__(self, interface: str) -> None:
        self.application = Application()
        app = getattr(self.application, interface)
        self.handler: LambdaHandler = handler(app, lifespan="off", id_headers=False, deadline_margin=0)

    def forget(self) -> None:
        """Forget the requests so far."""
        self.application.seen.clear()
        self.application.raw.clear()

    @contextmanager
    def answering(self, given: Given) -> Iterator[None]:
        """Have the application answer this."""
        application = self.application
        before = (application.status, application.headers, application.body)
        application.status, application.body = given.status, given.body
        application.headers = [*given.headers, *(("Set-Cookie", cookie) for cookie in given.cookies)]
        if given.kind:
            application.headers.append(("Content-Type", given.kind))
        try:
            yield
        finally:
            application.status, application.headers, application.body = before
