# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The connection machine that both drivers share: events, reading heads and bodies, telling the driver.

`advance` moves a connection on as far as its input allows; the driver (wsgi.pyx, asgi.pyx) is told of a head, of
pieces of body and of their end. Ownership: whoever set `busy` on a connection is the only one to touch it until it
clears that; an event for a busy connection is only noted on it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from portway.engine.body cimport BODY_BROKEN, BODY_DONE, BODY_RAW, body_chunked, body_feed, body_length
from portway.engine.connection cimport (
    APPLICATION, BODY, CLOSED, DEAD, DISCARD, FLUSH, GREETING, HEAD, LINGER, MOVING, SENT,
)
from portway.engine.cposix cimport pw_hung_up, pw_now_ns, pw_real_us, read
from portway.engine.base cimport MEMOS
from portway.engine.counters cimport observe
from portway.engine.deadlines cimport link_move
from portway.engine.forwarded cimport Claim
from portway.engine.head cimport FORM_ABSOLUTE, FORM_ORIGIN, Field, Framing, Head, HeadParser, same_name
from portway.engine.poller cimport (
    CLOSING, KIND_CONNECTION, KIND_HANDOVER, KIND_LISTENER, READABLE, WRITABLE, Watched,
)

cdef enum:
    READ_AHEAD_MOST = 65536
    REQUESTS_AT_ONCE = 16       # pipelined on one connection before the others have their turn
    SHARE = 2097152             # bytes of what is parked that are sent at once
    TURNS_AT_ONCE = 48          # reads, of a body for example
    MEMO_MOST = 2048            # bytes of a header block worth remembering
    NO_SENSE = 1 << 16          # a bit of `distrusted`
    QUEUED_MOST_US = 3600000000 # a request that waited longer than an hour names a wrong time


cdef class Engine(Responder):
    """Not used itself: see WSGIEngine and ASGIEngine."""

    cdef int dispatch(self, Strand strand) except -1:
        """Handle the next event of the batch."""
        cdef Watched watched = <Watched>self.poller.ready[self.poller.next].watched
        cdef uint32_t what = self.poller.ready[self.poller.next].what
        cdef Connection c
        self.poller.next += 1
        if watched.kind == KIND_CONNECTION:
            c = <Connection>watched
            if c.home != self.home:
                return 0                    # it has left since the batch was read
            if what & CLOSING:
                c.closing = 1
            if what & (READABLE | CLOSING):
                c.readable = 1
            if what & WRITABLE and c.tls is not None and c.tls.wants_write:
                c.readable = 1
            if c.busy:
                if what & WRITABLE:
                    c.writable = 1
                    if c.parked is not None and not c.sending:
                        c.flush(self.poller, True)
                return 0
            if c.state == CLOSED:
                return 0
            c.busy = 1
            return self.advance(c, strand)
        if watched.kind == KIND_LISTENER:
            return self.accept_all(<Listener>watched)
        if watched.kind == KIND_HANDOVER:
            return self.take_handed()
        return self.wake()

    cdef int wake(self) except -1:
        cdef unsigned char bytes_in[64]
        cdef ssize_t got, i
        while True:
            got = read(self.wakeup.fd, bytes_in, sizeof(bytes_in))
            if got <= 0:
                return 0
            for i in range(got):
                if bytes_in[i] and self.on_wakeup is not None:
                    try:
                        self.on_wakeup(bytes_in[i])
                    except Exception as exc:
                        self.fault(exc)
            if self.arrivals or self.reap_wanted:
                self.take_arrivals()

    cdef int handle_again(self, Strand strand) except -1:
        """Connections that had more pipelined requests than one turn allows."""
        cdef Connection c
        for _ in range(len(self.again)):
            if not self.again or not self.leads(strand):
                break
            c = self.again.pop(0)
            if c.home != self.home:
                continue
            c.queued = 0
            if not c.busy and c.state != CLOSED:
                c.busy = 1
                self.advance(c, strand)
        return 0

    cdef int advance(self, Connection c, Strand strand) except -1:
        """Move a connection on as far as its input and output allow; the caller has set `busy`."""
        cdef int went, requests = 0, turns = 0
        cdef uint64_t parked
        try:
            while c.state != CLOSED:
                if c.parked is not None:
                    parked = c.parked_bytes
                    if c.parked.fd >= 0:
                        self.step_aside(strand)
                        went = c.flush(self.poller, False, SHARE)
                        self.step_back(strand)
                    else:
                        went = c.flush(self.poller, False, SHARE)
                    if went == DEAD:
                        self.close_connection(c)
                        break
                    if went == SENT:
                        self.on_flushed(c)
                    elif c.link.queue == &self.writing and c.parked_bytes < parked:
                        self.place(c)
                    if c.state == CLOSED:
                        break
                if c.state == HEAD:
                    went = self.read_head(c, strand)
                    requests += went
                elif c.state == BODY or c.state == APPLICATION:
                    went = self.read_body(c, strand)
                elif c.state == FLUSH and c.parked is None:
                    went = 1
                    self.after_response(c)
                elif c.state == DISCARD:
                    went = self.discard(c, strand)
                elif c.state == LINGER:
                    went = self.linger(c, strand)
                elif c.state == GREETING:
                    went = self.greet(c)
                else:
                    went = 0
                if not went and not self.noted(c):
                    break
                # a client that reads as fast as we write must not keep the others waiting
                turns += 1 if c.parked is None else TURNS_AT_ONCE // 2
                if requests >= REQUESTS_AT_ONCE or turns >= TURNS_AT_ONCE:
                    if not c.queued:
                        c.queued = 1
                        self.again.append(c)
                        self.on_again_added(strand)
                    break
        except BaseException as exc:
            self.fault(exc)
            self.close_connection(c)
        if c.state == MOVING:
            return self.depart(c)
        c.busy = 0
        if self.poller.portable and c.state != CLOSED and not c.readable and not c.ended:
            self.poller.arm(c, READABLE)
        return 0

    cdef bint noted(self, Connection c) noexcept:
        """Whether another thread has noted an event on this connection since its owner last looked."""
        if c.parked is not None:
            return c.writable
        return c.readable and (
            c.state == HEAD or c.state == BODY or c.state == DISCARD or c.state == GREETING
            or c.state == LINGER and c.tls is None
        )

    cdef int read_head(self, Connection c, Strand strand) except -1:
        """Read one head and begin its request; 0 when more bytes are needed, 1 to go on."""
        cdef char* data
        cdef size_t size, skip = 0, used
        cdef ssize_t got = 0
        cdef int parsed, went
        cdef HeadParser parser = strand.parser
        cdef bint stashed = c.stash_size > 0
        if not stashed or c.hungry:
            if not c.readable:
                # an end may have been received behind the request before this one
                return self.no_input(c, strand, -1) if c.ended else 0
            got = c.receive(strand.input, INPUT_SIZE)
            if got <= 0:
                return self.no_input(c, strand, got)
            self.counters.bytes_in += got
            if stashed:
                c.keep_input(strand.input, got)
                c.hungry = 0
                # a head in crumbs is parsed again only when a line or some kilobytes were added
                if memchr(strand.input, c"\n", got) == NULL and c.stash_size < c.parsed + 4096:
                    c.hungry = 1
                    return 1
        if stashed:
            data, size = c.stash, c.stash_size
        else:
            data, size = strand.input, got
        c.is_head = 0
        # RFC 9112 section 2.2: empty lines before a request are ignored
        while skip + 1 < size and data[skip] == c"\r" and data[skip + 1] == c"\n":
            skip += 2
        data += skip
        size -= skip
        parsed = parser.request_line(data, size) if size else 0
        if parsed > 0:
            parsed = self.known_block(c, parser, data, size)
        if parsed < 0:
            c.is_head = size > 4 and memcmp(data, b"HEAD ", 5) == 0
            self.refuse(c, strand, parser.head.status, parser.head.why)
            return 1
        if parsed == 0:
            if not stashed:
                c.keep_input(data, size)
            elif skip:
                c.use_stash(skip)
            c.parsed = c.stash_size
            c.hungry = 1
            if c.link.queue != &self.heads:
                link_move(&c.link, &self.heads, self.now_ms)
            return 1
        used = parser.head.size
        went = self.begin(c, strand, data)
        if went < 0:
            return 1
        if went == 2:
            if not stashed:
                c.keep_input(data, size)
            return 0
        if stashed:
            c.use_stash(skip + used)
            if c.stash_size and c.body.kind != BODY_DONE and not went:
                self.feed(c, strand, c.stash, c.stash_size, True)
        elif size > used and went:
            c.keep_input(data + used, size - used)
        elif size > used:
            self.feed(c, strand, data + used, size - used, False)
        if went:
            return self.answer(c, strand)
        if c.state != APPLICATION and c.state != BODY:
            return 1
        return self.enter(c, strand)

    cdef int known_block(self, Connection c, HeadParser parser, const char* data, size_t size) except -2:
        """Parse the header block, unless it is, byte for byte, the one that this connection sent last."""
        cdef Memo memo = <Memo>c.memo
        cdef Head* head = &parser.head
        parser.matched = 0
        if (
            c.memo is None or head.form != FORM_ORIGIN or head.minor != memo.minor
            or size - head.block_at < memo.size or memcmp(data + head.block_at, memo.data, memo.size) != 0
        ):
            return parser.header_block(data, size)
        parser.matched = 1
        head.size = head.block_at + memo.size
        head.framing = memo.framing
        return head.size

    cdef Memo recall(self, Connection c, HeadParser parser, const char* data):
        """A memo that another connection made of the same block, or None."""
        cdef Head* head = &parser.head
        cdef size_t size = head.size - head.block_at
        cdef Memo memo = self.memos[size % MEMOS]
        if (
            memo is None or memo.size != size or head.form != FORM_ORIGIN or memo.minor != head.minor
            or memo.listener is not c.listener or memo.trusted != c.trusted or memcmp(data + head.block_at, memo.data, size) != 0
        ):
            return None
        c.memo = memo
        return memo

    cdef int remember(self, Connection c, HeadParser parser, const char* data, object template, Claim claim) except -1:
        """Keep a block and what the driver made of it, from the second request of a connection on."""
        cdef Head* head = &parser.head
        cdef size_t size = head.size - head.block_at
        cdef Memo memo
        if c.first or size > MEMO_MOST or head.form != FORM_ORIGIN:
            c.memo = None
            return 0
        memo = Memo.__new__(Memo)
        memo.block = PyBytes_FromStringAndSize(data + head.block_at, size)
        memo.data = PyBytes_AS_STRING(memo.block)
        memo.size = size
        memo.minor = head.minor
        memo.framing = head.framing
        memo.template = template
        memo.listener = c.listener
        memo.trusted = c.trusted
        memo.claim = claim
        c.memo = self.memos[size % MEMOS] = memo
        return 0

    cdef int no_input(self, Connection c, Strand strand, ssize_t got) except -1:
        if got == 0:
            if c.tls is not None:
                self.no_record(c)
            return 0
        if c.tls is not None and c.tls.failure is not None:
            self.refuse_handshake(c, strand)
            return 1
        if c.stash_size and not c.broken:
            self.refuse(c, strand, 400, b"connection ended inside a request head")
            return 1
        self.close_connection(c)
        return 0

    cdef int no_record(self, Connection c) except -1:
        """Bytes have come, but no record is complete: the time for a head runs, or waiting for a body begins anew."""
        if c.tls.wants_write:
            self.poller.arm(c, WRITABLE)
        if c.state == HEAD and c.link.queue != &self.heads:
            link_move(&c.link, &self.heads, self.now_ms)
        elif c.link.queue == &self.bodies:
            link_move(&c.link, &self.bodies, self.now_ms)
        return 0

    cdef int refuse_handshake(self, Connection c, Strand strand) except -1:
        """TLS has failed, and has told the peer why. Somebody who speaks HTTP instead is told in HTTP."""
        cdef object failure = c.tls.failure
        c.drop_tls()
        c.broken = 0
        c.ended = 0
        if getattr(failure, "reason", None) == "HTTP_REQUEST":
            self.tell(400, b"plain HTTP on a port for TLS", c)
            return self.answer_and_close(c, strand, 400, b"", b"This port speaks HTTPS, and the request was plain HTTP.\n")
        if self.report is not None:
            peer = c.peer()
            try:
                self.report.handshake_failed(failure, peer[0] if peer else "unix")
            except BaseException:
                pass                        # a log that fails must not fail what it is about
        return self.start_linger(c)

    cdef int send_elsewhere(self, Connection c, Strand strand, const char* data) except -1:
        """Answer a request on a listener that only redirects."""
        cdef Head* head = &strand.parser.head
        cdef Field* field
        cdef uint32_t i
        cdef bytes host = None
        if head.form == FORM_ABSOLUTE:
            host = data[head.authority_at : head.authority_at + head.authority_size]
        for i in range(head.count):
            field = &strand.parser.fields[i]
            if host is None and field.name_size == 4 and same_name(data + field.name_at, b"host", 4):
                host = data[field.value_at : field.value_at + field.value_size]
        path = data[head.path_at : head.path_at + head.path_size]
        query = data[head.query_at : head.query_at + head.query_size]
        status, fields, text = (<Listener>c.listener).redirect(data[: head.method_size], host, path, query)
        return self.answer_and_close(c, strand, status, fields, text)

    cdef int begin(self, Connection c, Strand strand, const char* data) except -2:
        """A head is complete: set the connection up for its request.

        -1 when it was refused instead, 1 when the engine answers it by itself, 2 when the other engine of this
        process is to have it.
        """
        cdef int went
        cdef Head* head = &strand.parser.head
        cdef Framing* framing = &head.framing
        c.minor = head.minor
        c.keep = (not framing.close) if head.minor else framing.keep_alive
        c.is_head = head.method_size == 4 and memcmp(data, b"HEAD", 4) == 0
        c.expects = framing.expect_continue
        c.chunked = c.started = c.hungry = c.cut = 0
        c.status = 0
        c.sent = c.head_sent = 0
        c.parsed = 0
        if c.link.queue == &self.idle or c.link.queue == &self.heads:
            link_move(&c.link, &self.active, self.now_ms)
        # a reading of the clock costs as much as parsing a small head: the end of the request before, in the same
        # batch, is used once as the beginning of this one
        c.began_ns = self.clock_ns or pw_now_ns()
        self.clock_ns = 0
        if framing.request_start_us and not c.moved:
            self.queued(framing.request_start_us)
        c.moved = 0
        if self.access is not None:
            if strand.parser.matched and (<Memo>c.memo).line_end is not None:
                c.head, c.block = data[: head.block_at], c.memo
            else:
                c.head = data[: head.size]
        if framing.chunked:
            body_chunked(&c.body, self.limit_body)
        elif framing.content_length > 0:
            if self.limit_body and <uint64_t>framing.content_length > self.limit_body:
                self.refuse(c, strand, 413, b"body over limit-request-body")
                return -1
            body_length(&c.body, framing.content_length)
        else:
            c.body.kind = BODY_DONE
            c.expects = 0
        if (<Listener>c.listener).redirect is not None:
            self.send_elsewhere(c, strand, data)
            return -1
        if self.table is None:
            went = 0
        else:
            went = self.route(c, strand, data)
            if went == 2:
                c.state = MOVING
                return 2
        self.counters.requests += 1
        self.counters.in_flight += 1
        c.state = APPLICATION
        if went:
            c.first = 0
            return 1
        self.on_head(c, strand, data)
        c.first = 0
        return 0

    cdef int route(self, Connection c, Strand strand, const char* data) except -1:
        """Prepare an answer in the application's place, where the table says so; see static.pyx.

        0 when the application answers, 2 when the other engine does.
        """
        return 0

    cdef int answer(self, Connection c, Strand strand) except -1:
        """Send what `route` has prepared."""
        return 0

    cdef void step_aside(self, Strand strand) noexcept:
        """What comes may wait for a disk: should it take long, another thread may lead."""

    cdef void step_back(self, Strand strand) noexcept:
        """It is over. Who led before may not do so any more."""

    cdef void queued(self, uint64_t since_us) noexcept:
        """Count how long a request waited since a proxy had it. Clocks differ: a start in the future is no wait."""
        cdef uint64_t now_us = pw_real_us()
        if now_us < since_us + QUEUED_MOST_US:
            observe(&self.counters.queued, (now_us - since_us) * 1000 if now_us > since_us else 0)

    cdef int enter(self, Connection c, Strand strand) except -1:
        """The head's packet has been used up: tell the driver to begin, or that the body is complete."""
        self.on_begin(c, strand)
        if c.state == BODY:
            link_move(&c.link, &self.bodies, self.now_ms)
        elif c.body.kind == BODY_DONE and c.state == APPLICATION:
            self.on_end(c, strand)
        return 1

    cdef int feed(self, Connection c, Strand strand, const char* data, size_t size, bint stashed) except -1:
        """Give body bytes to the driver; what lies behind the body is stashed."""
        cdef const char* piece = NULL
        cdef size_t piece_size = 0, at = 0
        while at < size and c.body.kind != BODY_DONE and c.body.kind != BODY_BROKEN:
            at += body_feed(&c.body, data + at, size - at, &piece, &piece_size)
            if piece_size:
                self.on_piece(c, piece, piece_size)
                if c.state != BODY and c.state != APPLICATION:
                    return 0                # refused: the stash is gone, and nobody wants the rest
        if stashed:
            c.use_stash(at)
        elif at < size and c.body.kind != BODY_BROKEN:
            c.keep_input(data + at, size - at)
        if c.body.kind == BODY_BROKEN and (c.state == BODY or c.state == APPLICATION):
            self.on_broken(c, strand, c.body.status, c.body.why)
        return 0

    cdef int read_body(self, Connection c, Strand strand) except -1:
        """Receive body bytes, or what follows a request that the application still has."""
        cdef ssize_t got
        cdef bint complete = c.body.kind == BODY_DONE
        if not c.readable:
            if not c.ended or complete or not self.wants_body(c):
                return 0
            # the end was received behind the request before this one: nobody will hear of it again
            self.on_broken(c, strand, 400, b"connection ended inside a request body")
            return 1
        if c.stash_size >= READ_AHEAD_MOST if complete else not self.wants_body(c):
            # nothing is read now, but an end is heard of all the same
            if c.closing and pw_hung_up(c.fd):
                c.ended = c.broken = 1
                return self.close_connection(c)
            if c.closing and complete:
                self.on_broken(c, strand, 0, NULL)
            return 0
        got = c.receive(strand.input, INPUT_SIZE)
        if got == 0:
            if c.tls is not None:
                self.no_record(c)
            return 0
        if got < 0:
            if complete:
                self.on_broken(c, strand, 0, NULL)
            elif c.body.kind == BODY_RAW and c.broken:
                self.close_connection(c)
            elif c.body.kind == BODY_RAW:
                c.body.kind = BODY_DONE
                self.on_end(c, strand)
            else:
                self.on_broken(c, strand, 400, b"connection ended inside a request body")
            return 1
        self.counters.bytes_in += got
        if complete:
            c.keep_input(strand.input, got)
            return 1
        if c.link.queue == &self.bodies:
            link_move(&c.link, &self.bodies, self.now_ms)
        self.feed(c, strand, strand.input, got, False)
        if c.state == APPLICATION and not self.wants_body(c):
            self.place(c)                   # now it is we who do not read
        if c.body.kind == BODY_DONE and (c.state == BODY or c.state == APPLICATION):
            self.on_end(c, strand)
        return 1

    cdef bint heeds(self, Connection c, int kind, bytes name) except -1:
        """Whether a field of the families that proxies set is taken from this peer."""
        cdef int said = kind << 8 if c.trusted else kind
        if c.trusted and self.trust.lets_through(kind):
            return True
        if not self.distrusted & said:
            self.distrusted |= said
            text = name[:64].decode("latin-1")
            if c.trusted:
                self.notice(
                    f"unheeded {text}",
                    f"dropped request field {text!r}: option forwarded-headers does not name it",
                )
            else:
                peer = c.peer()
                self.notice(
                    f"untrusted {text}",
                    f"dropped request field {text!r} of {peer[0] if peer else 'a unix socket'}, which is not trusted"
                    " (option forwarded-allow-ips names those who are)",
                )
        return False

    cdef Claim believe(self, list fields, bytes host, str scheme):
        """What the fields of a trusted peer say of a request; see `Trust.read`."""
        cdef Claim claim = self.trust.read(fields, host, scheme)
        if claim is not None and claim.trouble is not None and not self.distrusted & NO_SENSE:
            self.distrusted |= NO_SENSE
            self.notice("forwarded", f"a trusted proxy sends what cannot be used: {claim.trouble}")
        return claim

    cdef int on_broken(self, Connection c, Strand strand, int status, const char* why) except -1:
        return self.refuse(c, strand, status, why)
