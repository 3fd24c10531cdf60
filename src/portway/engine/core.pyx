# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The engine that both drivers share: accepting, reading, deadlines, refusals, draining.

A connection is a state machine that `advance` moves on as far as its input allows; the driver (wsgi.pyx, asgi.pyx)
is told of a head, of pieces of body and of their end. Ownership: whoever set `busy` on a connection is the only one
to touch it until it clears that; an event for a busy connection is only noted on it. Closed connections are buried
between batches, because a batch of events holds borrowed references.
"""

import os
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcmp, memcpy, memset

from portway.engine.body cimport BODY_BROKEN, BODY_CHUNKED, BODY_DONE, BODY_LENGTH, body_chunked, body_feed, body_length
from portway.engine.connection cimport (
    APPLICATION, BODY, CLOSED, DEAD, DISCARD, FLUSH, HEAD, LINGER, PARKED, SENT,
)
from portway.engine.counters cimport add
from portway.engine.cposix cimport (
    AF_INET, AF_INET6, AF_UNIX, CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_SPACE, EAGAIN, ECONNABORTED, EINTR, EMFILE,
    ENFILE, ENOBUFS, ENOMEM, EWOULDBLOCK, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SCM_RIGHTS, SHUT_RDWR, SHUT_WR,
    SOL_SOCKET, close, cmsghdr, errno, iovec, msghdr, nanosleep, pthread_create, pthread_join, pthread_t, pw_accept,
    pw_now_ns, read, recv, recvmsg, sendmsg, shutdown, sockaddr, sockaddr_storage, socklen_t, timespec, write,
)
from portway.engine.deadlines cimport Link, link_move, link_remove, queue_expired, queue_first, queue_init
from portway.engine.head cimport FORM_ORIGIN, Framing, Head, HeadParser
from portway.engine.poller cimport (
    CLOSING, KIND_CONNECTION, KIND_HANDOVER, KIND_LISTENER, KIND_WAKEUP, READABLE, WRITABLE,
)
from portway.engine.reply cimport (
    END_CHUNKED, END_LENGTH, END_NONE, KEEP_ALIVE, KEEP_CLOSE, KEEP_DEFAULT, bodyless, put, reason, reply_end,
    reply_field_text, reply_status_code,
)

cdef enum:
    FRESH_MS = 5000             # how long an idle connection keeps its memo and buffers
    LINGER_MS = 2000
    DISCARD_MOST = 65536        # of an unread body; more is not worth a new connection
    READ_AHEAD_MOST = 65536
    REQUESTS_AT_ONCE = 16       # pipelined on one connection before the others have their turn
    ACCEPTS_AT_ONCE = 64
    MEMOS = 64
    MEMO_MOST = 2048            # bytes of a header block worth remembering
    DRAIN_IDLE_MS = 1500        # how long a connection that was just active may still bring a request

# Sent beside each descriptor that is handed over.
cdef struct Passport:
    int listener
    int family
    unsigned char address[28]


cdef void* pulse(void* argument) noexcept nogil:
    """Say once a second that this process runs. No GIL: an application that holds it is busy, not dead."""
    cdef Counters* counters = <Counters*>argument
    cdef timespec nap
    nap.tv_sec = 1
    nap.tv_nsec = 0
    while True:
        counters.beat_ns = pw_now_ns()
        nanosleep(&nap, NULL)


cdef uint64_t least(uint64_t a, uint64_t b) noexcept nogil:
    return a if a < b else b


cdef class Strand:
    def __cinit__(self):
        self.input = <char*>malloc(INPUT_SIZE)
        self.out.data = <char*>PyMem_Malloc(OUTPUT_SIZE)
        self.out.capacity = OUTPUT_SIZE
        if self.input == NULL or self.out.data == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.input)
        PyMem_Free(self.out.data)


cdef class Memo:
    """A header block that has passed every check, and what the driver made of it."""


cdef class Engine:
    """Not used itself: see WSGIEngine and ASGIEngine."""

    def __init__(self, settings, slot=None, board=None, report=None, access=None, int events=512):
        limits, timeouts = settings.limits, settings.timeouts
        self.settings = settings
        self.report = report
        self.access = access
        self.slot = slot
        self.board = board
        self.counters = self.slot.counters if slot is not None else &self.own_counters
        self.listeners = []
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
        self.underscores = frozenset([name.lower().encode("latin-1") for name in settings.http.underscore_headers])
        self.root_path = settings.app.root_path
        self.keep_alive_ms = <uint64_t>(timeouts.keep_alive * 1000)
        queue_init(&self.heads, <uint64_t>(timeouts.header * 1000))
        queue_init(&self.bodies, <uint64_t>(timeouts.body * 1000))
        queue_init(&self.fresh, least(FRESH_MS, self.keep_alive_ms + 1))
        queue_init(&self.idle, self.keep_alive_ms + 1 - self.fresh.timeout_ms + 1)
        queue_init(&self.writing, <uint64_t>(timeouts.write * 1000))
        queue_init(&self.lingering, LINGER_MS)
        queue_init(&self.active, 0)
        self.now_ms = pw_now_ns() // 1000000
        self.open_wakeup()

    def open_wakeup(self):
        cdef int reading, writing
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        self.wake_write = writing
        self.wakeup = Wakeup.__new__(Wakeup)
        self.wakeup.fd = reading
        self.wakeup.kind = KIND_WAKEUP
        self.poller.wake_fd = writing
        self.poller.watch(self.wakeup, False)

    @property
    def wakeup_fd(self):
        """Each byte written here reaches `on_wakeup` as an int, in an engine thread; zero only wakes."""
        return self.wake_write

    def add_listener(self, sock):
        """Accept from a listening, non-blocking socket. The engine keeps the object and never closes it."""
        cdef Listener listener = Listener.__new__(Listener)
        listener.sock = sock
        listener.fd = sock.fileno()
        listener.kind = KIND_LISTENER
        listener.number = len(self.listeners)
        sock.setblocking(False)
        name = sock.getsockname()
        if sock.family == socket.AF_UNIX:
            listener.server = (name.decode() if isinstance(name, bytes) else name, None)
        else:
            listener.server = (name[0], name[1])
            listener.wildcard = name[0] in ("0.0.0.0", "::")
            # accepted sockets inherit it, which saves a call for each
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.template = self.template_for(listener)
        self.listeners.append(listener)
        self.poller.watch(listener, False)

    def add_handover(self, sock, targets):
        """Exchange accepted connections with other workers.

        Args:
            sock: this worker's end of its SOCK_SEQPACKET pair; connections arrive on it.
            targets: slot index -> the write end for that slot.
        """
        cdef Handover handover = Handover.__new__(Handover)
        sock.setblocking(False)
        handover.sock = sock
        handover.fd = sock.fileno()
        handover.kind = KIND_HANDOVER
        handover.targets = dict(targets)
        self.handover = handover
        self.poller.watch(handover, False)

    def drain(self, double seconds):
        """Stop accepting, answer what is under way, close; everything still open is cut after `seconds`.

        Any thread may call it; `run` returns (or `wait_closed` ends) when it is done.
        """
        self.drain_wanted = max(seconds, 0.001)
        write(self.wake_write, b"\0", 1)

    def stop(self):
        """Close everything now. Any thread may call it."""
        self.stopped = True
        write(self.wake_write, b"\0", 1)

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
        self.started = True
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

    # -- time ----------------------------------------------------------------------------------------------------

    cdef int turn_timeout(self) except -2:
        """Milliseconds until something is due, -1 when nothing is."""
        cdef Queue* queues[6]
        cdef Link* first
        cdef uint64_t due = 0, soonest = <uint64_t>-1
        cdef int i
        if self.again:
            return 0
        queues[:] = [&self.heads, &self.bodies, &self.fresh, &self.idle, &self.writing, &self.lingering]
        for i in range(6):
            first = queue_first(queues[i])
            if first != NULL and queues[i].timeout_ms:
                due = first.since_ms + queues[i].timeout_ms
                soonest = least(soonest, due)
        if self.draining:
            soonest = least(soonest, self.now_ms + 100)
        if self.paused:
            soonest = least(soonest, self.resume_ms)
        if soonest == <uint64_t>-1:
            return -1
        if soonest <= self.now_ms:
            return 1
        return <int>least(soonest - self.now_ms + 1, 60000)

    cdef int tick(self) except -1:
        """Between two batches: bury the closed, let deadlines fall. At most every 50 ms past the first line."""
        if self.graveyard:
            self.graveyard.clear()
        self.now_ms = pw_now_ns() // 1000000
        if self.drain_wanted and not self.draining:
            self.begin_drain()
        if self.now_ms < self.ticked_ms + 50:
            return 0
        self.ticked_ms = self.now_ms
        self.counters.idle = self.idle.count
        if self.paused and self.now_ms >= self.resume_ms:
            self.resume_accepting()
        self.expire(&self.heads, 408, b"head not complete within header-timeout")
        self.expire(&self.bodies, 408, b"body stalled for body-timeout")
        self.expire_fresh()
        self.expire(&self.idle, 0, NULL)
        self.expire(&self.writing, 0, b"reader stalled for write-timeout")
        self.expire(&self.lingering, 0, NULL)
        if self.draining:
            self.continue_drain()
        return 0

    cdef int expire(self, Queue* queue, int status, const char* why) except -1:
        cdef Link* link
        cdef Connection c
        while True:
            link = queue_expired(queue, self.now_ms)
            if link == NULL:
                return 0
            c = <Connection>link.owner
            link_move(link, &self.active, self.now_ms)
            if c.busy:
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
            c.client = None
            c.server = None
            c.head = None
            if c.stash_size == 0:
                c.drop_stash()

    cdef bint has_input(self, Connection c) noexcept:
        """Whether bytes wait in the socket: a request that crossed with our wish to close."""
        cdef char byte = 0
        return c.readable or recv(c.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0

    # -- draining ------------------------------------------------------------------------------------------------

    cdef int begin_drain(self) except -1:
        cdef Listener listener
        self.draining = True
        self.counters.state = 3
        self.drain_until_ms = self.now_ms + <uint64_t>(self.drain_wanted * 1000)
        for listener in self.listeners:
            if not self.paused:
                self.poller.unwatch(listener)
        self.ticked_ms = 0
        return 0

    cdef int continue_drain(self) except -1:
        """Close what idles. Those that were active a moment ago may still have a request on its way."""
        cdef Link* link
        cdef Connection c
        cdef bint late = self.now_ms >= self.drain_until_ms
        while True:
            link = queue_first(&self.idle)
            if link == NULL:
                break
            c = <Connection>link.owner
            if c.busy or (not late and self.has_input(c)):
                link_move(link, &self.active, self.now_ms)
                continue
            self.close_connection(c)
        while True:
            link = queue_first(&self.fresh)
            if link == NULL or (not late and self.now_ms < link.since_ms + DRAIN_IDLE_MS):
                break
            c = <Connection>link.owner
            if c.busy or (not late and self.has_input(c)):
                link_move(link, &self.active, self.now_ms)
                continue
            self.close_connection(c)
        while True:
            # opened and silent: as idle as the others
            link = queue_first(&self.heads)
            if link == NULL or (not late and self.now_ms < link.since_ms + DRAIN_IDLE_MS):
                break
            c = <Connection>link.owner
            if c.busy or (not late and (c.stash_size or self.has_input(c))):
                link_move(link, &self.active, self.now_ms)
                continue
            self.close_connection(c)
        if late or (self.open_connections() == 0 and not self.at_work() and not self.handover_waiting()):
            self.stopped = True
        return 0

    cdef int cut_all(self) except -1:
        """Close every connection that no thread has."""
        cdef Queue* queues[7]
        cdef Link* link
        cdef Link* after
        cdef int i
        queues[:] = [&self.heads, &self.bodies, &self.fresh, &self.idle, &self.writing, &self.lingering, &self.active]
        for i in range(7):
            link = queue_first(queues[i])
            while link != NULL and link != &queues[i].ends:
                after = link.after
                if not (<Connection>link.owner).busy:
                    self.close_connection(<Connection>link.owner)
                link = after
        return 0

    cdef bint handover_waiting(self) noexcept:
        cdef char byte = 0
        return self.handover is not None and recv(self.handover.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0

    # -- accepting -----------------------------------------------------------------------------------------------

    cdef int accept_all(self, Listener listener, Strand strand) except -1:
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, target
        if self.draining:
            return 0
        for _ in range(ACCEPTS_AT_ONCE):
            if self.counters.connections >= <int64_t>self.limit_connections and not self.reap():
                return self.pause_accepting(20)
            size = sizeof(address)
            fd = pw_accept(listener.fd, <sockaddr*>&address, &size)
            if fd < 0:
                if errno == EINTR or errno == ECONNABORTED:
                    continue
                if errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
                    self.notice("accept", f"accept: {os.strerror(errno)}; idle connections are closed to make room")
                    if not self.reap():
                        return self.pause_accepting(100)
                    continue
                return 0
            self.counters.accepted += 1
            if self.board is not None and self.handover is not None:
                target = self.board.least_loaded(self.slot.index)
                if target != self.slot.index and self.hand_over(fd, target, listener.number, &address):
                    continue
            add(&self.counters.connections, 1)
            self.adopt(fd, listener, &address)
        return 0

    cdef int adopt(self, int fd, Listener listener, sockaddr_storage* address) except -1:
        """Take a descriptor that is already counted as a connection of this worker."""
        cdef Connection c = Connection.__new__(Connection)
        c.fd = fd
        c.listener = listener
        c.family = address.ss_family
        memcpy(c.address, address, sizeof(c.address))
        c.spool_after = self.spool_after
        c.spool_limit = self.response_spool
        Py_INCREF(c)                        # the poller's and the queues' reference, until close_connection
        link_move(&c.link, &self.heads, self.now_ms)
        try:
            self.poller.watch(c, True)
        except OSError:
            self.close_connection(c)
        return 0

    cdef bint hand_over(self, int fd, int target, int listener, sockaddr_storage* address):
        """Pass a connection to a less busy worker; False when it will not take it."""
        cdef Passport passport
        cdef iovec part
        cdef msghdr message
        cdef char control[64]
        cdef cmsghdr* header
        cdef int to_fd
        target_sock = self.handover.targets.get(target)
        if target_sock is None:
            return False
        to_fd = target_sock.fileno()
        memset(&message, 0, sizeof(message))
        memset(control, 0, sizeof(control))
        passport.listener = listener
        passport.family = address.ss_family
        memcpy(passport.address, address, sizeof(passport.address))
        part.iov_base = &passport
        part.iov_len = sizeof(passport)
        message.msg_iov = &part
        message.msg_iovlen = 1
        message.msg_control = control
        message.msg_controllen = CMSG_SPACE(sizeof(int))
        header = CMSG_FIRSTHDR(&message)
        header.cmsg_level = SOL_SOCKET
        header.cmsg_type = SCM_RIGHTS
        header.cmsg_len = CMSG_LEN(sizeof(int))
        memcpy(CMSG_DATA(header), &fd, sizeof(int))
        add(&self.board.base[target].connections, 1)
        if sendmsg(to_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
            add(&self.board.base[target].connections, -1)
            return False
        close(fd)
        self.counters.handed_over += 1
        return True

    cdef int take_handed(self) except -1:
        """Adopt what other workers passed on."""
        cdef Passport passport
        cdef iovec part
        cdef msghdr message
        cdef char control[64]
        cdef cmsghdr* header
        cdef int fd = -1
        cdef sockaddr_storage address
        for _ in range(ACCEPTS_AT_ONCE):
            memset(&message, 0, sizeof(message))
            part.iov_base = &passport
            part.iov_len = sizeof(passport)
            message.msg_iov = &part
            message.msg_iovlen = 1
            message.msg_control = control
            message.msg_controllen = sizeof(control)
            if recvmsg(self.handover.fd, &message, MSG_DONTWAIT) < <ssize_t>sizeof(passport):
                return 0
            header = CMSG_FIRSTHDR(&message)
            if header == NULL or header.cmsg_type != SCM_RIGHTS:
                continue
            memcpy(&fd, CMSG_DATA(header), sizeof(int))
            if passport.listener < 0 or passport.listener >= <int>len(self.listeners):
                close(fd)
                continue
            os.set_inheritable(fd, False)
            memset(&address, 0, sizeof(address))
            memcpy(&address, passport.address, sizeof(passport.address))
            self.counters.received += 1
            self.adopt(fd, self.listeners[passport.listener], &address)
        return 0

    cdef bint reap(self):
        """Close the connection that has idled longest; False when none idles."""
        cdef Link* link
        cdef Connection c
        cdef Queue* queue
        for i in range(2):
            queue = &self.idle if i == 0 else &self.fresh
            link = queue_first(queue)
            while link != NULL and link != &queue.ends:
                c = <Connection>link.owner
                if not c.busy and c.state == HEAD and not self.has_input(c):
                    self.close_connection(c)
                    return True
                link = link.after
        return False

    cdef int pause_accepting(self, uint64_t ms) except -1:
        cdef Listener listener
        if not self.paused and not self.draining:
            self.paused = True
            for listener in self.listeners:
                self.poller.unwatch(listener)
        self.resume_ms = self.now_ms + ms
        return 0

    cdef int resume_accepting(self) except -1:
        cdef Listener listener
        self.paused = False
        if not self.draining:
            for listener in self.listeners:
                self.poller.watch(listener, False)
        return 0

    # -- events --------------------------------------------------------------------------------------------------

    cdef int dispatch(self, Strand strand) except -1:
        """Handle the next event of the batch."""
        cdef Watched watched = <Watched>self.poller.ready[self.poller.next].watched
        cdef uint32_t what = self.poller.ready[self.poller.next].what
        cdef Connection c
        self.poller.next += 1
        if watched.kind == KIND_CONNECTION:
            c = <Connection>watched
            if what & CLOSING:
                c.closing = 1
            if what & (READABLE | CLOSING):
                c.readable = 1
            if c.busy:
                if what & WRITABLE and c.parked is not None and not c.sending:
                    c.flush(self.poller)
                return 0
            if c.state == CLOSED:
                return 0
            c.busy = 1
            return self.advance(c, strand)
        if watched.kind == KIND_LISTENER:
            return self.accept_all(<Listener>watched, strand)
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
                    self.on_wakeup(bytes_in[i])

    cdef int handle_again(self, Strand strand) except -1:
        """Connections that had more pipelined requests than one turn allows."""
        cdef Connection c
        waiting, self.again = self.again, []
        for c in waiting:
            if not c.busy and c.state != CLOSED:
                c.busy = 1
                self.advance(c, strand)
        return 0

    cdef int advance(self, Connection c, Strand strand) except -1:
        """Move a connection on as far as its input and output allow; the caller has set `busy`."""
        cdef int went, requests = 0
        try:
            while c.state != CLOSED:
                if c.parked is not None:
                    went = c.flush(self.poller)
                    if went == DEAD:
                        self.close_connection(c)
                        break
                    if went == SENT:
                        self.on_flushed(c)
                    elif c.link.queue == &self.writing:
                        link_move(&c.link, &self.writing, self.now_ms)
                    if c.state == CLOSED:
                        break
                if c.state == HEAD:
                    went = self.read_head(c, strand)
                    requests += went
                    if requests >= REQUESTS_AT_ONCE and went:
                        self.again.append(c)
                        break
                elif c.state == BODY or c.state == APPLICATION:
                    went = self.read_body(c, strand)
                elif c.state == FLUSH and c.parked is None:
                    went = 1
                    self.after_response(c)
                elif c.state == DISCARD:
                    went = self.discard(c, strand)
                elif c.state == LINGER:
                    went = self.linger(c, strand)
                else:
                    went = 0
                if not went:
                    break
        except BaseException as exc:
            self.fault(exc)
            self.close_connection(c)
        c.busy = 0
        if self.poller.portable and c.state != CLOSED and not c.readable and not c.ended:
            self.poller.arm(c, READABLE)
        return 0

    cdef int read_head(self, Connection c, Strand strand) except -1:
        """Read one head and begin its request; 0 when more bytes are needed, 1 to go on."""
        cdef char* data
        cdef size_t size, skip = 0, used
        cdef ssize_t got = 0
        cdef int parsed
        cdef HeadParser parser = strand.parser
        cdef bint stashed = c.stash_size > 0
        if not stashed or c.hungry:
            if not c.readable:
                return 0
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
        # RFC 9112 section 2.2: an empty line before a request is ignored
        while skip + 1 < size and skip < 4 and data[skip] == c"\r" and data[skip + 1] == c"\n":
            skip += 2
        data += skip
        size -= skip
        parsed = parser.request_line(data, size) if size else 0
        if parsed > 0:
            parsed = self.known_block(c, parser, data, size)
        if parsed < 0:
            return self.refuse(c, strand, parser.head.status, parser.head.why)
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
        if self.begin(c, strand, data) < 0:
            return 1
        if stashed:
            c.use_stash(skip + used)
            if c.stash_size and c.body.kind != BODY_DONE:
                self.feed(c, strand, c.stash, c.stash_size, True)
        elif size > used:
            self.feed(c, strand, data + used, size - used, False)
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
            or memo.listener is not c.listener or memcmp(data + head.block_at, memo.data, size) != 0
        ):
            return None
        c.memo = memo
        return memo

    cdef int remember(self, Connection c, HeadParser parser, const char* data, object template) except -1:
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
        c.memo = self.memos[size % MEMOS] = memo
        return 0

    cdef int no_input(self, Connection c, Strand strand, ssize_t got) except -1:
        if got == 0:
            return 0
        if c.stash_size and not c.broken:
            self.refuse(c, strand, 400, b"connection ended inside a request head")
            return 1
        self.close_connection(c)
        return 0

    cdef int begin(self, Connection c, Strand strand, const char* data) except -2:
        """A head is complete: set the connection up for its request. -1 when it was refused instead."""
        cdef Head* head = &strand.parser.head
        cdef Framing* framing = &head.framing
        c.minor = head.minor
        c.keep = (not framing.close) if head.minor else framing.keep_alive
        c.is_head = head.method_size == 4 and memcmp(data, b"HEAD", 4) == 0
        c.expects = framing.expect_continue
        c.chunked = c.started = c.hungry = 0
        c.status = 0
        c.sent = 0
        c.parsed = 0
        if c.link.queue == &self.idle or c.link.queue == &self.heads:
            link_move(&c.link, &self.active, self.now_ms)
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
        if self.limit_concurrency and self.counters.in_flight >= <int64_t>self.limit_concurrency:
            self.refuse(c, strand, 503, b"more requests at once than limit-concurrency")
            return -1
        self.counters.requests += 1
        self.counters.in_flight += 1
        if self.access is not None:
            c.head = data[: head.size]
            c.began_ns = pw_now_ns()
        c.state = APPLICATION
        self.on_head(c, strand, data)
        c.first = 0
        return 0

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
        if stashed:
            c.use_stash(at)
        elif at < size and c.body.kind != BODY_BROKEN:
            c.keep_input(data + at, size - at)
        if c.body.kind == BODY_BROKEN:
            self.on_broken(c, strand, c.body.status, c.body.why)
        return 0

    cdef int read_body(self, Connection c, Strand strand) except -1:
        """Receive body bytes, or what follows a request that the application still has."""
        cdef ssize_t got
        cdef bint complete = c.body.kind == BODY_DONE
        if not c.readable or (complete and c.stash_size >= READ_AHEAD_MOST):
            return 0
        if not complete and not self.wants_body(c):
            return 0
        got = c.receive(strand.input, INPUT_SIZE)
        if got == 0:
            return 0
        if got < 0:
            if complete:
                self.on_broken(c, strand, 0, NULL)
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
        if c.body.kind == BODY_DONE and (c.state == BODY or c.state == APPLICATION):
            self.on_end(c, strand)
        return 1

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
        if not c.readable:
            return 0
        got = c.receive(strand.input, INPUT_SIZE)
        if got == 0:
            return 0
        if got < 0:
            self.close_connection(c)
            return 0
        return 1

    cdef int start_linger(self, Connection c) except -1:
        """Shut our side and read on for a moment: closing at once would reset the answer away (RFC 9112, 9.6)."""
        c.drop_stash()
        c.state = LINGER
        shutdown(c.fd, SHUT_WR)
        link_move(&c.link, &self.lingering, self.now_ms)
        if c.ended:
            self.close_connection(c)
        return 0

    # -- responses -----------------------------------------------------------------------------------------------

    cdef int end_head(self, Connection c, Buffer* out, Reply* reply, int64_t length) except -1:
        """Decide framing and persistence, and finish the head.

        Args:
            length: the whole body's size when it is known, else -1.
        """
        cdef int framing = END_NONE, connection = KEEP_DEFAULT
        c.chunked = 0
        c.status = reply.status
        if reply.content_length < 0 and not bodyless(reply.status):
            if length >= 0:
                framing = END_LENGTH
            elif c.minor:
                framing = END_CHUNKED
                c.chunked = 1
            else:
                c.keep = 0
        # an unsent 100 means that the client may or may not send its body: only closing is certain
        if reply.close or self.draining or (c.expects and c.body.kind != BODY_DONE):
            c.keep = 0
        if not c.keep:
            connection = KEEP_CLOSE
        elif c.minor == 0:
            connection = KEEP_ALIVE
        reply_end(out, reply, framing, length, connection, self.date, self.server)
        if c.is_head:
            c.chunked = 0
        c.started = 1
        return 0

    cdef int refuse(self, Connection c, Strand strand, int status, const char* why) except -1:
        """Answer in the application's stead and close."""
        cdef Buffer out
        cdef Reply reply
        cdef bytes text = f"{status} {reason(status)}\n".encode()
        cdef bint under_way = c.state == BODY or c.state == APPLICATION
        memset(&out, 0, sizeof(out))
        self.tell(status, why, c)
        c.keep = 0
        try:
            reply_status_code(&out, &reply, status)
            put(&out, b"Content-Type: text/plain\r\n", 26)
            if status == 503:
                put(&out, b"Retry-After: 1\r\n", 16)
            reply_end(&out, &reply, END_LENGTH, len(text), KEEP_CLOSE, self.date, self.server)
            if not (c.is_head and under_way):
                put(&out, text, len(text))
            c.status = status
            if not under_way:
                self.counters.requests += 1
                self.counters.in_flight += 1
            c.transmit(self.poller, out.data, out.size, NULL, 0, None)
        finally:
            PyMem_Free(out.data)
        self.count(c)
        c.exchange = None
        c.state = FLUSH
        if c.broken:
            return self.close_connection(c)
        if c.parked is not None:
            return self.place(c)
        return self.start_linger(c)

    cdef int count(self, Connection c) except -1:
        """One response is over: counters and access log."""
        self.counters.in_flight -= 1
        self.counters.bytes_out += c.sent
        self.counters.statuses[c.status // 100 if 100 <= c.status <= 599 else 0] += 1
        if self.access is not None:
            self.log_access(c)
        return 0

    cdef int log_access(self, Connection c) except -1:
        head, c.head = c.head, None
        self.access.record(head, c.peer(), c.status, c.sent, pw_now_ns() - c.began_ns if head is not None else 0)
        return 0

    cdef int after_response(self, Connection c) except -1:
        """The response is counted, written and flushed: on to the next request, or to the end."""
        c.exchange = None
        c.state = FLUSH
        if c.broken:
            return self.close_connection(c)
        if c.body.kind != BODY_DONE:
            c.budget = DISCARD_MOST
            if not c.keep or c.expects or (c.body.kind == BODY_LENGTH and c.body.remaining > DISCARD_MOST):
                return self.start_linger(c)
            c.state = DISCARD
            link_move(&c.link, &self.lingering, self.now_ms)
            return 0
        if not c.keep:
            if c.stash_size or c.readable:
                return self.start_linger(c)
            return self.close_connection(c)
        return self.between(c)

    cdef int between(self, Connection c) except -1:
        """Nothing is under way: wait for the next request."""
        c.state = HEAD
        c.hungry = 0
        if c.ended and c.stash_size == 0:
            return self.close_connection(c)
        link_move(&c.link, &self.fresh, self.now_ms)
        return 0

    cdef int place(self, Connection c) except -1:
        """Put the connection into the queue of what it waits for."""
        if c.state == CLOSED:
            return 0
        if c.parked is not None:
            link_move(&c.link, &self.writing, self.now_ms)
        elif c.state == BODY or (c.state == APPLICATION and c.body.kind != BODY_DONE and self.wants_body(c)):
            link_move(&c.link, &self.bodies, self.now_ms)
        elif c.state == APPLICATION:
            link_move(&c.link, &self.active, self.now_ms)
        return 0

    cdef int close_connection(self, Connection c) except -1:
        if c.state == CLOSED:
            return 0
        if c.state == BODY or c.state == APPLICATION:
            self.on_close(c)
            self.count(c)
        c.state = CLOSED
        link_remove(&c.link)
        self.poller.unwatch(c)
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

    # -- words for the log ---------------------------------------------------------------------------------------

    cdef int tell(self, int status, const char* why, Connection c) except -1:
        if self.report is not None and why != NULL:
            peer = c.peer()
            self.report.refused(status, why.decode(), peer[0] if peer else "unix")
        return 0

    cdef int notice(self, str key, str text) except -1:
        if self.report is not None:
            self.report.notice(key, text)
        return 0

    cdef int fault(self, object exc) except -1:
        """Something went wrong that is not the application's doing; the connection dies, the worker does not."""
        if self.report is not None:
            self.report.application_error(exc, "engine")
        return 0

    # -- what a driver adds --------------------------------------------------------------------------------------

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
        return self.refuse(c, strand, status, why)

    cdef int on_flushed(self, Connection c) except -1:
        """Parked output is gone."""
        return 0

    cdef int on_close(self, Connection c) except -1:
        """The connection ends with a request under way."""
        return 0

    cdef bint wants_body(self, Connection c):
        return True

    cdef bint at_work(self):
        """Whether the application still runs for a request whose connection may be gone."""
        return False

    cdef object template_for(self, Listener listener):
        return None
