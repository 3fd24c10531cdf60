"""The access log: whatever a client sends, each request is one line, and its fields are what was sent."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fuzz.serving import AFTER, Report
from portway.config import Settings
from portway.config.access_format import line_format
from portway.config.settings import Process
from portway.engine.head import HeadParser
from portway.engine.wsgi import WSGIEngine
from portway.server.logs import AccessLog
from tests.engine.differential.seen import Request, by_portway
from tests.engine.wire import Wire

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ALLOWED = ()
PARSER = HeadParser()
TEXT = '%(m)s "%({user-agent}i)s" "%({referer}i)s"'
PATHS = (b"", b"a?b", b"a?b", b'"\\?')
FORMS = ("method,target,path,query,protocol,status,referer,user_agent", "referer,target,user_agent", TEXT)


class Logging:
    """A server whose application, asked for /after, answers with what the log has."""

    def __init__(self, form: str) -> None:
        self._file = tempfile.NamedTemporaryFile()
        self.report = Report()
        settings = Settings(process=Process(threads=1))
        access = AccessLog(self._file.name, line_format(form))
        self._engine = WSGIEngine(self.app, settings, report=self.report, access=access, multiprocess=False)
        sock = socket.create_server(("127.0.0.1", 0))
        self._engine.add_listener(sock)
        threading.Thread(target=self._engine.run, daemon=True).start()
        self.address: Any = sock.getsockname()

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer."""
        start_response("200 OK", [])
        if environ["PATH_INFO"] != "/after":
            return [b"x"]
        self._engine.flush_access()
        self._file.seek(0)
        lines = self._file.read()
        self._file.truncate(0)
        return [lines]


SERVERS = [Logging(form) for form in FORMS]


def one(data: bytes) -> None:
    """Send the fields four times, on a connection that had others before; the first byte chooses the log."""
    if len(data) < 2:
        return
    form, data = data[0] % len(FORMS), data[1:].replace(b"\n", b"\r\n")
    heads = [b"GET /%s HTTP/1.1\r\nHost: a\r\n" % path + data + b"\r\n\r\n" for path in PATHS]
    asked = [by_portway(head, PARSER) for head in heads]
    if not all(isinstance(one, Request) and not one.rest and not one.body for one in asked):
        return
    server = SERVERS[form]
    with Wire(server.address) as wire:
        wire.send(AFTER.replace(b"Connection: close\r\n", b""))
        wire.response()  # what lines there were are gone
        wire.send(b"".join(heads) + AFTER)
        for _ in asked:
            response = wire.response()
            if response.status != 200 or response.closes:
                return
        lines = wire.response().body.split(b"\n")
    assert not server.report.faults, server.report.faults
    assert lines[-1] == b""
    assert len(lines) == len(asked) + 2, lines  # the first is that of the request before
    for request, line in zip(asked, lines[1:], strict=False):
        assert isinstance(request, Request)
        check(form, request, line)


def check(form: int, request: Request, line: bytes) -> None:
    """Compare a line with the request that it is about."""
    assert all(32 <= c < 127 for c in line), line
    agent, referer = (value(request, name) for name in (b"user-agent", b"referer"))
    if form == len(FORMS) - 1:
        assert line == b'GET "%s" "%s"' % (escaped(agent), escaped(referer)), line
        return
    record = json.loads(line)
    assert list(record) == FORMS[form].split(",")
    assert record["target"] == request.target.decode("latin-1"), line
    assert (record["user_agent"], record["referer"]) == (agent.decode("latin-1"), referer.decode("latin-1"))


def value(request: Request, name: bytes) -> bytes:
    """Return the value of the first field of that name."""
    return next((text for field, text in request.fields if field == name), b"")


def escaped(text: bytes) -> bytes:
    """Return what a line of text has for it."""
    plain = b"".join(b"%c" % c if 32 <= c < 127 and c not in b'"\\' else b"\\x%02x" % c for c in text)
    return plain or b"-"
