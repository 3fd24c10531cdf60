# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The WSGI driver (PEP 3333): gathers the body, calls the application on the thread that read the request, writes.

A slow client holds no thread: the body is gathered before the call, and output that the socket does not take is
parked in memory, then in a temporary file. Only past `response-spool` does a thread wait for its reader.

Pieces of a body that follow each other at once are held back and sent together, as PEP 3333 allows where another
thread keeps transmission going: the watcher takes the lead when the call lasts, and the first thing that a new leader
does is to send what the others hold. A piece that comes alone is sent before the application goes on.

Long, because the call, what the application gets of it and what is held of its output share one question, who leads at
this moment, and have to be read together.
"""

import io
import os
import stat
import threading
from io import BytesIO

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memset

from portway.engine.body cimport BODY_BROKEN, BODY_DONE, body_feed
from portway.engine.connection cimport ALIVE_EXCHANGES, APPLICATION, BODY, CLOSED, DEAD, FLUSH, HEAD, PARKED, SENT, born, died, temporary_file
from portway.engine.base cimport INPUT_SIZE, LOG_MS, Listener, SMALL
from portway.engine.cposix cimport POLLIN, POLLOUT, poll, pollfd, pw_coarse_ms, pw_now_ns, write
from portway.engine.deadlines cimport link_move
from portway.engine.environ cimport base_environ, make_environ
from portway.engine.poller cimport READABLE
from portway.engine.tls cimport TLS
from portway.engine.watchdog cimport this_thread
from portway.engine.wsgi_watchdog cimport Call, WSGIWatchdog
from portway.engine.request_id cimport request_id
from portway.engine.reply cimport (
    put, put_chunk_size, reply_field_text, reply_status_code, reply_status_text, silent,
)

from portway.engine.errors import BadResponse, RequestIncomplete

cdef str K_INPUT = "wsgi.input", K_LENGTH = "CONTENT_LENGTH"
cdef tuple PLAIN_FILES = (io.FileIO, io.BufferedReader, io.BufferedRandom)
cdef enum:
    FILES_PLACE = 0             # what the crew knows sending files by
    FAIR_PER_MS = 16            # bytes of a body that a thread waits for
    BURST_NS = 50000            # pieces that follow each other faster than this are sent together,
    HELD_MOST = 16384           # this many bytes of them

cdef bytes FAILED = b"Internal Server Error\n"


cdef bint reads_plainly(object file):
    """Whether what reading gives is what the descriptor has."""
    cdef object kind = type(file)
    for plain in PLAIN_FILES:
        if isinstance(file, plain):
            return kind.read is plain.read and kind.readinto is plain.readinto
    return False


cdef class FileWrapper:
    """`wsgi.file_wrapper`: a regular file is sent with sendfile(2) when it is what the application returns."""

    def __init__(self, filelike, block_size=8192):
        self.filelike = filelike
        self.block_size = block_size
        self.close = getattr(filelike, "close", int)

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.block_size)
        if data:
            return data
        raise StopIteration


cdef class Exchange:
    """One request and its response. `start_response` and what it returns belong to the application."""

    def __cinit__(self):
        born(ALIVE_EXCHANGES)

    def __dealloc__(self):
        died(ALIVE_EXCHANGES)

    def start_response(self, status, headers, exc_info=None):
        """PEP 3333's: may be called again only with `exc_info`, and not once the head has left."""
        self.check_current()
        if exc_info is not None:
            try:
                if self.connection.started:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self.status is not None:
            raise AssertionError("start_response was called a second time without exc_info")
        self.status = status
        self.headers = headers
        return self.write

    def write(self, data):
        """PEP 3333's imperative way to send body bytes."""
        if type(data) is not bytes:
            raise TypeError(f"write() takes bytes, not {type(data).__name__}")
        self.check_current()
        if not data:
            return
        self.write_piece(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), data)

    def early_hints(self, headers):
        """`wsgi.early_hints`: send a 103 with these (name, value) pairs at once (RFC 8297)."""
        cdef Connection c = self.connection
        cdef Reply reply
        self.check_current()
        if c.started or c.minor == 0:
            return
        self.strand.out.size = 0
        put(&self.strand.out, b"HTTP/1.1 103 Early Hints\r\n", 26)
        reply.status = 103
        reply.content_length = -1
        reply.own_size = 0
        for name, value in list(headers):
            reply_field_text(&self.strand.out, &reply, name, value)
        put(&self.strand.out, b"\r\n", 2)
        if self.call is not None:
            self.call.pause()
            self.check_current()
        c.transmit(self.engine.poller, self.strand.out.data, self.strand.out.size, NULL, 0, None)
        if self.call is not None:
            self.call.resume()
        self.engine.counters.codes[103] += 1

    cdef int check_current(self) except -1:
        """The application may keep what it was given; it must not reach a later request of the connection."""
        if self.connection.exchange is not self:
            raise RuntimeError("the request is over")
        return 0

    cdef int write_head(self, int64_t length) except -1:
        """Check the head and put it into the strand's buffer."""
        cdef Reply reply
        cdef Connection c = self.connection
        if self.call is not None:
            self.call.pause()               # it is in time
            self.check_current()            # or not
        if self.status is None:
            raise BadResponse("the application returned without calling start_response")
        headers = self.headers if type(self.headers) is list else list(self.headers)
        self.strand.out.size = 0
        reply_status_text(&self.strand.out, &reply, self.status)
        self.engine.own_field(&reply)
        for pair in <list>headers:
            if type(pair) is not tuple or len(<tuple>pair) != 2:
                name, value = pair
            else:
                name = (<tuple>pair)[0]
                value = (<tuple>pair)[1]
            reply_field_text(&self.strand.out, &reply, name, value)
        self.declared = reply.content_length
        self.silent = c.is_head or silent(reply.status)
        self.engine.end_head(c, &self.strand.out, &reply, length)
        return 0

    cdef int write_whole(self, bytes piece) except -1:
        """The whole response in one send: head and the only piece."""
        cdef Connection c = self.connection
        cdef size_t size = PyBytes_GET_SIZE(piece)
        # RFC 9110 section 8.6: a HEAD answer must not guess at the length that GET would have
        self.write_head(size if size or not c.is_head else -1)
        self.written = size
        if self.declared >= 0 and <size_t>self.declared < size:
            size = self.declared
        if self.silent or size == 0:
            c.transmit(self.engine.poller, self.strand.out.data, self.strand.out.size, NULL, 0, None)
        elif size <= SMALL:
            put(&self.strand.out, PyBytes_AS_STRING(piece), size)
            c.transmit(self.engine.poller, self.strand.out.data, self.strand.out.size, NULL, 0, None)
        else:
            c.transmit(
                self.engine.poller, self.strand.out.data, self.strand.out.size, PyBytes_AS_STRING(piece), size, piece
            )
        return 0

    cdef int write_piece(self, const char* data, size_t size, object owner) except -1:
        """One piece of a streamed body, at once; the head before the first."""
        cdef Connection c = self.connection
        cdef Strand strand = self.strand
        if not c.started:
            self.write_head(-1)
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
            if c.chunked:
                put(&strand.out, b"\r\n", 2)
        if size <= SMALL and self.hold():
            return 0
        self.send_held()
        if strand.out.size:
            c.transmit(
                self.engine.poller, strand.out.data, strand.out.size,
                data if size > SMALL else NULL, size if size > SMALL else 0, owner,
            )
        elif size > SMALL:
            c.transmit(self.engine.poller, data, 0, data, size, owner)
        if c.chunked and size > SMALL:
            c.transmit(self.engine.poller, b"\r\n", 2, NULL, 0, None)
        if c.broken:
            raise ConnectionError("the client is gone")
        if c.parked is not None and not self.engine.crew.resting:
            # nobody else would hear that the client reads again until this call is over
            c.flush(self.engine.poller)
        if c.parked_bytes > c.spool_limit:
            self.engine.wait_writable(c)
        return 0

    cdef bint hold(self):
        """Keep what is in the strand's buffer for a moment, if it is one of a burst and somebody watches."""
        cdef Connection c = self.connection
        cdef Strand strand = self.strand
        cdef Crew crew = self.engine.crew
        cdef uint64_t now = pw_now_ns()
        cdef bint burst = now - self.piece_ns < BURST_NS
        cdef size_t size = strand.held.size + strand.out.size
        self.piece_ns = now
        if (
            not burst or crew.leader != strand.index or crew.resting == 0 or c.parked is not None
            or size > HELD_MOST or (c.spool_after and size > c.spool_after)
            or c.tls is not None            # nobody else could send it, see send_held_by_others
        ):
            return False
        put(&strand.held, strand.out.data, strand.out.size)
        strand.holding = c
        return True

    cdef int send_held(self) except -1:
        """Send what is held back of this response."""
        cdef Strand strand = self.strand
        cdef size_t size = strand.held.size
        if strand.holding is None:
            return 0
        strand.holding = None               # first: from now on no new leader may touch it
        strand.held.size = 0
        self.connection.transmit(self.engine.poller, strand.held.data, size, NULL, 0, None)
        return 0

    cdef int send_file(self, FileWrapper wrapper) except -1:
        """Send a wrapped regular file with sendfile; 0 when it is none and must be iterated."""
        cdef Connection c = self.connection
        cdef int64_t size
        file = wrapper.filelike
        if type(file).__module__ == "tempfile":
            file = getattr(file, "file", file)
        # others, such as gzip's or a subclass with a read() of its own, are not what their descriptor says
        if not reads_plainly(file) or not reads_plainly(getattr(file, "raw", file)):
            return 0
        try:
            fd = file.fileno()
            info = os.fstat(fd)
            at = file.tell()
        except (AttributeError, OSError, ValueError):
            return 0
        # files of /proc say that they are empty
        if not stat.S_ISREG(info.st_mode) or info.st_size == 0 or self.status is None:
            return 0
        size = max(0, info.st_size - at)
        self.write_head(size)
        if self.declared >= 0:
            size = min(size, self.declared)
        self.written = size
        c.transmit(self.engine.poller, self.strand.out.data, self.strand.out.size, NULL, 0, None)
        if size and not self.silent:
            c.transmit_file(self.engine.poller, fd, at, size, None)
        return 1

    cdef int finish(self) except -1:
        """End the body; a response that broke its promise costs the connection, never the next response."""
        cdef Connection c = self.connection
        if not c.started:
            self.write_whole(b"")
        elif c.chunked and self.strand.holding is not None:
            put(&self.strand.held, b"0\r\n\r\n", 5)
            self.send_held()
        elif c.chunked:
            c.transmit(self.engine.poller, b"0\r\n\r\n", 5, NULL, 0, None)
        else:
            self.send_held()
        if self.declared >= 0 and self.written != self.declared and not self.silent:
            self.engine.notice(
                f"length {self.environ.get('PATH_INFO')!r:.80}",
                f"response to {self.environ.get('PATH_INFO')!r:.80} promised {self.declared} bytes"
                f" and had {self.written}",
            )
            if self.written < self.declared:
                c.keep = 0
        return 0

    def gather(self):
        """Receive the body now, for a client that waits for 100 Continue; called by the first read.

        Raises:
            RequestIncomplete: the client ended, stalled past body-timeout, or broke the framing.
        """
        cdef Connection c = self.connection
        cdef WSGIEngine engine = self.engine
        cdef pollfd waiting
        cdef int got
        cdef int64_t left = -1, timeout = engine.bodies.timeout_ms
        cdef int64_t began = pw_coarse_ms()
        self.check_current()
        if c.body.kind == BODY_DONE or c.started:
            return BytesIO()
        if self.call is not None:
            self.call.pause()               # how long the client takes is not the application's doing
        c.expects = 0
        c.transmit(engine.poller, b"HTTP/1.1 100 Continue\r\n\r\n", 25, NULL, 0, None)
        engine.counters.codes[100] += 1
        waiting.fd = c.fd
        waiting.events = POLLIN
        try:
            while c.body.kind != BODY_DONE:
                if timeout:
                    # a thread waits here, so the whole body has body-timeout, and more only as it comes at a fair rate
                    left = began + timeout + <int64_t>self.size // FAIR_PER_MS - <int64_t>pw_coarse_ms()
                    if left <= 0:
                        raise RequestIncomplete(408, "body slower than body-timeout and 16 kB/s")
                    left = min(left, timeout)
                got = c.readable            # TLS may hold bytes that the socket no longer has
                if not got:
                    with nogil:
                        got = poll(&waiting, 1, <int>left)
                if got > 0:
                    c.readable = 1
                    got = engine.take_body(c, self.strand)
                    if got < 0:
                        raise RequestIncomplete(c.body.status or 400, "connection ended inside a request body")
                elif got == 0:
                    raise RequestIncomplete(408, "body stalled for body-timeout")
        finally:
            if self.call is not None:
                self.call.resume()
        return self.body_file()

    cdef object body_file(self):
        """The gathered body as a file."""
        if self.file is not None:
            self.file.seek(0)
            return self.file
        return BytesIO() if self.data is None else BytesIO(self.data)


cdef class WSGIEngine(StaticEngine):
    """Serves one WSGI application from one process.

    Args:
        app: the application.
        settings: portway.config.Settings.
        slot: this worker's line of the board, None for private counters.
        board: for handing connections over; needs `add_handover`.
        report: hears of errors and notices, see docs/architecture.md.
        access: the access log, or None.
        multiprocess: for the environ.

    `run` blocks in the calling thread and starts threads - 1 more. Signals reach `on_wakeup` through
    `wakeup_fd`, whichever thread leads.
    """

    def __init__(self, app, settings, slot=None, board=None, report=None, access=None, multiprocess=True):
        super().__init__(settings, slot, board, report, access)
        self.app = app
        self.multiprocess = multiprocess
        self.crew = Crew(settings.process.threads)
        self.strands = [self.new_strand(i) for i in range(settings.process.threads)]
        self.spool_after = self.body_memory

    cdef object template_for(self, Listener listener):
        environ = base_environ(self, listener, self.settings.process.threads > 1, self.multiprocess)
        environ["wsgi.file_wrapper"] = FileWrapper
        environ["wsgi.early_hints"] = None
        return environ

    def run(self):
        """Serve until drained or stopped."""
        self.start_pulse()
        self.start_watchdog()
        threads = [
            threading.Thread(target=self.work, args=(i,), name=f"portway-{i}", daemon=True)
            for i in range(1, self.crew.threads)
        ]
        for thread in threads:
            thread.start()
        self.work(0)
        if self.executing == 0:
            for thread in threads:
                thread.join()
        if self.watchdog is not None:
            self.watchdog.stop()
            self.watchdog = None

    cdef int start_watchdog(self) except -1:
        if self.timeout_ms:
            self.watchdog = WSGIWatchdog(self.timeout_ms, self.report, self)
            self.watchdog.nudge = self.nudge
            self.watchdog.on_stuck = self.on_stuck
            self.calls = [self.watchdog.new_call() for _ in range(self.crew.threads)]
            self.watchdog.start()
        return 0

    def work(self, int number):
        """The life of one thread: lead, or follow."""
        cdef Strand strand = self.strands[number]
        if self.calls is not None:
            (<Call>self.calls[number]).ident = this_thread()
        while not self.stopped:
            if self.crew.lead(number):
                self.lead(strand)
            else:
                self.crew.follow(number)
        self.crew.stop()

    cdef int lead(self, Strand strand) except -1:
        """Serve events for as long as this thread has the lead."""
        cdef Crew crew = self.crew
        cdef int me = strand.index, timeout, longest
        self.send_held_by_others(strand)
        while crew.leader == me and not self.stopped:
            try:
                if self.batch_left():
                    self.dispatch(strand)
                    continue
                self.tick()
                if self.stopped:
                    break
                # with others at work in the application, waiting gives them their turn of the GIL
                if crew.threads - crew.resting > 1:
                    self.poller.wait(0, True)
                    self.clock_ns = 0
                else:
                    self.poller.wait(0, False)
                if self.poller.count == 0:
                    timeout = self.turn_timeout()
                    if crew.threads - crew.resting > 1:
                        # a thread that ends its call may set a deadline before the next one known, or leave a record
                        longest = 250 if self.access is None else LOG_MS
                        if timeout < 0 or timeout > longest:
                            timeout = longest
                    if timeout:
                        self.poller.wait(timeout, True)
                        self.clock_ns = 0
                self.now_ms = pw_coarse_ms()
                if self.again:
                    self.handle_again(strand)
            except BaseException as exc:
                self.fault(exc)
        if self.stopped:
            self.close_all()
        return 0

    cdef int send_held_by_others(self, Strand strand) except -1:
        """Send what calls that last too long hold back. Nothing in here gives up the GIL."""
        cdef Strand other
        cdef size_t size
        for other in self.strands:
            if other is not strand and other.holding is not None:
                size, other.held.size = other.held.size, 0
                c, other.holding = other.holding, None
                (<Connection>c).transmit(self.poller, other.held.data, size, NULL, 0, None)
        return 0

    def close_all(self):
        """At the end: no connection outlives the engine, but those whose requests other threads still have."""
        self.cut_all()
        if self.access is not None:
            self.access.flush()

    cdef int on_head(self, Connection c, Strand strand, const char* data) except -1:
        cdef Exchange exchange = Exchange.__new__(Exchange)
        cdef Input body = Input.__new__(Input)
        cdef uint32_t i, place = 2166136261
        exchange.engine = self
        exchange.connection = c
        exchange.strand = strand
        exchange.environ = make_environ(self, c, strand, data)
        if self.tell_mount:
            exchange.environ["portway.mount"] = c.mount
        if self.id_name is not None:
            self.identify(c, exchange.environ)
        exchange.input = body
        exchange.declared = -1
        exchange.environ[K_INPUT] = body
        if self.crew.threads > 1:
            # method and path, not the query: FNV-1a over at most 64 bytes
            for i in range(min(64, strand.parser.head.path_at + strand.parser.head.path_size)):
                place = (place ^ <unsigned char>data[i]) * 16777619
            exchange.place = place ^ (place >> 16)
        c.exchange = exchange
        return 0

    cdef int identify(self, Connection c, dict environ) except -1:
        key = "HTTP_" + self.id_name.decode().upper().replace("-", "_")
        given = environ.get(key)
        c.request_id = request_id(given.encode("latin-1") if given is not None else None)
        environ[key] = c.request_id.decode()
        return 0

    cdef void step_aside(self, Strand strand) noexcept:
        """To the crew, a thread that may wait for a disk is one that is in the application."""
        self.crew.enter_call(strand.index, FILES_PLACE, 0)

    cdef void step_back(self, Strand strand) noexcept:
        # took no time: one slow disk must not have the lead given away before every file
        self.crew.leave_call(strand.index, FILES_PLACE, 0, 0)

    cdef int on_piece(self, Connection c, const char* data, size_t size) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return 0
        exchange.size += size
        try:
            if exchange.file is None and exchange.size > self.body_memory:
                exchange.file = temporary_file(True)
                if exchange.data is not None:
                    exchange.file.write(exchange.data)
                    exchange.data = None
            if exchange.file is not None:
                exchange.file.write(data[:size])
                return 0
        except OSError as exc:
            self.notice("body spool", f"no room for a request body in the temporary folder: {exc.strerror}")
            if exchange.lazy:
                raise RequestIncomplete(503, "no room for the request body") from exc
            self.refuse(c, exchange.strand, 503, b"no room for the request body")
            return 0
        if exchange.data is None:
            exchange.data = data[:size]
            return 0
        if type(exchange.data) is bytes:
            exchange.data = bytearray(exchange.data)
        exchange.data += data[:size]
        return 0

    cdef int on_begin(self, Connection c, Strand strand) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if c.body.kind == BODY_DONE or exchange is None:
            return 0
        if c.expects and exchange.size == 0 and self.crew.threads - <int>self.executing > 2 and self.lazy == 0:
            # The 100 waits for the application's first read. The thread then waits for the client, so there is
            # one such request at a time, and never on the last thread that could lead.
            exchange.input.source = exchange
            exchange.lazy = True
            self.lazy += 1
            return self.on_end(c, strand)
        if c.expects:
            c.expects = 0
            c.transmit(self.poller, b"HTTP/1.1 100 Continue\r\n\r\n", 25, NULL, 0, None)
        c.state = BODY
        return 0

    cdef int on_end(self, Connection c, Strand strand) except -1:
        """The request is complete: call the application."""
        cdef Exchange exchange = <Exchange>c.exchange
        cdef Crew crew = self.crew
        cdef TLS tls
        cdef uint64_t began, now
        # when nothing came between its head and now, the time of the head will do
        began = 0 if c.state == BODY else c.began_ns
        c.state = APPLICATION
        if self.limit_concurrency and self.executing >= self.limit_concurrency:
            self.lazy -= exchange.lazy
            return self.refuse(c, strand, 503, b"more requests at once than limit-concurrency")
        exchange.strand = strand
        if exchange.size:
            try:
                exchange.input.inner = exchange.body_file()
            except OSError:
                # the last of it did not fit
                self.lazy -= exchange.lazy
                return self.refuse(c, strand, 503, b"no room for the request body")
            if K_LENGTH not in exchange.environ:
                exchange.environ[K_LENGTH] = str(exchange.size)
        self.executing += 1
        # a cycle, so it must not exist before this call is sure to break it
        exchange.environ["wsgi.early_hints"] = exchange.early_hints
        exchange.called = True
        if self.calls is not None:
            exchange.call = <Call>self.calls[strand.index]
            exchange.call.enter(c, exchange, exchange.environ)
        began = crew.enter_call(strand.index, exchange.place, began)
        try:
            self.respond(exchange)
        except BaseException as exc:
            if exchange.call is not None:
                exchange.call.pause()
            self.failed(exchange, exc)
        finally:
            if exchange.call is not None:
                exchange.call.leave()
                exchange.call = None
            now = pw_now_ns()
            crew.leave_call(strand.index, exchange.place, began, now)
            self.executing -= 1
            self.lazy -= exchange.lazy
        if c.exchange is exchange:
            self.count(c, now)
        exchange.environ = None
        exchange.headers = None
        if exchange.file is not None:
            exchange.file.close()
        if c.exchange is not exchange:
            tls = c.tls                     # which the other thread may drop meanwhile
            if tls is not None:
                tls.settle()
            return 0                        # refused in the middle of its body, or over its deadline
        c.exchange = None
        c.state = FLUSH
        if c.parked is not None and not c.broken:
            return self.place(c)
        return self.after_response(c)

    cdef int on_close(self, Connection c) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        # one that the application has is closed on its thread
        if exchange is not None and exchange.file is not None and not exchange.called:
            exchange.file.close()
        return 0

    cdef str request_of(self, Connection c):
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:                # refused in the application's place
            return "a request"
        try:
            environ = exchange.environ
            return f"{environ['REQUEST_METHOD']} {environ['RAW_URI'].partition('?')[0]}"
        except Exception:                   # the environ is the application's to change
            return "a request"

    cdef int on_again_added(self, Strand strand) except -1:
        if self.crew.leader != strand.index:
            write(self.wake_write, b"\0", 1)    # the leader sleeps until an event, and none will come
        return 0

    cdef bint leads(self, Strand strand) noexcept:
        return self.crew.leader == strand.index

    cdef int on_logged(self) except -1:
        # at once when little is going on: the next call may last. What comes in quick succession is left to the tick
        if self.now_ms >= self.logged_ms + LOG_MS:
            self.write_access()
        return 0

    cdef int respond(self, Exchange exchange) except -1:
        """Call the application and send what it returns; `close()` of that is called whatever happens."""
        cdef Connection c = exchange.connection
        cdef object piece
        result = self.app(exchange.environ, exchange.start_response)
        if type(result) is list and len(<list>result) == 1:
            piece = (<list>result)[0]
            if type(piece) is bytes and not c.started:
                exchange.write_whole(<bytes>piece)
                return exchange.finish()
        try:
            if type(result) is FileWrapper and not c.started and exchange.send_file(<FileWrapper>result):
                return exchange.finish()
            if type(result) is tuple and len(<tuple>result) == 1 and type(result[0]) is bytes and not c.started:
                exchange.write_whole(<bytes>result[0])
                return exchange.finish()
            for piece in result:
                if type(piece) is not bytes:
                    raise BadResponse(f"the application yielded {type(piece).__name__} where WSGI has bytes")
                if piece:
                    exchange.write_piece(PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece), piece)
                    if exchange.silent:
                        break
            exchange.finish()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return 0

    cdef int failed(self, Exchange exchange, object exc) except -1:
        """The application raised: report it, and answer 500 if nothing was sent yet."""
        cdef Connection c = exchange.connection
        cdef Reply reply
        exchange.send_held()
        if c.exchange is not exchange:
            return 0
        if isinstance(exc, RequestIncomplete):
            # the client's doing, not the application's
            c.keep = 0
            if not c.started:
                return self.refuse(c, exchange.strand, exc.status, exc.args[0].encode())
        elif not (c.broken and isinstance(exc, ConnectionError)):
            self.blame(exc, self.named(c, self.request_of(c)))
        if c.started:
            return self.cut_body(c)
        exchange.strand.out.size = 0
        reply_status_code(&exchange.strand.out, &reply, 500)
        put(&exchange.strand.out, b"Content-Type: text/plain\r\n", 26)
        self.end_head(c, &exchange.strand.out, &reply, PyBytes_GET_SIZE(FAILED))
        if not c.is_head:
            put(&exchange.strand.out, PyBytes_AS_STRING(FAILED), PyBytes_GET_SIZE(FAILED))
        c.transmit(self.poller, exchange.strand.out.data, exchange.strand.out.size, NULL, 0, None)
        return 0

    cdef int take_body(self, Connection c, Strand strand) except -2:
        """Receive more of a body on the thread that wants it; -1 when it cannot be had."""
        cdef const char* piece = NULL
        cdef size_t piece_size = 0, at = 0
        cdef ssize_t got = c.receive(strand.input, INPUT_SIZE)
        if got < 0:
            return -1
        self.counters.bytes_in += got
        while at < <size_t>got and c.body.kind != BODY_DONE:
            at += body_feed(&c.body, strand.input + at, got - at, &piece, &piece_size)
            if piece_size:
                self.on_piece(c, piece, piece_size)
            if c.body.kind == BODY_BROKEN or c.exchange is None:
                return -1
        if at < <size_t>got:
            c.keep_input(strand.input + at, got - at)
        return 0

    cdef int wait_writable(self, Connection c) except -1:
        """More is parked than response-spool allows: wait for the reader, as long as write-timeout lets it stall."""
        cdef pollfd waiting
        cdef int got, timeout = <int>self.writing.timeout_ms or -1
        waiting.fd = c.fd
        waiting.events = POLLOUT
        while c.parked_bytes > c.spool_limit // 2:
            with nogil:
                got = poll(&waiting, 1, timeout)
            if got == 0 or c.flush(self.poller) == DEAD:
                c.broken = 1
                raise ConnectionError("the client does not read")
        return 0
