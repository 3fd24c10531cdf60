"""WSGI (PEP 3333) from a request, and its answer back.

Native strings throughout: latin-1 text that stands for octets. Field names with underscores are
dropped, because `X_Forwarded_For` and `X-Forwarded-For` would share one name in the environ and a
client could put words into the front door's mouth (the attack behind CVE-2024-45614).
"""

from __future__ import annotations

import sys
from io import BytesIO

from .errors import BadReply, shown
from .events.reply import checked
from .output import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from .events.reply import Reply
    from .events.request import Fields, Request
    from .output import Output

_KNOWN_MOST = 1024
_STATUSES_MOST = 128
_statuses: dict[str, tuple[int, str]] = {}
_keys: dict[str, str] = {}
_SPECIAL = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH", "transfer-encoding": ""}


def _key(name: str) -> str:
    """Return a field's name in the environ, or "" for one that must not be in it."""
    key = _keys.get(name)
    if key is None:
        lower = name.lower()
        key = _SPECIAL.get(lower)
        if key is None:
            key = "" if "_" in name else "HTTP_" + lower.upper().replace("-", "_")
        if len(_keys) < _KNOWN_MOST:
            _keys[name] = key
    return key


def _joined(fields: Fields) -> dict[str, str]:
    """Return the environ's entries of fields of which some may be repeated, or not ASCII."""
    entries: dict[str, str] = {}
    for name, value in fields:
        key = _key(name)
        if not value.isascii():
            value = value.encode().decode("latin-1")
        if key in entries:
            # RFC 9110, section 5.3; RFC 9113, section 8.2.3 for the one field joined otherwise.
            value = entries[key] + ("; " if key == "HTTP_COOKIE" else ", ") + value
        entries[key] = value
    return entries


def _learn_status(status: object) -> None:
    """Put a status line into the memo.

    Raises:
        BadReply: It is not three digits and a reason (PEP 3333).
    """
    if type(status) is not str or not status[:3].isdigit() or status[3:4] not in ("", " "):
        raise BadReply(f"the status {shown(status)} is not three digits and a reason")
    if len(_statuses) >= _STATUSES_MOST:
        _statuses.clear()
    _statuses[status] = (int(status[:3]), status[4:])


def octets(text: str) -> str:
    """Return a path as WSGI's native string: one character for each octet of its UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("latin-1")


def _base() -> dict[str, Any]:
    """Return what every environ begins as.

    A copy of it keeps room for the header fields: a dict that grows while an environ is filled costs
    a tenth of the whole request.
    """
    base: dict[str, Any] = {
        "REQUEST_METHOD": "",
        "SCRIPT_NAME": "",
        "PATH_INFO": "",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "",
        "SERVER_NAME": "",
        "SERVER_PORT": "443",
        "REMOTE_ADDR": "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": None,
        "wsgi.input_terminated": True,
        "wsgi.errors": None,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "aws.event": None,
        "aws.context": None,
    }
    room = [f"room {number}" for number in range(6)]
    base.update(dict.fromkeys(room))
    for name in room:
        del base[name]
    return base


class Start:
    """start_response of one request, and what the application passed to it."""

    status = ""
    headers: list[tuple[str, str]] = []  # noqa: RUF012  # replaced, never changed

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write

    def __call__(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Take status and headers; again only with exc_info, which replaces them while nothing was sent."""
        if self.status and exc_info is None:
            raise AssertionError("start_response was called twice without exc_info")
        if status not in _statuses:
            _learn_status(status)
        self.status = status
        self.headers = headers
        return self.write


def _closed(result: object) -> None:
    close = getattr(result, "close", None)
    if close is not None:
        close()


class WSGI:
    """A WSGI application behind the event sources. One thread at a time."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app
        self._base = _base()

    def prepared(self, request: Request, context: object) -> dict[str, Any]:
        """Return the environ of a request."""
        body = request.body
        path = request.path
        query = request.query
        fields = request.fields
        environ = self._base.copy()
        environ["REQUEST_METHOD"] = request.method
        if request.root_path:
            environ["SCRIPT_NAME"] = octets(request.root_path)
        environ["PATH_INFO"] = path if path.isascii() else octets(path)
        environ["QUERY_STRING"] = query if query.isascii() else octets(query)
        environ["SERVER_PROTOCOL"] = "HTTP/" + request.http_version
        environ["SERVER_NAME"] = request.host
        if request.port != 443:
            environ["SERVER_PORT"] = str(request.port)
        environ["REMOTE_ADDR"] = request.client
        environ["wsgi.url_scheme"] = request.scheme
        environ["wsgi.input"] = BytesIO(body)
        environ["wsgi.errors"] = sys.stderr
        environ["aws.event"] = request.event
        environ["aws.context"] = context
        if type(fields) is list or not "".join(request.known.values()).isascii():
            environ.update(_joined(fields))
        else:
            keys = _keys
            try:
                for name, value in fields:
                    environ[keys[name]] = value
            except KeyError:
                environ.update(_joined(fields))
        if "" in environ:
            del environ[""]
        if body or "CONTENT_LENGTH" in environ:
            environ["CONTENT_LENGTH"] = str(len(body))
        if request.user:
            environ["REMOTE_USER"] = request.user
        return environ

    def call(self, request: Request, environ: dict[str, Any]) -> Reply:
        """Run the application for one request and return its whole answer.

        Raises:
            BadReply: The answer cannot be sent.
            BaseException: Whatever the application raised.
        """
        written: list[bytes] = []
        start = Start(written.append)
        result = self._app(environ, start)
        if type(result) is list and len(result) == 1 and not written:
            written = result
        else:
            try:
                written.extend(result)
            finally:
                _closed(result)
        status = start.status
        if not status:
            raise BadReply("the application did not call start_response")
        try:
            body = written[0] + b"" if len(written) == 1 else b"".join(written)
        except TypeError as error:
            raise BadReply(f"the body is not made of bytes: {error}") from None
        code, reason = _statuses[status]
        return checked(code, reason, start.headers, body, request.method == "HEAD")

    def stream(self, request: Request, environ: dict[str, Any], out: Output) -> None:
        """Run the application for one request and send its answer piece by piece as it makes it.

        Raises:
            BadReply: The answer cannot be sent.
            BaseException: Whatever the application raised, or `out` did.
        """
        head = request.method == "HEAD"

        def begin() -> Reply:
            status = start.status
            if not status:
                raise BadReply("the application sent its body before start_response")
            code, reason = _statuses[status]
            return checked(code, reason, start.headers, None, head)

        def send(data: bytes) -> None:
            if not out.started:
                out.start(begin())
            if data and not head:
                out.write(data)

        start = Start(send)
        result = self._app(environ, start)
        try:
            if type(result) is list and not out.started:
                out.start(whole(begin(), sum(map(len, result)), head))
            for data in result:
                if data:
                    send(data)
            if not out.started:
                out.start(whole(begin(), 0, head))
        finally:
            _closed(result)
