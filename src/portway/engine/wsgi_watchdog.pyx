# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True
"""The deadline of WSGI requests: what each thread is doing, and what happens when it takes too long.

The time runs from the call of the application to the moment when the response head is written; a stream may last. A
request over its deadline is answered 504 by the watchdog and taken off its connection, so whatever its thread still
does with it reaches nobody, and the thread is interrupted. One that does not come back is reported as stuck.
"""

from libc.stdint cimport uint64_t

from portway.engine.connection cimport APPLICATION, Connection
from portway.engine.core cimport Engine
from portway.engine.cposix cimport pw_coarse_ms
from portway.engine.watchdog cimport ANSWERED, INTERRUPTIONS, NOBODY_THERE, Watchdog

cdef uint64_t NEVER = <uint64_t>-1


cdef class Call:
    """The thread that this belongs to calls all of it."""

    cdef int enter(self, Connection c, object exchange, dict environ) except -1:
        """The application gets a request."""
        self.number += 1
        self.connection = c
        self.exchange = exchange
        self.environ = environ
        self.since_ms = pw_coarse_ms()
        return 0

    cdef void pause(self) noexcept:
        """The thread is not in the application's hands, or its response begins: from here on nothing interrupts it."""
        self.since_ms = 0
        if self.interruptions:
            self.watchdog.withdraw(self.ident)

    cdef void resume(self) noexcept:
        self.since_ms = pw_coarse_ms()

    cdef void leave(self) noexcept:
        """The thread is done with the request."""
        self.pause()
        self.number += 1
        self.interruptions = 0
        self.connection = None
        self.exchange = self.environ = self.request = None


cdef class WSGIWatchdog(Watchdog):
    """Watches the calls of one engine's threads."""

    def __init__(self, uint64_t timeout_ms, report, Engine engine):
        super().__init__(timeout_ms, report)
        self.engine = engine
        self.looks_ms = &engine.counters.looks_ms
        self.calls = []

    cdef Call new_call(self):
        """What the next thread is to use."""
        cdef Call call = Call.__new__(Call)
        call.watchdog = self
        self.calls.append(call)
        return call

    cdef uint64_t look(self, uint64_t now) except? 0:
        cdef uint64_t due, soonest = now + self.timeout_ms
        cdef Call call
        for call in self.calls:
            due = self.due(call)
            if due <= now:
                self.act(call, now)
                due = self.due(call)
            if due < soonest:
                soonest = due
        return soonest

    cdef uint64_t due(self, Call call) noexcept:
        """When there is something to do about a call."""
        if call.interruptions == 0:
            return call.since_ms + self.timeout_ms if call.since_ms else NEVER
        return call.interrupted_ms + self.patience_ms if call.interruptions <= INTERRUPTIONS else NEVER

    cdef int act(self, Call call, uint64_t now) except -1:
        if call.interruptions == 0:
            return self.overdue(call, now)
        call.interruptions += 1
        call.interrupted_ms = now
        if call.interruptions <= INTERRUPTIONS:
            if call.since_ms:
                self.interrupt(call.ident)
            return 0
        return self.give_up(call.request, now - call.since_ms if call.since_ms else self.timeout_ms)

    cdef int overdue(self, Call call, uint64_t now) except -1:
        """Look where the thread is, and if it is still at it, end the request for everybody but the thread."""
        cdef uint64_t number = call.number, since = call.since_ms
        cdef Connection c
        cdef bint answered
        cdef str request
        cdef str stack = self.stack(call.ident)
        try:
            request = f"{call.environ['REQUEST_METHOD']} {call.environ['RAW_URI'].partition('?')[0]}"
        except Exception:                   # the environ is the application's to change
            request = "a request"
        # both of these ran Python code, and meanwhile the thread may have gone on
        if call.number != number or call.since_ms != since:
            return 0
        call.request = request
        call.interruptions = 1
        call.interrupted_ms = now
        c = call.connection
        answered = c.exchange is call.exchange and c.state == APPLICATION
        if answered:
            self.engine.refuse(c, None, 504, NULL)
            self.engine.flush_access()      # the thread that would do it may never come back, and the process end for it
        if call.number == number and call.since_ms == since:
            self.interrupt(call.ident)
        self.tell(request, now - since, ANSWERED if answered else NOBODY_THERE, stack)
        return 0
