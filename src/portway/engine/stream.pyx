# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A connection that changes its protocol (RFC 9110, section 7.8): bytes both ways, without framing or deadlines.

What comes goes to a sink by plain calls, in the same batch in which it was read: no future, no task in between.
Without a sink it goes to ASGI's `receive`. The methods are described in stream.pyi.
"""

from cpython.bytes cimport PyBytes_AS_STRING

from portway.engine.asgi_exchange cimport (
    CAUSES_MOST, NEW, PARKED_MOST, STREAMING, ASGIBase, Exchange, comes_of_disconnect,
)
from portway.engine.base cimport Strand
from portway.engine.body cimport BODY_DONE, BODY_RAW
from portway.engine.connection cimport Connection
from portway.engine.deadlines cimport link_remove
from portway.engine.head cimport is_field_value
from portway.engine.reply cimport END_NONE, KEEP_DEFAULT, Reply, put, reply_end, reply_field_bytes

from portway.engine.errors import BadResponse, ClientDisconnected


cdef class Stream:

    @property
    def is_open(self):
        return self.exchange.upgraded and self.exchange.stage == STREAMING and not self.exchange.gone

    def attach(self, sink):
        self.exchange.sink = sink

    def switch(self, headers):
        cdef Exchange exchange = self.exchange
        if exchange.stage != NEW:
            raise RuntimeError("the response has begun: the protocol cannot be changed any more")
        if exchange.gone or exchange.connection.broken:
            raise ClientDisconnected("the client has disconnected")
        self.answer(list(headers))
        self.begin()

    cdef int answer(self, list headers) except -1:
        """Send 101 with these fields."""
        cdef Reply reply
        cdef Connection c = self.exchange.connection
        cdef ASGIBase engine = self.exchange.engine
        cdef Strand strand = engine.strand
        cdef bytes protocol = b""
        for name, value in headers:
            if name == b"upgrade":
                protocol = value
        if c.minor == 0 or c.body.kind != BODY_DONE or c.is_head or not is_field_value(protocol, len(protocol)):
            raise BadResponse("a change of protocol needs HTTP/1.1, a request without a body and the protocol's name")
        strand.out.size = 0
        put(&strand.out, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ", 64)
        put(&strand.out, PyBytes_AS_STRING(protocol), len(protocol))
        put(&strand.out, b"\r\n", 2)
        reply.status = 101
        reply.content_length = -1
        reply.close = reply.has_date = reply.has_server = reply.has_hsts = 0
        reply.own_size = 0
        engine.own_field(&reply)
        for name, value in headers:
            reply_field_bytes(&strand.out, &reply, name, value)
        engine.put_id(c, &strand.out)
        reply_end(&strand.out, &reply, END_NONE, -1, KEEP_DEFAULT, engine.date, engine.server)
        link_remove(&self.exchange.limit)   # it is in time
        if engine.interrupted:
            engine.withdraw()
        c.status = 101
        c.keep = c.chunked = 0
        c.started = 1
        c.head_sent = c.sent + strand.out.size
        c.transmit(engine.poller, strand.out.data, strand.out.size, NULL, 0, None)
        return 0

    cdef int begin(self) except -1:
        """From here on both bodies are bytes as they come, until each side ends."""
        cdef Exchange exchange = self.exchange
        cdef Connection c = exchange.connection
        cdef ASGIBase engine = exchange.engine
        c.body.kind = BODY_RAW
        exchange.stage = STREAMING
        exchange.upgraded = True
        exchange.complete = exchange.delivered = False
        if c.stash_size:                    # the client did not wait for the answer
            early = c.stash[:c.stash_size]
            c.drop_stash()
            exchange.take(early)
        if c.ended and exchange.stage == STREAMING:
            c.body.kind = BODY_DONE
            exchange.input_over()
        engine.place(c)
        return engine.resume(c)

    def write(self, bytes data):
        cdef Exchange exchange = self.exchange
        cdef Connection c
        if not self.is_open or exchange.connection.broken:
            return False
        exchange.write_body(data, True)
        c = exchange.connection
        # its time to read runs from here, whether or not anybody waits for it
        if c.parked is not None and c.link.queue != &exchange.engine.writing:
            exchange.engine.place(c)
        return c.parked_bytes > PARKED_MOST

    def drained(self):
        return self.exchange.drained()

    def hold(self):
        self.exchange.held = True

    def go_on(self):
        cdef Exchange exchange = self.exchange
        if exchange.held:
            exchange.held = False
            if self.is_open:
                exchange.engine.place(exchange.connection)
                exchange.engine.resume(exchange.connection)

    def failed(self, exc):
        cdef Exchange exchange = self.exchange
        if comes_of_disconnect(exc, CAUSES_MOST):
            return False
        exchange.engine.blame(exc, exchange.engine.named(exchange.connection, exchange.described()))
        return True

    def end(self):
        cdef Exchange exchange = self.exchange
        exchange.sink = None
        if self.is_open:
            exchange.write_body(b"", False)
