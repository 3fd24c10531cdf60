# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Accepting connections, sharing them with the other workers, and ceasing to.

A worker that accepts looks at the shared board and passes the connection on when another has less to do, through
that worker's SOCK_SEQPACKET pair (SCM_RIGHTS). The same way a draining worker gives its idle connections to its
successors, which their clients never notice.
"""

import os
import socket

from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr, memcpy, memset
from posix.unistd cimport usleep

from portway.engine.base cimport Handover, members
from portway.engine.connection cimport GREETING, HEAD
from portway.engine.counters cimport add
from portway.engine.cposix cimport (
    CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_SPACE, EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM,
    EWOULDBLOCK, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_PEEK, SCM_RIGHTS, SOL_SOCKET, close, cmsghdr, errno,
    iovec, msghdr, pw_accept, pw_coarse_ms,
    recv, recvmsg, sendmsg, sockaddr, socklen_t,
)
from portway.engine.deadlines cimport Link, Queue, link_move, queue_first
from portway.engine.poller cimport KIND_HANDOVER, KIND_LISTENER
from portway.engine.proxied cimport PROXY_CLIENT, PROXY_LOCAL, PROXY_MOST, proxy_read, proxy_wants
from portway.engine.tls cimport TLS, tls_prepare

cdef enum:
    ACCEPTS_AT_ONCE = 64
    CUT_WAITS = 2000            # milliseconds that a quick stop waits for room in the queues of others
    SERVED = 1                  # it has had requests: idle, not new
    GREETED = 2                 # its PROXY header has been read
    NAMELESS = 4                # on behalf of a client that the proxy does not know

# Sent beside each descriptor that is handed over.
cdef struct Passport:
    int listener
    int family
    int flags                   # SERVED, GREETED, NAMELESS
    unsigned char address[28]


cdef class Acceptor(Transferor):
    """Listeners, hand-over and draining."""

    def add_listener(self, sock, tls=None, redirect=None, number=None):
        """Accept from a listening, non-blocking socket. The engine keeps the object and never closes it."""
        cdef Listener listener
        if number is None:
            number = len(self.listeners)
        listener = self.know_listener(number, sock.family, sock.getsockname(), tls, redirect)
        listener.sock = sock
        listener.fd = sock.fileno()
        listener.own = True
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            # accepted sockets inherit it, which saves a call for each
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.counters.knows <= listener.number:
            self.counters.knows = listener.number + 1
        self.listeners.append(listener)
        self.poller.watch(listener, False)

    def know_listener(self, int number, int family, name, tls=None, redirect=None):
        """Take over connections that others have accepted from a listener."""
        cdef Listener listener = Listener.__new__(Listener)
        listener.fd = -1
        listener.kind = KIND_LISTENER
        listener.number = number
        listener.tls = tls
        listener.redirect = redirect
        if tls is not None:
            tls_prepare()
        if family == socket.AF_UNIX:
            listener.server = ((os.fsdecode(name) or "").replace("\0", "@"), None)
        else:
            listener.server = (name[0], name[1])
            listener.wildcard = name[0] in ("0.0.0.0", "::")
        listener.template = self.template_for(listener)
        self.known[number] = listener
        return listener

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

    cdef int accept_all(self, Listener listener) except -1:
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, target
        cdef bint full
        cdef Connection spare
        if self.draining:
            return 0
        for _ in range(ACCEPTS_AT_ONCE):
            full = self.counters.connections >= <int64_t>self.limit_connections
            spare = self.longest_idle() if full else None
            if full and spare is None:
                self.ask_to_reap()
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
            if spare is not None:
                self.close_connection(spare)    # for the one that is here, not for one that may come
            if self.board is not None and self.handover is not None:
                target = self.board.least_loaded(self.slot.index, listener.number)
                if target != self.slot.index and self.hand_over(fd, target, listener.number, &address, 0):
                    close(fd)
                    continue
            add(&self.counters.connections, 1)
            self.adopt(fd, listener, &address, 0)
        return 0

    cdef int adopt(self, int fd, Listener listener, sockaddr_storage* address, int flags) except -1:
        """Take a descriptor that is already counted as a connection of this worker."""
        cdef Connection c = Connection.__new__(Connection)
        c.fd = fd
        c.listener = listener
        if listener.tls is not None:
            c.tls = TLS.__new__(TLS)
            c.tls.policy = listener.tls
        c.family = address.ss_family
        memcpy(c.address, address, sizeof(c.address))
        c.spool_after = self.spool_after
        c.spool_limit = self.response_spool
        Py_INCREF(c)                        # the poller's and the queues' reference, until close_connection
        self.now_ms = pw_coarse_ms()
        c.first = not flags & SERVED
        c.passport = flags & (GREETED | NAMELESS)
        if self.proxies is not None and not flags & GREETED and self.proxies.holds(c.family, c.address):
            c.state = GREETING
        c.trusted = not flags & NAMELESS and self.trust.peers.holds(c.family, c.address)
        link_move(&c.link, &self.fresh if flags & SERVED else &self.heads, self.now_ms)
        try:
            self.poller.watch(c, True)
        except OSError:
            self.close_connection(c)
        return 0

    cdef int greet(self, Connection c) except -1:
        """Read the PROXY header; 0 when more bytes are needed, 1 to go on."""
        cdef char piece[PROXY_MOST]
        cdef const char* why = NULL
        cdef const char* feed
        cdef bint line = False
        cdef size_t wanted
        cdef ssize_t got
        while True:
            wanted = proxy_wants(<uint8_t*>c.stash, c.stash_size, self.proxy_versions, &line, &why)
            if wanted == 0 or why != NULL:
                break
            if not c.readable:
                return 0
            got = 1
            if line:                        # only up to the line feed: what follows is not ours to take
                got = recv(c.fd, piece, wanted, MSG_PEEK | MSG_DONTWAIT)
                if got > 0:
                    feed = <const char*>memchr(piece, c"\n", got)
                    wanted = got if feed == NULL else <size_t>(feed - piece) + 1
            if got > 0:                     # else nothing more is taken unseen: bytes may have come since the look
                got = recv(c.fd, piece, wanted, MSG_DONTWAIT)
            if got < 0 and errno == EINTR:
                continue
            if got < 0 and (errno == EAGAIN or errno == EWOULDBLOCK):
                c.readable = 0
                return 0
            if got <= 0:
                # a connection that brings nothing is how load balancers look whether somebody is there
                if c.stash_size:
                    return self.dismiss(c, b"connection ended inside the PROXY header")
                return self.dismiss(c, NULL)
            c.keep_input(piece, got)
        if why == NULL:
            self.introduce(c, &why)
        if why != NULL:
            return self.dismiss(c, why)
        c.drop_stash()
        c.state = HEAD
        link_move(&c.link, &self.heads, self.now_ms)
        return 1

    cdef int introduce(self, Connection c, const char** why) except -1:
        """The header is complete: let the connection be its client's."""
        cdef uint8_t where[28]
        cdef int family = 0
        cdef int outcome = proxy_read(<uint8_t*>c.stash, c.stash_size, &family, where, why)
        if outcome < 0:
            return 0
        why[0] = NULL
        c.passport |= GREETED
        if outcome == PROXY_CLIENT:
            memcpy(c.address, where, sizeof(where))
            c.family = family
            c.client = c.port_text = None
            c.trusted = self.trust.peers.holds(c.family, c.address)
        elif outcome != PROXY_LOCAL:
            # what the client itself sends must not be believed as if the proxy had sent it
            c.passport |= NAMELESS
            c.trusted = 0
        return 0

    cdef int dismiss(self, Connection c, const char* why) except -1:
        """Close a connection that has not said whose it is: nobody to answer."""
        self.tell(0, why, c)
        self.close_connection(c)
        return 0

    cdef bint hand_over(self, int fd, int target, int listener, sockaddr_storage* address, int flags):
        """Pass a descriptor to another worker; False when it will not take it. The caller closes its own."""
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
        passport.flags = flags
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
        if target < self.board.slots:       # else it goes to another server, which counts it itself
            add(&self.board.base[target].connections, 1)
        if sendmsg(to_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0:
            if target < self.board.slots:
                add(&self.board.base[target].connections, -1)
            return False
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
            if recvmsg(self.handover.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < <ssize_t>sizeof(passport):
                return 0
            header = CMSG_FIRSTHDR(&message)
            if header == NULL or header.cmsg_type != SCM_RIGHTS:
                # no descriptor was left for it here; the sender has counted it as ours
                add(&self.counters.connections, -1)
                self.notice("handed", "a connection handed over was lost: no file descriptor left (ulimit -n)")
                self.reap()
                continue
            memcpy(&fd, CMSG_DATA(header), sizeof(int))
            if passport.listener not in self.known:
                add(&self.counters.connections, -1)
                close(fd)
                continue
            memset(&address, 0, sizeof(address))
            memcpy(&address, passport.address, sizeof(passport.address))
            self.counters.received += 1
            if self.counters.connections > <int64_t>self.limit_connections:
                self.reap()
            self.adopt(fd, self.known[passport.listener], &address, passport.flags)
        return 0

    cdef bint reap(self):
        """Close the connection that has idled longest; False when none idles."""
        cdef Connection c = self.longest_idle()
        if c is None:
            self.ask_to_reap()
            return False
        self.close_connection(c)
        return True

    cdef int reap_one(self) except -1:
        cdef Connection c = self.longest_idle()
        return 0 if c is None else self.close_connection(c)

    cdef Connection longest_idle(self):
        """A connection without a request, under way or arriving; None when there is none."""
        cdef Link* link
        cdef Connection c
        cdef Queue* queue
        for i in range(2):
            queue = &self.idle if i == 0 else &self.fresh
            link = queue_first(queue)
            while link != NULL and link != &queue.ends:
                c = <Connection>link.owner
                if not c.busy and c.state == HEAD and not self.has_input(c):
                    return c
                link = link.after
        return None

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

    cdef int begin_drain(self) except -1:
        cdef Listener listener
        self.drain_until_ms = self.now_ms + <uint64_t>(self.drain_wanted * 1000)
        if self.handover is None or self.board is None or not self.board.relieved(self.slot.index):
            # nobody else will, or not from all of them: serve those who are connected already
            for listener in self.listeners:
                before = -1
                while before != self.counters.accepted:
                    before = self.counters.accepted
                    self.accept_all(listener)
        self.draining = True
        self.counters.state = 3
        for listener in self.listeners:
            if not self.paused:
                self.poller.unwatch(listener)
            listener.sock.close()
        self.ticked_ms = 0
        return 0

    cdef int successor(self, Connection c) noexcept:
        """The slot of another worker that can take a connection over; -1 when there is none."""
        if self.handover is None or self.board is None:
            return -1
        return self.board.successor(self.slot.index, (<Listener>c.listener).number, (<Listener>c.listener).own)

    cdef bint may_pass(self, Connection c) noexcept:
        """Whether a connection between two requests could be another worker's."""
        if c.stash_size or c.ended or (c.tls is not None and c.tls.layer is not None):
            return False                    # the keys of TLS cannot travel
        return self.successor(c) >= 0

    cdef bint pass_on(self, Connection c):
        """While draining: give a connection between two requests to another worker, which the client never notices.

        False, too, when all queues are full. One of a worker that is busy stays so: then others are tried.
        """
        cdef sockaddr_storage address
        cdef int target, other = 0, flags = c.passport | (0 if c.first else SERVED)
        cdef int number = (<Listener>c.listener).number
        if self.queues_full or not self.may_pass(c):
            return False
        target = self.successor(c)
        memset(&address, 0, sizeof(address))
        memcpy(&address, c.address, sizeof(c.address))
        address.ss_family = c.family
        while not self.hand_over(c.fd, target, number, &address, flags):
            target = self.board.ready_from(other, self.slot.index, number)
            if target < 0:
                self.queues_full = True     # until the next tick
                return False
            other = target + 1
        self.close_connection(c)
        return True

    cdef int continue_drain(self, uint64_t heard_ms) except -1:
        """Close what idles."""
        cdef bint late = heard_ms >= self.drain_until_ms
        self.queues_full = False
        self.end_waiting(&self.idle, late)
        self.end_waiting(&self.fresh, late)
        self.end_waiting(&self.heads, late)
        if self.follows:
            return 0
        if late or (
            self.nothing_open() and not self.handover_waiting()
            and (self.sibling is None or self.sibling.nothing_open())
        ):
            self.stop()
        return 0

    cdef int end_waiting(self, Queue* queue, bint late) except -1:
        """End what waits for a request. Those that were active a moment ago may still have one on its way.

        With TLS a connection cannot be another worker's. As long as there are others it is not closed, but waits for
        the request whose answer says that it closes, or its usual time: a close now could cross with a request.
        """
        cdef Connection c
        cdef uint64_t patient
        for c in members(queue):
            if late:
                patient = 0
            elif c.tls is not None and c.tls.established and self.successor(c) >= 0:
                continue
            elif queue == &self.idle:
                patient = 0
            elif c.tls is not None and c.tls.layer is not None and not c.tls.established:
                patient = queue.timeout_ms      # in the middle of its handshake
            else:
                patient = 0 if c.tls is None and self.successor(c) >= 0 else self.drain_idle_ms
            # the end of TLS gives up the GIL, and the queues change meanwhile
            if c.link.queue == queue and self.now_ms >= c.link.since_ms + patient:
                self.end_idle(c, late)
        return 0

    cdef int end_idle(self, Connection c, bint late) except -1:
        """Drop a connection without a request under way; one that is arriving has what is left of its time."""
        if c.busy or (c.state != HEAD and c.state != GREETING):
            link_move(&c.link, &self.active, self.now_ms)
            return 0
        if self.pass_on(c) or not late and (self.may_pass(c) or c.stash_size or self.has_input(c)):
            return 0
        return self.close_connection(c)

    cdef int cut_all(self) except -1:
        """Close every connection; those between two requests go to another worker as far as there is one."""
        cdef Connection c
        cdef int waits = 0
        for c in members(&self.fresh) + members(&self.idle):
            self.queues_full = False
            while not c.busy and c.state == HEAD and not self.pass_on(c) and self.queues_full and waits < CUT_WAITS:
                self.queues_full = False
                waits += 1
                usleep(1000)                # it has nothing else to do, and its queue is soon read
        return Transferor.cut_all(self)

    cdef bint handover_waiting(self) noexcept:
        cdef char byte = 0
        return self.handover is not None and recv(self.handover.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0
