# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What an engine is made of before it accepts or reads: its state, its deadlines, and the end of a connection.

A connection is in exactly one deadline queue, by what it waits for; that is also how all of them are found. Closed
connections are buried between batches, because a batch of events holds borrowed references.
"""

import os

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from portway.engine.access cimport AccessLog, Block
from portway.engine.body cimport BODY_DONE, BODY_RAW
from portway.engine.connection cimport ALIVE_STRANDS, APPLICATION, BODY, CLOSED, HEAD, LINGER, born, died
from portway.engine.counters cimport add, note_slow, observe
from portway.engine.cposix cimport (
    MSG_DONTWAIT, MSG_PEEK, SHUT_RDWR, close, nanosleep, pthread_create, pthread_t, pw_coarse_ms,
    pw_now_ns, pw_reset_on_close, pw_unacknowledged, recv, shutdown, timespec,
    write,
)
from portway.engine.deadlines cimport Link, link_move, link_remove, queue_expired, queue_first, queue_init
from portway.engine.forwarded cimport Trust
from portway.engine.peers cimport Peers
from portway.engine.poller cimport KIND_WAKEUP
from portway.engine.tls cimport TLS
from portway.engine.proxied cimport PROXY_V1, PROXY_V2

cdef enum:
    FRESH_MS = 5000             # how long an idle connection keeps its memo and buffers
    LINGER_MS = 2000
    TICK_APART_MS = 50


cdef double DRAIN_IDLE_S = 1.5


cdef uint64_t least(uint64_t a, uint64_t b) noexcept nogil:
    return a if a < b else b


cdef list members(Queue* queue):
    """The connections in a queue, for a walk during which it may change."""
    cdef Link* link = queue.ends.after
    cdef list found = []
    while link != &queue.ends:
        found.append(<Connection>link.owner)
        link = link.after
    return found


cdef void* pulse(void* argument) noexcept nogil:
    """Say once a second that this process runs. No GIL: an application that holds it is busy, not dead."""
    cdef Counters* counters = <Counters*>argument
    cdef timespec nap
    nap.tv_sec = 1
    nap.tv_nsec = 0
    while True:
        counters.beat_ns = pw_now_ns()
        nanosleep(&nap, NULL)


cdef class Strand:
    def __cinit__(self):
        self.file = -1
        self.input = <char*>malloc(INPUT_SIZE)
        self.out.data = <char*>PyMem_Malloc(OUTPUT_SIZE)
        self.out.capacity = OUTPUT_SIZE
        if self.input == NULL or self.out.data == NULL:
            raise MemoryError()
        born(ALIVE_STRANDS)

    def __dealloc__(self):
        died(ALIVE_STRANDS)
        if self.file >= 0:
            close(self.file)                # what prepared it did not come to send it
        free(self.input)
        PyMem_Free(self.out.data)
        PyMem_Free(self.held.data)
        PyMem_Free(self.path.data)


cdef class Memo(Block):
    """A header block that has passed every check, and what the driver made of it."""


cdef class Base:
    """State, deadlines and words for the log; `Acceptor` and `Engine` build on it."""

    def __cinit__(self, *arguments, **options):
        self.wake_read = self.wake_write = -1

    def __dealloc__(self):
        # not sooner: a thread that is late with its call may still wake a leader that is gone
        if self.wake_read >= 0:
            close(self.wake_read)
            close(self.wake_write)

    def __init__(self, settings, slot=None, board=None, report=None, access=None, int events=512):
        if board is not None and slot is None:
            raise ValueError("a board without a slot: connections could not be counted")
        limits, timeouts = settings.limits, settings.timeouts
        self.settings = settings
        self.report = report
        self.access = AccessLog(access) if access is not None else None
        self.slot = slot
        self.board = board
        self.counters = self.slot.counters if slot is not None else &self.own_counters
        self.listeners = []
        self.known = {}
        self.graveyard = []
        self.again = []
        self.memos = [None] * MEMOS
        self.poller = Poller(events)
        self.limit_body = limits.request_body
        self.limit_connections = limits.connections
        self.limit_concurrency = limits.concurrency
        self.body_memory = limits.body_memory
        self.response_spool = limits.response_spool
        self.date = settings.http.date_header
        self.server = settings.http.server_header
        self.hsts = f"Strict-Transport-Security: {settings.tls.hsts}\r\n".encode() if settings.tls.hsts else None
        self.underscores = frozenset([name.lower().encode("latin-1") for name in settings.http.underscore_headers])
        self.root_path = settings.app.root_path
        self.trust = Trust(settings.proxies)
        self.proxy_versions = {"off": 0, "v1": PROXY_V1, "v2": PROXY_V2, "auto": PROXY_V1 | PROXY_V2}[
            settings.proxies.proxy_protocol
        ]
        self.proxies = Peers(settings.proxies.proxy_allow_ips) if self.proxy_versions else None
        self.id_name = settings.http.request_id.lower().encode() or None
        self.id_line = settings.http.request_id.encode() + b": "
        self.slow_ns = <uint64_t>(settings.log.slow_request * 1e9) or <uint64_t>-1
        self.keep_alive_ms = <uint64_t>(timeouts.keep_alive * 1000)
        self.timeout_ms = <uint64_t>(timeouts.request * 1000)
        queue_init(&self.heads, <uint64_t>(timeouts.header * 1000))
        queue_init(&self.bodies, <uint64_t>(timeouts.body * 1000))
        queue_init(&self.fresh, least(FRESH_MS, self.keep_alive_ms + 1))
        queue_init(&self.idle, self.keep_alive_ms + 1 - self.fresh.timeout_ms + 1)
        queue_init(&self.writing, <uint64_t>(timeouts.write * 1000))
        queue_init(&self.lingering, LINGER_MS)
        queue_init(&self.active, 0)
        self.now_ms = pw_coarse_ms()
        self.open_wakeup()

    def open_wakeup(self):
        cdef int reading, writing
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self.wake_read, self.wake_write = reading, writing
        self.wakeup = Wakeup.__new__(Wakeup)
        self.wakeup.fd = reading
        self.wakeup.kind = KIND_WAKEUP
        self.poller.wake_fd = writing
        self.poller.watch(self.wakeup, False)

    @property
    def wakeup_fd(self):
        """Each byte written here reaches `on_wakeup` as an int, in an engine thread; zero only wakes."""
        return self.wake_write

    def drain(self, double seconds, double idle_seconds=DRAIN_IDLE_S):
        """Stop accepting, answer what is under way, close; everything still open is cut after `seconds`.

        Any thread may call it; `run` returns (or `wait_closed` ends) when it is done.
        """
        if not self.drain_wanted:
            self.drain_idle_ms = <uint64_t>(max(idle_seconds, 0.0) * 1000)
            self.drain_wanted = max(seconds, 0.001)
        write(self.wake_write, b"\0", 1)

    def flush_access(self):
        """Write what the access log still holds, before its file is changed."""
        if self.access is not None:
            self.access.flush()

    def stop(self):
        """Close everything now. Any thread may call it."""
        self.stopped = True
        write(self.wake_write, b"\0", 1)

    def abandon(self):
        """In a forked child: let go of everything the parent serves, without a word to the peers."""
        cdef Queue* queues[7]
        cdef Link* link
        cdef Connection c
        cdef int i
        self.stopped = True
        queues[:] = [&self.heads, &self.bodies, &self.fresh, &self.idle, &self.writing, &self.lingering, &self.active]
        for i in range(7):
            link = queue_first(queues[i])
            while link != NULL and link != &queues[i].ends:
                c = <Connection>link.owner
                if c.fd >= 0:
                    close(c.fd)
                    c.fd = -1
                link = link.after

    cdef Strand new_strand(self, int index):
        cdef Strand strand = Strand.__new__(Strand)
        limits = self.settings.limits
        strand.index = index
        strand.parser = HeadParser(
            limits.request_line, limits.request_field, limits.request_head, limits.request_fields
        )
        return strand

    cdef int start_pulse(self) except -1:
        cdef pthread_t thread = 0
        self.counters.beat_ns = pw_now_ns()
        if self.slot is not None:
            Py_INCREF(self.slot)            # the thread lives as long as the process
            pthread_create(&thread, NULL, pulse, self.counters)
        return 0

    cdef bint batch_left(self) noexcept:
        return self.poller.next < self.poller.count

    cdef int64_t open_connections(self) noexcept:
        return (
            self.heads.count + self.bodies.count + self.fresh.count + self.idle.count + self.writing.count
            + self.lingering.count + self.active.count
        )

    cdef int64_t all_idle(self) noexcept:
        return self.idle.count

    cdef uint64_t next_tick_ms(self) noexcept:
        """When the next tick has a deadline of a client to look at, the largest number if there is none."""
        cdef Queue* queues[6]
        cdef Link* first
        cdef uint64_t soonest = <uint64_t>-1
        cdef int i
        queues[:] = [&self.heads, &self.bodies, &self.fresh, &self.idle, &self.writing, &self.lingering]
        for i in range(6):
            first = queue_first(queues[i])
            if first != NULL and queues[i].timeout_ms:
                soonest = least(soonest, first.since_ms + queues[i].timeout_ms)
        return max(soonest, self.ticked_ms + TICK_APART_MS)

    cdef int turn_timeout(self) except -2:
        """Milliseconds until something is due, -1 when nothing is."""
        cdef uint64_t soonest
        if self.again:
            return 0
        soonest = self.next_tick_ms()
        if self.draining:
            soonest = least(soonest, self.now_ms + 100)
        if self.paused:
            soonest = least(soonest, self.resume_ms)
        if self.access is not None and self.access.lines.size:
            # the tick writes; lines that the log did not take are tried again
            soonest = least(soonest, self.now_ms + (1000 if self.access.problem else LOG_MS))
        if soonest == <uint64_t>-1:
            return -1
        if soonest <= self.now_ms:
            return 1
        return <int>least(soonest - self.now_ms + 1, 60000)

    cdef int tick(self) except -1:
        """Between two batches: bury the closed, let deadlines fall. At most every 50 ms past the first lines.

        A deadline falls when it was over at the tick before: since then everything has been read that
        came in time. A worker that stood still for long must not take it out on them.
        """
        cdef uint64_t heard_ms = self.ticked_ms
        if self.graveyard:
            self.graveyard.clear()
        self.now_ms = pw_coarse_ms()
        if self.drain_wanted and not self.draining:
            self.begin_drain()
        if self.now_ms < self.ticked_ms + TICK_APART_MS:
            return 0
        self.ticked_ms = self.now_ms
        self.counters.idle = self.all_idle()
        if self.access is not None:
            self.write_access()
        if self.paused and self.now_ms >= self.resume_ms:
            self.resume_accepting()
        self.expire(&self.heads, heard_ms, 408, b"head not complete within header-timeout")
        self.expire(&self.bodies, heard_ms, 408, b"body stalled for body-timeout")
        self.expire_fresh()
        self.expire(&self.idle, heard_ms, 0, NULL)
        self.expire(&self.writing, heard_ms, 0, b"reader stalled for write-timeout")
        self.expire(&self.lingering, heard_ms, 0, NULL)
        if self.draining:
            self.continue_drain(heard_ms)
        return 0

    cdef int expire(self, Queue* queue, uint64_t heard_ms, int status, const char* why) except -1:
        cdef Link* link
        cdef Connection c
        while True:
            link = queue_expired(queue, heard_ms)
            if link == NULL:
                return 0
            c = <Connection>link.owner
            if queue == &self.writing and self.still_reads(c):
                continue
            link_move(link, &self.active, self.now_ms)
            # one that lingers may be busy only because its thread is still in the application, over its deadline
            if c.busy and c.state != LINGER:
                # another thread has it: it is past the head, or writing to somebody who does not read
                if queue == &self.writing:
                    c.broken = 1
                    shutdown(c.fd, SHUT_RDWR)
                    self.tell(0, why, c)
                continue
            if queue == &self.idle and self.has_input(c):
                continue
            if status and (c.stash_size or c.state != HEAD):
                self.on_broken(c, None, status, why)
            else:
                if why != NULL and c.state != HEAD:
                    self.tell(0, why, c)
                self.close_connection(c)

    cdef int cut_body(self, Connection c) except -1:
        """The response cannot be completed: the client must not take what it has for all of it."""
        c.keep = 0
        if c.parked is None:
            c.broken = 1
            if not c.chunked:
                pw_reset_on_close(c.fd)     # the end of the connection may be all that ends this body
        else:
            c.cut = not c.chunked
        return 0

    cdef bint still_reads(self, Connection c):
        """Whether a slow reader took bytes since its deadline was set.

        The socket becomes writable only when a good part of its buffer, which may be megabytes, is free.
        """
        cdef int now = pw_unacknowledged(c.fd)
        if now >= c.unacknowledged:
            return False
        c.unacknowledged = now
        link_move(&c.link, &self.writing, self.now_ms)
        return True

    cdef int expire_fresh(self) except -1:
        """Idle for a little: give up the memo and the buffers, keep the connection."""
        cdef Link* link
        cdef Connection c
        while True:
            link = queue_expired(&self.fresh, self.now_ms)
            if link == NULL:
                return 0
            c = <Connection>link.owner
            if c.busy:
                link_move(link, &self.active, self.now_ms)
                continue
            link_move(link, &self.idle, self.now_ms)
            c.memo = None
            c.client = c.claimed = None
            c.server = None
            c.head = c.block = None
            if c.stash_size == 0:
                c.drop_stash()

    cdef bint has_input(self, Connection c) noexcept:
        """Whether bytes wait in the socket: a request that crossed with our wish to close."""
        cdef char byte = 0
        return c.readable or recv(c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0

    cdef int cut_all(self) except -1:
        """Close every connection that no thread has."""
        cdef Queue* queues[7]
        cdef Connection c
        cdef list all_of_them = []
        cdef int i
        queues[:] = [&self.heads, &self.bodies, &self.fresh, &self.idle, &self.writing, &self.lingering, &self.active]
        for i in range(7):
            all_of_them += members(queues[i])
        # the end of TLS gives up the GIL, and the queues change meanwhile
        for c in all_of_them:
            if not c.busy:
                self.close_connection(c)
        return 0

    cdef int close_connection(self, Connection c) except -1:
        cdef TLS tls
        if c.state == CLOSED:
            return 0
        if c.state == BODY or c.state == APPLICATION:
            self.on_close(c)
            self.count(c)
        c.state = CLOSED
        link_remove(&c.link)
        self.poller.unwatch(c)
        tls = c.tls
        if tls is not None:
            tls.settle()
            if c.parked is None and not c.broken:
                tls.end()                   # as far as the socket takes it: nobody waits for more
            c.drop_tls()
        close(c.fd)
        c.fd = -1
        c.exchange = None
        c.memo = None
        c.drop_parked()
        c.drop_stash()
        add(&self.counters.connections, -1)
        self.graveyard.append(c)
        Py_DECREF(c)
        return 0

    cdef int place(self, Connection c) except -1:
        """Put the connection into the queue of what it waits for."""
        if c.state == CLOSED:
            return 0
        # the time of the batch may be long past: a call can take minutes
        self.now_ms = pw_coarse_ms()
        if c.parked is not None:
            c.unacknowledged = pw_unacknowledged(c.fd)
            link_move(&c.link, &self.writing, self.now_ms)
        elif c.state == BODY or (
            c.state == APPLICATION and c.body.kind != BODY_DONE and c.body.kind != BODY_RAW and self.wants_body(c)
        ):
            link_move(&c.link, &self.bodies, self.now_ms)
        elif c.state == APPLICATION:
            link_move(&c.link, &self.active, self.now_ms)
        return 0

    cdef int count(self, Connection c, uint64_t now=0) except -1:
        """One response is over: counters and access log. `now` is the time in ns, when somebody has looked."""
        cdef uint64_t took = 0
        if c.began_ns:
            # also the time at which the next request of the batch begins, see Engine.begin
            self.clock_ns = now or pw_now_ns()
            took = self.clock_ns - c.began_ns
            if c.status != 101:             # how long a connection lived is no latency
                observe(&self.counters.latency, took)
                if took >= self.slow_ns:
                    note_slow(self.counters, self.request_of(c).encode("utf-8", "replace"), c.status, took)
        self.counters.in_flight -= 1
        self.counters.bytes_out += c.sent
        if c.unspooled:
            c.unspooled = 0
            self.notice("response spool", "a response was cut: there is no room for it in the temporary folder")
        self.counters.codes[c.status if 100 <= c.status <= 599 else 0] += 1
        if self.access is not None:
            try:
                self.log_access(c, took)
            except Exception as exc:
                self.fault(exc)             # the response is counted, and must not be twice
        return 0

    cdef int log_access(self, Connection c, uint64_t took) except -1:
        head, block = c.head, c.memo if c.block is None else c.block
        c.head = c.block = None
        self.access.record(head, <Memo>block, c.who(), c.status, c.sent - c.head_sent, took, c.request_id)
        c.claimed = None                    # a request that is refused before it is read has no client of its own
        return self.on_logged()

    cdef int write_access(self) except -1:
        """Write what the access log holds, and say when it does not take that, or takes it again."""
        cdef str news
        self.logged_ms = self.now_ms
        self.access.flush()
        news = self.access.news()
        if news is not None:
            self.told += 1
            self.notice(f"access log {self.told}", news)
        return 0

    cdef int tell(self, int status, const char* why, Connection c) except -1:
        if self.report is not None and why != NULL:
            peer = c.peer()
            try:
                self.report.refused(status, why.decode(), peer[0] if peer else "unix")
            except BaseException:
                pass                        # a log that fails must not fail what it is about
        return 0

    cdef int notice(self, str key, str text) except -1:
        if self.report is not None:
            try:
                self.report.notice(key, text)
            except BaseException:
                pass
        return 0

    cdef int fault(self, object exc) except -1:
        """Something went wrong that is not the application's doing; the connection dies, the worker does not."""
        return self.blame(exc, "engine")

    cdef str named(self, Connection c, str request):
        return request if c.request_id is None else f"{request} (request {c.request_id.decode()})"

    cdef int blame(self, object exc, str request) except -1:
        """Report what the application raised, and on which request."""
        if self.report is not None:
            try:
                self.report.application_error(exc, request)
            except BaseException:
                pass
        return 0

    # -- what the classes below add --------------------------------------------------------------------------------

    cdef int begin_drain(self) except -1:
        return 0

    cdef int continue_drain(self, uint64_t heard_ms) except -1:
        return 0

    cdef int resume_accepting(self) except -1:
        return 0

    cdef int on_head(self, Connection c, Strand strand, const char* data) except -1:
        """A head is parsed; `data` holds its bytes until this returns."""
        return 0

    cdef int on_piece(self, Connection c, const char* data, size_t size) except -1:
        """Some of the body; copy it."""
        return 0

    cdef int on_begin(self, Connection c, Strand strand) except -1:
        """What came with the head has been given out."""
        return 0

    cdef int on_end(self, Connection c, Strand strand) except -1:
        """The body is complete."""
        return 0

    cdef int on_broken(self, Connection c, Strand strand, int status, const char* why) except -1:
        """The request cannot be completed: the peer ended, stalled or broke the framing."""
        return 0

    cdef int on_flushed(self, Connection c) except -1:
        """Parked output is gone."""
        return 0

    cdef int on_close(self, Connection c) except -1:
        """The connection, or its last request, ends before the response is complete."""
        return 0

    cdef bint wants_body(self, Connection c):
        return True

    cdef str request_of(self, Connection c):
        """Method and path of the request under way, as the logs name it."""
        return "a request"

    cdef object template_for(self, Listener listener):
        return None

    cdef bint at_work(self):
        """Whether the application still runs for a request whose connection may be gone."""
        return False

    cdef int on_again_added(self, Strand strand) except -1:
        """A connection was added to `again` and no event will come for it."""
        return 0

    cdef bint leads(self, Strand strand) noexcept:
        """Whether this thread is still the one that serves events."""
        return True

    cdef int on_logged(self) except -1:
        """A record waits in the access log."""
        return 0
