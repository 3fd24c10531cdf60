# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Two engines in one process, for WSGI and ASGI side by side: how a connection moves from one to the other.

Both do their work under the GIL, so a list and a byte that wakes the other one are enough. A connection moves when
the head of a request is complete that the other one is to answer, and before anything has come of it: with the bytes
of that head, which the other one reads again, with the same parser. What belongs to the engine it leaves (queue,
memo, template, registration) stays behind. `home` tells events of a batch that were read before it left.

The one that accepts leads. It drains, and stops, both: neither may end while the other still has a connection that
could come over.
"""

from libc.stdint cimport int64_t

from portway.engine.base cimport Handover, Listener
from portway.engine.connection cimport HEAD
from portway.engine.cposix cimport pw_coarse_ms, write
from portway.engine.deadlines cimport link_move, link_remove
from portway.engine.poller cimport KIND_HANDOVER, KIND_LISTENER


cdef double DRAIN_IDLE_S = 1.5


cdef class Transferor(Base):
    """Not used itself: see Engine."""

    def __cinit__(self, *arguments, **named):
        self.arrivals = []

    def pair(self, Transferor other, targets):
        """Let another engine of this process answer what the table says is elsewhere. Both have not started yet.

        Args:
            other: The companion: it accepts nothing itself.
            targets: As for add_handover, for connections that it gives to other workers when it drains.
        """
        cdef Listener listener, twin
        cdef Handover handover = Handover.__new__(Handover)
        self.sibling, other.sibling = other, self
        other.follows = True
        other.home = 1
        for listener in self.known.values():
            twin = Listener.__new__(Listener)
            twin.fd = -1
            twin.kind = KIND_LISTENER
            twin.number = listener.number
            twin.own = listener.own
            twin.server = listener.server
            twin.wildcard = listener.wildcard
            twin.tls = listener.tls
            twin.redirect = listener.redirect
            twin.template = other.template_for(twin)
            other.known[twin.number] = twin
        handover.fd = -1
        handover.kind = KIND_HANDOVER
        handover.targets = dict(targets)
        other.handover = handover

    def drain(self, double seconds, double idle_seconds=DRAIN_IDLE_S):
        """Stop accepting, answer what is under way, close; see Base. The companion does so, too."""
        Base.drain(self, seconds, idle_seconds)
        if self.sibling is not None and not self.follows:
            Base.drain(self.sibling, seconds, idle_seconds)

    def stop(self):
        """Close everything now. Any thread may call it."""
        self.stopped = True
        write(self.wake_write, b"\0", 1)
        if self.sibling is not None and not self.sibling.stopped:
            self.sibling.stop()

    cdef int start_pulse(self) except -1:
        return 0 if self.follows else Base.start_pulse(self)

    cdef int64_t all_idle(self) noexcept:
        return self.idle.count + (self.sibling.idle.count if self.sibling is not None else 0)

    cdef int cut_all(self) except -1:
        self.take_arrivals()
        return Base.cut_all(self)

    cdef bint nothing_open(self):
        """Whether neither a connection nor a call of the application is left."""
        return self.open_connections() == 0 and not self.arrivals and not self.at_work()

    cdef int depart(self, Connection c) except -1:
        """Give a connection to the other engine; the caller owns it, and touches it no more."""
        cdef Transferor other = self.sibling
        c.state = HEAD
        c.hungry = 0
        c.memo = c.block = None
        c.exchange = None
        if c.tls is not None:
            c.tls.settle()                  # the only thing here that may give up the GIL
            c.tls.facts = None
        if other is None or other.stopped:
            return self.close_connection(c)
        link_remove(&c.link)
        self.poller.unwatch(c)
        c.listener = other.known[(<Listener>c.listener).number]
        c.home = other.home
        c.moved = 1
        self.graveyard.append(c)            # a batch may still name it
        other.arrivals.append(c)
        write(other.wake_write, b"\0", 1)
        return 0

    cdef int take_arrivals(self) except -1:
        """Make connections this engine's own that the other one has given to it."""
        cdef Connection c
        self.now_ms = pw_coarse_ms()
        while self.arrivals:
            c = self.arrivals.pop(0)
            c.spool_after = self.spool_after
            link_move(&c.link, &self.heads, self.now_ms)
            c.busy = 0
            try:
                self.poller.watch(c, True)
            except OSError as exc:
                self.fault(exc)
                self.close_connection(c)
                continue
            c.queued = 1
            self.again.append(c)            # its head is here already: no event will come for it
        if self.reap_wanted:
            self.reap_wanted = False
            self.reap_one()
        return 0

    cdef int reap_one(self) except -1:
        """Close the connection that has idled longest, if one does."""
        return 0

    cdef int ask_to_reap(self) except -1:
        """Have the other engine close the connection that has idled longest."""
        if self.sibling is not None:
            self.sibling.reap_wanted = True
            write(self.sibling.wake_write, b"\0", 1)
        return 0
