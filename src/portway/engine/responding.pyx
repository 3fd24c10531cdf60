# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""How a response ends its head, and what becomes of the connection after it; answers in an application's stead.

Between accepting and the connection machine. Whatever way a response comes about, by a driver, from a file or as a
refusal, `end_head` decides framing and persistence, and `after_response` goes on: to the next request, to the rest of a
body that nobody read, or to an end that does not reset the answer away.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free
from libc.string cimport memset

from portway.engine.body cimport BODY_BROKEN, BODY_DONE, BODY_LENGTH, body_feed
from portway.engine.connection cimport (
    APPLICATION, BODY, CLOSED, DISCARD, FLUSH, GREETING, HEAD, LINGER, PARKED, SENT,
)
from portway.engine.cposix cimport SHUT_WR, pw_coarse_ms, pw_reset_on_close, shutdown
from portway.engine.base cimport INPUT_SIZE, least
from portway.engine.deadlines cimport link_move
from portway.engine.reply cimport (
    END_CHUNKED, END_LENGTH, END_NONE, KEEP_ALIVE, KEEP_CLOSE, KEEP_DEFAULT, bodyless, put, reason, reply_end,
    reply_status_code,
)

cdef enum:
    DISCARD_MOST = 65536        # of an unread body; more is not worth a new connection


cdef class Responder(Acceptor):
    """Not used itself: see WSGIEngine and ASGIEngine."""

    cdef int discard(self, Connection c, Strand strand) except -1:
        """Read the rest of a small body that the application left, for the sake of the next request."""
        cdef const char* piece = NULL
        cdef size_t piece_size = 0, at = 0
        cdef ssize_t got = 0
        cdef char* data = strand.input
        if c.stash_size:
            data, got = c.stash, c.stash_size
        elif c.readable:
            got = c.receive(strand.input, INPUT_SIZE)
            if got < 0:
                self.close_connection(c)
                return 0
        if got == 0:
            return 0
        while at < <size_t>got and c.body.kind != BODY_DONE:
            at += body_feed(&c.body, data + at, got - at, &piece, &piece_size)
            if c.body.kind == BODY_BROKEN:
                self.close_connection(c)
                return 0
        if c.stash_size:
            c.use_stash(at)
        elif at < <size_t>got:
            c.keep_input(data + at, got - at)
        c.budget -= least(c.budget, at)
        if c.body.kind == BODY_DONE:
            self.between(c)
        elif c.budget == 0:
            self.start_linger(c)
        return 1

    cdef int linger(self, Connection c, Strand strand) except -1:
        cdef ssize_t got
        if c.tls is not None and self.end_output(c) == PARKED:
            return 0
        if not c.readable:
            return 0
        got = c.receive(strand.input, INPUT_SIZE)
        if got == 0:
            return 0
        if got < 0:
            self.close_connection(c)
            return 0
        return 1

    cdef int end_output(self, Connection c) except -2:
        """Shut our side, or PARKED when the end of TLS has to wait for the socket."""
        if c.end_output(self.poller) == PARKED:
            return PARKED
        shutdown(c.fd, SHUT_WR)
        return SENT

    cdef int start_linger(self, Connection c) except -1:
        """Shut our side and read on for a moment: closing at once would reset the answer away (RFC 9112, 9.6)."""
        c.drop_stash()
        c.state = LINGER
        self.end_output(c)
        self.now_ms = pw_coarse_ms()
        link_move(&c.link, &self.lingering, self.now_ms)
        if c.ended:
            self.close_connection(c)
        return 0

    cdef int end_head(self, Connection c, Buffer* out, Reply* reply, int64_t length) except -1:
        """Decide framing and persistence, and finish the head.

        Args:
            length: the whole body's size when it is known, else -1.
        """
        cdef int framing = END_NONE, connection = KEEP_DEFAULT
        c.chunked = 0
        c.status = reply.status
        if reply.status == 205:
            framing, length = END_LENGTH, 0         # RFC 9110 section 15.3.6: no content, and it must say so
        elif reply.content_length < 0 and not bodyless(reply.status):
            if length >= 0:
                framing = END_LENGTH
            elif c.minor:
                framing = END_CHUNKED
                c.chunked = 1
            else:
                c.keep = 0
        # an unsent 100 means that the client may or may not send its body: only closing is certain
        if reply.close or (c.ended and not c.stash_size) or (self.draining and (c.tls is not None or self.successor(c) < 0)) or (c.expects and c.body.kind != BODY_DONE):
            c.keep = 0
        if not c.keep:
            connection = KEEP_CLOSE
        elif c.minor == 0:
            connection = KEEP_ALIVE
        self.put_id(c, out)
        if self.hsts is not None and c.tls is not None and not reply.has_hsts:
            put(out, PyBytes_AS_STRING(self.hsts), len(self.hsts))
        reply_end(out, reply, framing, length, connection, self.date, self.server)
        c.head_sent = c.sent + out.size
        if c.is_head:
            c.chunked = 0
        c.started = 1
        return 0

    cdef int put_id(self, Connection c, Buffer* out) except -1:
        if c.request_id is None:
            return 0
        put(out, PyBytes_AS_STRING(self.id_line), PyBytes_GET_SIZE(self.id_line))
        put(out, PyBytes_AS_STRING(c.request_id), PyBytes_GET_SIZE(c.request_id))
        return put(out, b"\r\n", 2)

    cdef int own_field(self, Reply* reply) except -1:
        """Have the application's own request id left out: there is one, and the logs have it."""
        if self.id_name is not None:
            reply.own = PyBytes_AS_STRING(self.id_name)
            reply.own_size = PyBytes_GET_SIZE(self.id_name)
        return 0

    cdef int refuse(self, Connection c, Strand strand, int status, const char* why) except -1:
        """Answer in the application's stead and close."""
        if c.state == CLOSED or c.state == LINGER or c.state == FLUSH:
            return 0                        # answered already
        if c.state == GREETING:
            return self.dismiss(c, b"no PROXY header within header-timeout")
        self.tell(status, why, c)
        return self.answer_and_close(c, strand, status, b"", f"{status} {reason(status)}\n".encode())

    cdef int answer_and_close(self, Connection c, Strand strand, int status, bytes fields, bytes text) except -1:
        """Answer and close; `fields` are whole lines."""
        cdef Buffer out
        cdef Reply reply
        cdef bint under_way = c.state == BODY or c.state == APPLICATION
        memset(&out, 0, sizeof(out))
        c.keep = 0
        try:
            reply_status_code(&out, &reply, status)
            put(&out, b"Content-Type: text/plain\r\n", 26)
            if status == 503:
                put(&out, b"Retry-After: 1\r\n", 16)
            self.put_id(c, &out)
            put(&out, PyBytes_AS_STRING(fields), len(fields))
            if self.hsts is not None and c.tls is not None:
                put(&out, PyBytes_AS_STRING(self.hsts), len(self.hsts))
            reply_end(&out, &reply, END_LENGTH, len(text), KEEP_CLOSE, self.date, self.server)
            c.head_sent = out.size + (c.sent if under_way else 0)
            if not c.is_head:
                put(&out, text, len(text))
            c.status = status
            if not under_way:
                c.sent = 0
                c.began_ns = 0
                c.request_id = None
                self.counters.requests += 1
                self.counters.in_flight += 1
            if under_way:
                # first: with TLS sending gives up the GIL, and the thread whose request is over may come back
                self.on_close(c)
                c.exchange = None
            c.transmit(self.poller, out.data, out.size, NULL, 0, None)
        finally:
            PyMem_Free(out.data)
        # counting may write to a log, and so let the thread run that has a request over its deadline
        c.exchange = None
        c.state = FLUSH
        self.count(c)
        if c.state != FLUSH:
            return 0
        if c.broken:
            return self.close_connection(c)
        if c.parked is not None:
            return self.place(c)
        return self.start_linger(c)

    cdef int after_response(self, Connection c) except -1:
        """The response is counted, written and flushed: on to the next request, or to the end."""
        if c.state == CLOSED:
            return 0
        c.exchange = None
        c.state = FLUSH
        if c.broken:
            return self.close_connection(c)
        if c.cut:
            c.broken = 1                    # no close_notify either
            pw_reset_on_close(c.fd)
            return self.close_connection(c)
        if c.body.kind != BODY_DONE:
            c.budget = DISCARD_MOST
            if not c.keep or c.expects or (c.body.kind == BODY_LENGTH and c.body.remaining > DISCARD_MOST):
                return self.start_linger(c)
            c.state = DISCARD
            link_move(&c.link, &self.lingering, self.now_ms)
            return 0
        if not c.keep:
            if c.stash_size or c.readable or c.tls is not None:
                return self.start_linger(c)
            return self.close_connection(c)
        return self.between(c)

    cdef int between(self, Connection c) except -1:
        """Nothing is under way: wait for the next request."""
        c.state = HEAD
        c.hungry = c.is_head = 0
        self.now_ms = pw_coarse_ms()
        if self.draining and self.pass_on(c):
            return 0
        if c.ended and c.stash_size == 0:
            return self.close_connection(c)
        link_move(&c.link, &self.fresh, self.now_ms)
        return 0
