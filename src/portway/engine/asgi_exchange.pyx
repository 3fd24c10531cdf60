# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One ASGI request: what the application receives and sends, and what becomes of it (ASGI HTTP specification 2.5).

`receive` and `send` return awaitables that are done whenever they can be; they wait only for bytes that have not
come, or for a client that does not read.

Long, because a request is one object with five stages, and each message has to be checked against all of them.
"""

import asyncio
import os
import stat
import sys
from collections.abc import Coroutine
from types import CoroutineType

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from portway.engine.base cimport SMALL
from portway.engine.connection cimport ALIVE_EXCHANGES, APPLICATION, CLOSED, FLUSH, HEAD, born, died
from portway.engine.deadlines cimport link_init, link_move, link_remove
from portway.engine.cposix cimport pw_coarse_ms
from portway.engine.head cimport is_field_value
from portway.engine.ready cimport DONE, ready
from portway.engine.reply cimport (
    END_NONE, KEEP_DEFAULT, Reply, put, put_chunk_size, reply_end, reply_field_bytes, reply_status_code, silent,
)

from portway.engine.errors import BadResponse, ClientDisconnected, RequestTimeout, ResponseCut

cdef extern from *:
    """
    typedef PySendResult (*pw_exchange_send)(PyObject*, PyObject*, PyObject**);
    static inline void pw_set_send(PyObject* type, pw_exchange_send send) {
        ((PyTypeObject*)type)->tp_as_async->am_send = send;
        PyType_Modified((PyTypeObject*)type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*pw_exchange_send)(PyObject*, PyObject*, PyObject**) noexcept
    void pw_set_send(PyObject* type, pw_exchange_send send)
    PySendResult PyIter_Send(object coroutine, PyObject* argument, PyObject** result) except PYGEN_ERROR

cdef extern from "Python.h":
    unsigned long PyThread_get_thread_ident() nogil
    int PyThreadState_SetAsyncExc(unsigned long ident, void* exception) noexcept

cdef str TYPE = sys.intern("type"), BODY = sys.intern("body"), MORE = sys.intern("more_body")
cdef str STATUS = sys.intern("status"), HEADERS = sys.intern("headers"), TRAILERS_FIELD = sys.intern("trailers")
cdef bytes FAILED = b"Internal Server Error\n"
cdef dict DISCONNECT = {"type": "http.disconnect"}


cdef bint comes_of_disconnect(object exc, int depth) except -1:
    """Whether an exception is our ClientDisconnected, or what a framework has made of it."""
    if exc is None or depth == 0:
        return False
    if isinstance(exc, ClientDisconnected):
        return True
    for inner in getattr(exc, "exceptions", ()):
        if comes_of_disconnect(inner, depth - 1):
            return True
    return comes_of_disconnect(exc.__cause__ or exc.__context__, depth - 1)


cdef inline PyObject* step_in(Exchange exchange) noexcept:
    """The application's code runs from here on; returns what `step_out` wants."""
    cdef PyObject* outer = exchange.engine.stepping
    exchange.engine.stepping = <PyObject*>exchange
    exchange.engine.steps += 1
    return outer


cdef inline void step_out(Exchange exchange, PyObject* outer) noexcept:
    """It does not any more; said before anything that could run Python code."""
    exchange.engine.stepping = outer
    exchange.engine.steps += 1
    if exchange.engine.interrupted:
        exchange.engine.withdraw()


cdef class Exchange:
    """A request under way. To its Task it is a coroutine; the application gets `receive` and `deliver`."""

    def __cinit__(self):
        link_init(&self.limit, <void*>self)
        born(ALIVE_EXCHANGES)

    def __dealloc__(self):
        died(ALIVE_EXCHANGES)

    # -- the coroutine protocol ----------------------------------------------------------------------------------

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        cdef PyObject* outer = step_in(self)
        try:
            if self.inner is None:
                self.call()
            value = self.inner.send(value)
            step_out(self, outer)
            return value
        except StopIteration:
            step_out(self, outer)
            self.returned()
            raise
        except BaseException as exc:
            step_out(self, outer)
            self.raised(exc)
            raise StopIteration from None

    def throw(self, kind, value=None, traceback=None):
        cdef PyObject* outer = step_in(self)
        try:
            if self.inner is None:          # cancelled before its first step
                raise kind if value is None else value
            value = self.inner.throw(kind if value is None else value)
            step_out(self, outer)
            return value
        except StopIteration:
            step_out(self, outer)
            self.returned()
            raise
        except asyncio.CancelledError as exc:
            step_out(self, outer)
            self.raised(exc)
            raise
        except BaseException as exc:
            step_out(self, outer)
            self.raised(exc)
            raise StopIteration from None

    def close(self):
        if self.inner is not None:
            self.inner.close()

    @property
    def cr_frame(self):
        return getattr(self.inner, "cr_frame", None)

    @property
    def cr_code(self):
        return getattr(self.inner, "cr_code", None)

    @property
    def cr_running(self):
        return getattr(self.inner, "cr_running", False)

    @property
    def cr_await(self):
        return getattr(self.inner, "cr_await", None)

    @property
    def __name__(self):
        return getattr(self.inner, "__name__", "application")

    @property
    def __qualname__(self):
        return getattr(self.inner, "__qualname__", "application")

    # -- for the application -------------------------------------------------------------------------------------

    def receive(self):
        """ASGI `receive`: http.request until the body's end was given, then http.disconnect when it is time."""
        if self.piece is not None or (self.complete and not self.delivered):
            return ready(self.message())
        if self.disconnected or self.stage == OVER:
            return ready(DISCONNECT.copy())
        return self.receive_later()

    async def receive_later(self):
        cdef Connection c = self.connection
        if not self.complete and c.expects and not self.disconnected:
            c.expects = 0
            if not c.started:
                c.transmit(self.engine.poller, b"HTTP/1.1 100 Continue\r\n\r\n", 25, NULL, 0, None)
                self.engine.counters.codes[100] += 1
        while True:
            if self.piece is not None or (self.complete and not self.delivered):
                return self.message()
            if self.disconnected or self.stage == OVER:
                return DISCONNECT.copy()
            if self.receiver is None or self.receiver.done():
                self.receiver = self.engine.loop.create_future()
            if not self.complete:
                self.engine.place(c)
                self.engine.resume(c)
            # shielded: others may wait for the same bytes, and cancelling one is not cancelling all
            await asyncio.shield(self.receiver)

    cdef object message(self):
        """The http.request that is next."""
        cdef Connection c = self.connection
        if self.disconnected and not self.complete:
            return DISCONNECT.copy()
        body = b"" if self.piece is None else bytes(self.piece)
        self.piece = None
        self.delivered = self.complete
        if self.waiting:
            self.waiting = 0
            if self.limit.queue == &self.engine.timed:
                link_move(&self.limit, &self.engine.timed, pw_coarse_ms())
            if not self.complete and not self.gone:
                self.engine.place(c)
            if not self.complete and c.readable and not c.busy:
                self.engine.resume(c)
        return {"type": "http.request", "body": body, "more_body": not self.delivered}

    def deliver(self, message):
        """ASGI `send`.

        Raises:
            ClientDisconnected: nothing can be sent any more (an OSError, as the specification asks).
            BadResponse: HTTP does not allow what the message says.
            RuntimeError: the message does not belong here in a response.
        """
        cdef str kind = message[TYPE]
        cdef PyObject* body                 # borrowed, as is `more`: values of a dict
        cdef PyObject* more
        if self.gone or self.connection.broken:
            raise ClientDisconnected("the client has disconnected")
        if kind == "http.response.body":
            if self.stage != STARTED and self.stage != STREAMING:
                raise RuntimeError(f"{kind} {self.why()}")
            if type(message) is dict:
                body = PyDict_GetItemWithError(message, BODY)
                more = PyDict_GetItemWithError(message, MORE)
                self.write_body(b"" if body == NULL else <object>body, more != NULL and <object>more)
            else:
                self.write_body(message.get(BODY, b""), message.get(MORE, False))
        elif kind == "http.response.start":
            if self.stage != NEW:
                raise RuntimeError(f"{kind} {self.why()}")
            if type(message) is dict:
                body = PyDict_GetItemWithError(message, HEADERS)
                more = PyDict_GetItemWithError(message, TRAILERS_FIELD)
                self.status = message[STATUS]
                self.headers = () if body == NULL else <object>body
                self.trailers = more != NULL and <object>more
            else:
                self.status = message[STATUS]
                self.headers = message.get(HEADERS, ())
                self.trailers = message.get(TRAILERS_FIELD, False)
            self.stage = STARTED
            return DONE
        else:
            self.deliver_extension(kind, message)
        return self.after_write()

    def deliver_extension(self, str kind, message):
        if kind == "http.response.early_hint":
            if self.stage != NEW:
                raise RuntimeError(f"{kind} {self.why()}")
            self.early_hint(message.get("links", ()))
        elif kind == "http.response.trailers":
            if self.stage != TRAILERS:
                raise RuntimeError(f"{kind} {self.why()}")
            self.write_trailers(message.get("headers", ()))
            if not message.get("more_trailers", False):
                self.connection.transmit(self.engine.poller, b"\r\n", 2 if self.connection.chunked else 0, NULL, 0, None)
                self.finish()
        elif kind == "http.response.pathsend":
            if self.stage != STARTED:
                raise RuntimeError(f"{kind} {self.why()}")
            self.send_path(message["path"])
        elif kind == "http.response.zerocopysend":
            if self.stage != STARTED and self.stage != STREAMING:
                raise RuntimeError(f"{kind} {self.why()}")
            self.send_descriptor(message)
        else:
            raise ValueError(f"unknown ASGI message {kind!r:.80}")

    def why(self):
        return (
            "came before http.response.start", "came twice, or after http.response.start",
            "came in the middle of a body", "came where trailers were announced", "came after the response was complete",
        )[self.stage]

    def send_path(self, path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise BadResponse(f"http.response.pathsend: {path!r:.200} is not a regular file")
            self.write_file(fd, 0, info.st_size, False, None)
        finally:
            os.close(fd)

    def send_descriptor(self, message):
        file = message["file"]
        fd = file if isinstance(file, int) else file.fileno()
        offset = message.get("offset")
        if offset is None:
            offset = os.lseek(fd, 0, os.SEEK_CUR)
        count = message.get("count")
        if count is None:
            count = max(0, os.fstat(fd).st_size - offset)
        if offset < 0 or count < 0:
            raise BadResponse(f"http.response.zerocopysend: offset {offset} and count {count} must not be negative")
        self.write_file(fd, offset, count, message.get(MORE, False), None)

    # -- writing -------------------------------------------------------------------------------------------------

    cdef int write_head(self, int64_t length) except -1:
        """Check the head and put it into the strand's buffer."""
        cdef Reply reply
        cdef Strand strand = self.engine.strand
        cdef Connection c = self.connection
        # the strand's buffer is everybody's: no code of the application may run while it is filled
        headers = self.headers if type(self.headers) is list else list(self.headers)
        for pair in <list>headers:
            if type(pair) is not tuple and type(pair) is not list:
                headers = [tuple(each) for each in <list>headers]
                break
        strand.out.size = 0
        reply_status_code(&strand.out, &reply, self.status)
        self.engine.own_field(&reply)
        for pair in <list>headers:
            if type(pair) is tuple and len(<tuple>pair) == 2:
                reply_field_bytes(&strand.out, &reply, (<tuple>pair)[0], (<tuple>pair)[1])
            else:
                name, value = pair
                reply_field_bytes(&strand.out, &reply, name, value)
        self.declared = reply.content_length
        self.silent = c.is_head or silent(reply.status)
        link_remove(&self.limit)            # it is in time
        if self.engine.interrupted:
            self.engine.withdraw()
        if self.trailers and c.minor:
            length = -1
        self.engine.end_head(c, &strand.out, &reply, length)
        self.stage = STREAMING
        return 0

    cdef int write_body(self, object body, bint more) except -1:
        cdef Connection c = self.connection
        cdef Strand strand = self.engine.strand
        cdef const char* data
        cdef size_t size
        if type(body) is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise TypeError(f"an ASGI body is bytes, not {type(body).__name__}")
            body = bytes(body)
        data = PyBytes_AS_STRING(body)
        size = PyBytes_GET_SIZE(body)
        if self.stage == STARTED:
            # RFC 9110 section 8.6: a HEAD answer must not guess at the length that GET would have
            self.write_head(-1 if more or (size == 0 and c.is_head) else <int64_t>size)
        else:
            strand.out.size = 0
        self.written += size
        if self.declared >= 0 and self.written > self.declared:
            size = size - (self.written - self.declared) if size > <size_t>(self.written - self.declared) else 0
        if self.silent:
            size = 0
        if size and c.chunked:
            put_chunk_size(&strand.out, size)
        if size and size <= SMALL:
            put(&strand.out, data, size)
            size = 0
            if c.chunked and PyBytes_GET_SIZE(body):
                put(&strand.out, b"\r\n", 2)
        if size:
            c.transmit(self.engine.poller, strand.out.data, strand.out.size, data, size, body)
            strand.out.size = 0
            if c.chunked:
                put(&strand.out, b"\r\n", 2)
        if not more and c.chunked:
            if self.trailers:
                put(&strand.out, b"0\r\n", 3)
            else:
                put(&strand.out, b"0\r\n\r\n", 5)
        if strand.out.size:
            c.transmit(self.engine.poller, strand.out.data, strand.out.size, NULL, 0, None)
        if not more:
            if self.trailers:
                self.stage = TRAILERS
            else:
                self.finish()
        return 0

    cdef int write_file(self, int fd, int64_t at, int64_t size, bint more, object owner) except -1:
        cdef Connection c = self.connection
        cdef Strand strand = self.engine.strand
        if self.stage == STARTED:
            self.write_head(-1 if more else size)
        else:
            strand.out.size = 0
        self.written += size
        if self.declared >= 0 and self.written > self.declared:
            size = max(0, size - (self.written - self.declared))
        if self.silent:
            size = 0
        if size and c.chunked:
            put_chunk_size(&strand.out, size)
        if strand.out.size:
            c.transmit(self.engine.poller, strand.out.data, strand.out.size, NULL, 0, None)
        if size:
            c.transmit_file(self.engine.poller, fd, at, size, owner)
            if c.chunked:
                c.transmit(self.engine.poller, b"\r\n", 2, NULL, 0, None)
        if not more:
            if c.chunked:
                c.transmit(self.engine.poller, b"0\r\n\r\n", 3 if self.trailers else 5, NULL, 0, None)
            if self.trailers:
                self.stage = TRAILERS
            else:
                self.finish()
        return 0

    cdef int write_trailers(self, object headers) except -1:
        """Trailer fields, if the framing has a place for them."""
        cdef Reply reply
        cdef Strand strand = self.engine.strand
        pairs = list(headers)
        if not self.connection.chunked:
            return 0
        strand.out.size = 0
        reply.status = 200
        reply.content_length = 0
        for name, value in pairs:
            if bytes(name).lower() in (b"content-length", b"transfer-encoding", b"host", b"connection", b"trailer"):
                raise BadResponse(f"{bytes(name)!r:.80} must not be a trailer field")
            reply_field_bytes(&strand.out, &reply, name, value)
        if strand.out.size:
            self.connection.transmit(self.engine.poller, strand.out.data, strand.out.size, NULL, 0, None)
        return 0

    cdef int early_hint(self, object links) except -1:
        """103 with Link fields (RFC 8297); HTTP/1.0 has no interim responses."""
        cdef Reply reply
        cdef Strand strand = self.engine.strand
        values = list(links)
        if self.connection.minor == 0:
            return 0
        strand.out.size = 0
        put(&strand.out, b"HTTP/1.1 103 Early Hints\r\n", 26)
        reply.status = 103
        reply.content_length = -1
        reply.own_size = 0
        for value in values:
            reply_field_bytes(&strand.out, &reply, b"Link", value)
        put(&strand.out, b"\r\n", 2)
        self.connection.transmit(self.engine.poller, strand.out.data, strand.out.size, NULL, 0, None)
        self.engine.counters.codes[103] += 1
        return 0

    cdef int finish(self) except -1:
        """The body is complete; one shorter than it promised costs the connection."""
        self.stage = OVER
        if self.declared >= 0 and self.written != self.declared and not self.silent:
            path = self.scope.get("path")
            self.engine.notice(
                f"length {path!r:.80}",
                f"response to {path!r:.80} promised {self.declared} bytes and had {self.written}",
            )
            if self.written < self.declared:
                self.connection.keep = 0
        return self.engine.response_over(self)

    cdef object after_write(self):
        """What `send` returns: done, unless the client must read first."""
        cdef Connection c = self.connection
        if self.stage == OVER or c.parked_bytes <= PARKED_MOST or self.gone:
            return DONE
        return self.drained()

    async def drained(self):
        if self.stage == OVER:              # by another task, before this one's turn: the connection is the next one's
            return
        if self.drainer is None or self.drainer.done():
            self.drainer = self.engine.loop.create_future()
        # once: the time of a client that does not read is not to begin anew with everything that is sent
        if self.connection.link.queue != &self.engine.writing:
            self.engine.place(self.connection)
        await asyncio.shield(self.drainer)
        if self.gone:
            raise ClientDisconnected("the client has disconnected")

    # -- what comes from the client ------------------------------------------------------------------------------

    cdef int take(self, bytes piece) except -1:
        """Bytes of the body, or of the protocol that the connection has changed to."""
        if self.sink is not None:
            return self.tell_sink(piece)
        self.waiting += len(piece)
        if self.piece is None:
            self.piece = piece
        else:
            if type(self.piece) is bytes:
                self.piece = bytearray(self.piece)
            self.piece += piece
        if self.receiver is not None and not self.receiver.done():
            self.receiver.set_result(None)
        return 0

    cdef int tell_sink(self, bytes piece) except -1:
        """Give bytes to the sink, or None for their end; when it fails, so does the connection."""
        try:
            if piece is None:
                self.sink.ended()
            else:
                self.sink.received(piece)
        except Exception as exc:
            self.engine.blame(exc, self.engine.named(self.connection, self.described()))
            self.engine.cut_body(self.connection)
            self.engine.close_connection(self.connection)
        return 0

    cdef int input_over(self) except -1:
        """The client sends no more."""
        self.complete = True
        if self.sink is not None and self.upgraded:
            return self.tell_sink(None)
        if self.receiver is not None and not self.receiver.done():
            self.receiver.set_result(None)
        return 0

    # -- ends ----------------------------------------------------------------------------------------------------

    cdef int call(self) except -1:
        """Call the application: the beginning of the task's first step, so in the task's own context."""
        if not self.running:
            raise RuntimeError("cannot reuse an awaited request")
        app = self.engine.upgraded if self.upgrading else self.engine.app
        inner = app(self.scope, self.receive, self.deliver)
        self.inner = inner if type(inner) is CoroutineType or hasattr(inner, "send") else inner.__await__()
        return 0

    cdef int leave(self) except -1:
        """The application has ended."""
        if self.running:
            self.running = False
            link_remove(&self.limit)
            self.inner = self.task = None
            if not self.written_off:
                self.engine.running -= 1
            Py_DECREF(self)
        return 0

    cdef int disconnect(self) except -1:
        """`receive` says http.disconnect from now on."""
        self.disconnected = True
        sink, self.sink = self.sink, None
        if sink is not None:
            sink.lost()
        if self.receiver is not None and not self.receiver.done():
            self.receiver.set_result(None)
        return 0

    cdef bint endless(self):
        """Whether the response has begun and has no end of its own: a stream of events, another protocol."""
        if self.stage != STREAMING:
            return False
        if self.sink is not None and self.upgraded:
            return True
        try:
            for name, value in self.headers:
                if bytes(name).lower() == b"content-type":
                    return bytes(value).lower().startswith(b"text/event-stream")
        except Exception:                   # the headers are the application's to change
            pass
        return False

    cdef int server_ends(self) except -1:
        """Say http.disconnect for the server's sake: what the application has sent by its end is the response."""
        if self.told or self.stage == OVER or self.gone:
            return 0
        self.told = True
        if self.sink is not None:
            self.sink.server_ends()
            return 0
        return self.disconnect()

    cdef int returned(self) except -1:
        """The application is done."""
        self.leave()
        if self.told and self.stage == STREAMING and not self.gone and self.declared < 0:
            self.trailers = False           # nobody is left to send them
            self.write_body(b"", False)
        elif self.stage != OVER and not self.gone:
            if self.told and not self.connection.started and not self.connection.broken:
                self.gone = True            # the client is still there
                return self.engine.refuse(self.connection, None, 503, NULL)
            if self.disconnected:
                return self.give_up()
            return self.raised_with(RuntimeError("the application returned before its response was complete"))
        self.scope = None
        return 0

    cdef int give_up(self) except -1:
        """The client is gone and the application has left it at that: 499 for the log, as nginx has it."""
        cdef Connection c = self.connection
        self.stage = OVER
        if not c.started:
            c.status = 499
        c.keep = 0
        c.broken = 1
        self.engine.response_over(self)
        self.scope = None
        return 0

    cdef int time_out(self) except -1:
        """The deadline is over: 504 if nothing was sent yet, and nothing of the application's any more."""
        cdef Connection c = self.connection
        if self.gone or c.exchange is not self or c.state != APPLICATION or c.started:
            return 0
        self.gone = True
        return self.engine.refuse(c, None, 504, NULL)

    cdef int raised(self, object exc) except -1:
        self.leave()
        if isinstance(exc, RequestTimeout) and self.overdue:
            self.time_out()
            exc = None
        if (self.gone or self.disconnected or self.connection.broken) and comes_of_disconnect(exc, CAUSES_MOST):
            exc = None
        elif isinstance(exc, ResponseCut) or isinstance(exc, asyncio.CancelledError) and self.gone:
            exc = None
        return self.raised_with(exc)

    cdef int raised_with(self, object exc) except -1:
        """The application failed: report it; 500 if nothing was sent, else the connection is cut."""
        cdef Connection c = self.connection
        cdef ASGIBase engine = self.engine
        cdef Reply reply
        if exc is not None:
            engine.blame(exc, engine.named(c, self.described()))
        if self.gone or self.stage == OVER:
            self.scope = None
            return 0
        if self.stage <= STARTED and not c.started:
            engine.strand.out.size = 0
            reply_status_code(&engine.strand.out, &reply, 500)
            put(&engine.strand.out, b"Content-Type: text/plain\r\n", 26)
            engine.end_head(c, &engine.strand.out, &reply, PyBytes_GET_SIZE(FAILED))
            if not c.is_head:
                put(&engine.strand.out, PyBytes_AS_STRING(FAILED), PyBytes_GET_SIZE(FAILED))
            c.transmit(engine.poller, engine.strand.out.data, engine.strand.out.size, NULL, 0, None)
        else:
            engine.cut_body(c)
        self.stage = OVER
        engine.response_over(self)
        self.scope = None
        return 0

    cdef str described(self):
        """Method and path, as the logs name a request."""
        try:
            return f"{self.scope['method']} {self.scope['raw_path'].decode('latin-1')}"
        except Exception:                   # the scope is the application's to change
            return "a request"


cdef PySendResult send_exchange(PyObject* me, PyObject* argument, PyObject** result) noexcept:
    """One step of the application; its end never reaches the Task as an exception, but a cancellation does."""
    cdef Exchange self = <Exchange>me
    cdef PySendResult how
    cdef PyObject* value = NULL
    cdef PyObject* outer = step_in(self)
    try:
        if self.inner is None:
            self.call()
        how = PyIter_Send(self.inner, argument, &value)
        step_out(self, outer)
        if how == PYGEN_RETURN:
            self.returned()
        result[0] = value
        return how
    except BaseException as exc:
        step_out(self, outer)
        Py_INCREF(None)
        result[0] = <PyObject*>None
        try:
            self.raised(exc)
        except BaseException as fault:
            self.engine.fault(fault)
            self.engine.close_connection(self.connection)
    return PYGEN_RETURN


cdef class ASGIBase(StaticEngine):
    """What an exchange needs of its engine: going on with the connection when a response is complete."""

    cdef str request_of(self, Connection c):
        return (<Exchange>c.exchange).described() if c.exchange is not None else "a request"

    cdef int response_over(self, Exchange exchange) except -1:
        """A response is complete: count it and move the connection on."""
        cdef Connection c = exchange.connection
        exchange.disconnect()
        if exchange.drainer is not None and not exchange.drainer.done():
            exchange.drainer.set_result(None)   # on_flushed will not know of it
        if c.state != APPLICATION or c.exchange is not exchange:
            return 0
        self.count(c)
        c.exchange = None
        c.state = FLUSH
        if c.parked is not None and not c.broken:
            self.place(c)
            return 0
        self.after_response(c)
        return self.resume(c)

    cdef int withdraw(self) noexcept:
        """The step that was interrupted is over: no other one must meet the exception."""
        self.interrupted = False
        PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), NULL)
        return 0

    cdef int resume(self, Connection c) except -1:
        """Go on with a connection from outside its own events."""
        if c.busy or c.state == CLOSED:
            return 0
        if c.state == HEAD and not c.readable and (c.hungry or not c.stash_size):
            return 0
        c.busy = 1
        self.advance(c, self.strand)
        self.schedule_again()
        return 0

    cdef int schedule_again(self) except -1:
        """Connections cut short in their turn: their bytes are here already, so no event will come for them."""
        if self.again and not self.again_waits:
            self.again_waits = True
            self.loop.call_soon(self.on_again)
        return 0

    def on_again(self):
        self.again_waits = False
        self.clock_ns = 0
        self.handle_again(self.strand)
        self.schedule_again()


pw_set_send(<PyObject*>Exchange, send_exchange)
Coroutine.register(Exchange)
