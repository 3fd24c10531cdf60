"""Connections to upstreams: aiohttp's connectors and its response parser, without its session.

A session would write the head of a request from a URL and a mapping of text; here the bytes of the
client's own request travel, and it is known of each connection whether it is new. An upstream's unasked
bytes never count as the answer to a later request: a connection that has any is not used again.
"""

from __future__ import annotations

import asyncio
import select
from typing import Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.http_writer import StreamWriter
from yarl import URL

from portway.site.proxy.upstreams import Upstream

KEEP_ALIVE_S: Final = 4.0
"""How long an unused connection is kept; less than servers wait themselves (Node.js and uvicorn: 5 s)."""
MOST_LINE: Final = 32768
"""Bytes of one line of an upstream's head."""
MOST_FIELDS: Final = 256
MOST_INTERIM: Final = 32
"""Interim responses (1xx) before a final one."""
WINDOW: Final = 65536
"""Bytes of a body that wait for the client before the upstream is held up."""
_FRESH_TRIES: Final = 3

UpstreamErrors = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.TimeoutError)


class BadAnswer(Exception):
    """What an upstream sent is no answer to the request; the text is for the log."""


class Line:
    """One connection, for one request and its response.

    Args:
        connection: aiohttp's.
        write_timeout_s: Seconds in which the upstream reads nothing of a body.
        loop: The running event loop.

    Attributes:
        fresh: Whether nothing was sent on it before.
    """

    def __init__(
        self,
        connection: aiohttp.connector.Connection,
        write_timeout_s: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        protocol = connection.protocol
        assert protocol is not None
        self.protocol: ResponseHandler = protocol
        self.fresh = protocol.read_timeout is None
        self._connection = connection
        self._timeout_s = write_timeout_s
        self._loop = loop
        self._writer: StreamWriter | None = None

    def spoke(self) -> bool:
        """Tell whether it has sent anything unasked, or ended."""
        transport = self.protocol.transport
        if transport is None or self.protocol.should_close:
            return True
        if self.fresh:
            return False  # TLS may have sent its tickets
        # the event loop may not have looked since it came
        poll = select.poll()
        poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def send(self, data: bytes, *, head: bool) -> None:
        """Send a head (HEAD's or another), with as much of the body as there is.

        Raises:
            ConnectionResetError: The upstream has closed.
        """
        self.protocol.set_response_params(
            skip_payload=head,
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=0,  # see patrol.py
            read_bufsize=WINDOW,
            max_line_size=MOST_LINE,
            max_field_size=MOST_LINE,
            max_headers=MOST_FIELDS,
        )
        self._write(data)

    def _write(self, data: bytes) -> None:
        transport = self.protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the upstream has closed the connection")
        transport.write(data)

    async def send_more(self, data: bytes, *, chunked: bool) -> None:
        """Send a piece of a body; wait for an upstream that does not read.

        Raises:
            TimeoutError: It read nothing for the read timeout.
            ConnectionError: It has closed.
        """
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        if self.protocol.writing_paused:
            if self._writer is None:
                self._writer = StreamWriter(self.protocol, self._loop)
            async with asyncio.timeout(self._timeout_s):
                await self._writer.drain()

    def end(self, end: bytes) -> None:
        """Send the end of the body."""
        self._write(end)

    async def response(self) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        """Return the head of the final response, and its body to read.

        Raises:
            BadAnswer: It is none.
            UpstreamErrors: There is none.
        """
        for _ in range(MOST_INTERIM):
            message, payload = await self.protocol.read()
            if message.code >= 200 or message.code == 101:
                return message, payload
        raise BadAnswer(f"it sent more than {MOST_INTERIM} interim responses")

    @property
    def was_reset(self) -> bool:
        """Whether the connection broke, and did not just end."""
        return isinstance(self.protocol.exception(), aiohttp.ClientOSError)

    def release(self) -> None:
        """Keep it for the next request, if it can be used again."""
        self._connection.release()

    def abort(self) -> None:
        """Break it off; whoever waits for the response hears of it."""
        if self.protocol.transport is not None:
            self.protocol.transport.abort()

    def close(self) -> None:
        """Close it. Idempotent, and without effect after `release`."""
        self._connection.close()


class Pool:
    """The connections to one upstream, in one event loop. Make it, and close it, inside that loop.

    Args:
        upstream: The server.
        connect_timeout_s: Seconds for a new connection, TLS included.
        write_timeout_s: Seconds in which it reads nothing of a request's body.
    """

    def __init__(self, upstream: Upstream, connect_timeout_s: float, write_timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._write_timeout_s = write_timeout_s
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)
        connector: aiohttp.BaseConnector
        if upstream.socket:
            connector = aiohttp.UnixConnector(upstream.socket, limit=0, keepalive_timeout=KEEP_ALIVE_S)
            url = URL("http://localhost")
        else:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S)
            url = URL(upstream.url)
        self._connector = connector
        # Only what names the server is looked at: it is never sent.
        self._request = ClientRequest("GET", url, loop=self._loop)

    async def line(self) -> Line:
        """Return a connection: one that waits for work, or a new one.

        Raises:
            aiohttp.ClientError, OSError: None can be made.
            asyncio.TimeoutError: Not in time.
        """
        tries = 0
        while True:
            connection = await self._connector.connect(self._request, [], self._timeout)
            line = Line(connection, self._write_timeout_s, self._loop)
            if not line.spoke():
                return line
            line.close()
            tries += line.fresh
            if tries == _FRESH_TRIES:
                raise ConnectionError("it speaks before it is asked")

    async def close(self) -> None:
        """Close all connections."""
        await self._connector.close()
