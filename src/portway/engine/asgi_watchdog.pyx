# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True
"""The deadline of ASGI requests: tasks are cancelled in the event loop, and a step that blocks the loop is interrupted.

The time runs from the request's head to the moment when the response head is written; a stream may last. It starts
anew with every piece of body that the application takes, and stands still while it waits for one: a slow upload is
the client's doing. The loop itself deals with what is overdue; the thread asks it to, and watches whether it does.
One that does not is inside some step of a task. If that step belongs to a request over its deadline it is interrupted.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from portway.engine.asgi_exchange cimport ASGIBase, Exchange
from portway.engine.connection cimport APPLICATION, Connection
from portway.engine.cposix cimport pw_coarse_ms
from portway.engine.deadlines cimport Link, Queue, link_move, link_remove, queue_expired, queue_first
from portway.engine.watchdog cimport ANSWERED, INTERRUPTIONS, NOBODY_THERE, Watchdog, this_thread

cdef enum:
    ASK_MS = 100                # after which a loop that was asked to look counts as blocked

cdef str ANSWERED_LATER = "answered 504 when the event loop goes on"


cdef class ASGIWatchdog(Watchdog):
    """Watches the requests of one engine. Made in the loop's thread."""

    def __init__(self, uint64_t timeout_ms, report, ASGIBase engine):
        super().__init__(timeout_ms, report)
        self.engine = engine
        self.looks_ms = &engine.counters.looks_ms
        self.ident = this_thread()
        engine.cancelled.timeout_ms = self.patience_ms

    cdef uint64_t look(self, uint64_t now) except? 0:
        cdef uint64_t due = self.due()
        if due > now:
            self.asked_ms = 0
            return min(due, now + self.timeout_ms)
        if self.asked_ms == 0:
            self.asked_ms = now
            self.interruptions = 0
            self.engine.loop.call_soon_threadsafe(self.on_overdue)
        elif self.interruptions <= INTERRUPTIONS:
            self.unblock(now)
        return now + ASK_MS

    cdef uint64_t due(self) noexcept:
        """When the first deadline ends."""
        cdef Queue* queues[2]
        cdef Link* first
        cdef uint64_t due, soonest = <uint64_t>-1
        cdef int i
        queues[:] = [&self.engine.timed, &self.engine.cancelled]
        for i in range(2):
            first = queue_first(queues[i])
            if first != NULL:
                due = first.since_ms + queues[i].timeout_ms
                if due < soonest:
                    soonest = due
        return soonest

    # -- in the watchdog's thread: the loop is blocked ---------------------------------------------------------------

    cdef int unblock(self, uint64_t now) except -1:
        """Interrupt the step that blocks the loop, if its own request is overdue; give the loop up in the end."""
        cdef ASGIBase engine = self.engine
        cdef Exchange exchange
        cdef uint64_t took, step = engine.steps
        cdef str outcome, request = "a request that waits for the blocked event loop"
        cdef str stack
        cdef bint told
        if self.interruptions == 0 or self.step != step:
            self.step = step
            self.interruptions = 0
        elif now < self.tried_ms + self.patience_ms:
            return 0
        stack = self.stack(self.ident)      # runs Python code, and meanwhile the loop may have gone on
        if self.asked_ms == 0 or engine.steps != step:
            return 0
        exchange = <Exchange>engine.stepping if engine.stepping != NULL else None
        if exchange is not None:
            request = self.request(exchange)    # the scope is the application's, so this may, too
            if self.asked_ms == 0 or engine.steps != step:
                return 0
        self.tried_ms = now
        self.interruptions += 1
        if self.interruptions > INTERRUPTIONS:
            return self.give_up(request, now - self.asked_ms + self.timeout_ms)
        if exchange is None:
            if self.interruptions == 1:
                self.tell(request, self.timeout_ms, ANSWERED_LATER, stack)
            return 0
        if exchange.limit.queue != &engine.timed or now < exchange.limit.since_ms + self.timeout_ms:
            self.interruptions = 0          # it has time left; its turn may come
            return 0
        took = now - exchange.limit.since_ms
        outcome = NOBODY_THERE if exchange.gone else ANSWERED_LATER
        told = exchange.overdue
        exchange.overdue = True             # by the time the step meets the exception
        exchange = None                     # the loop ends it meanwhile, and nothing of it may be finalised here
        engine.interrupted = True
        self.interrupt(self.ident)
        if not told:
            self.tell(request, took, outcome, stack)
        return 0

    # -- in the loop -------------------------------------------------------------------------------------------------

    def on_overdue(self):
        """Deal with everything that is overdue."""
        cdef Link* link
        cdef uint64_t now = pw_coarse_ms()
        self.asked_ms = 0
        try:
            while True:
                link = queue_expired(&self.engine.timed, now)
                if link == NULL:
                    break
                self.overdue(<Exchange>link.owner, now)
            while True:
                link = queue_expired(&self.engine.cancelled, now)
                if link == NULL:
                    break
                self.persist(<Exchange>link.owner, now)
        except Exception as exc:
            self.fault(exc)

    cdef int overdue(self, Exchange exchange, uint64_t now) except -1:
        """End a request for its client, and cancel its task."""
        cdef ASGIBase engine = self.engine
        cdef uint64_t took = now - exchange.limit.since_ms
        cdef str stack
        if not exchange.complete and exchange.receiver is not None and not exchange.receiver.done():
            link_move(&exchange.limit, &engine.timed, now)      # it waits for the client
            return 0
        link_move(&exchange.limit, &engine.cancelled, now)
        exchange.interruptions = 1
        if not exchange.overdue:
            exchange.overdue = True
            stack = self.stack(exchange.task)
            self.tell(self.request(exchange), took, NOBODY_THERE if exchange.gone else ANSWERED, stack)
        exchange.time_out()
        if exchange.task is not None:
            exchange.task.cancel()
        return 0

    cdef int persist(self, Exchange exchange, uint64_t now) except -1:
        """It was cancelled and goes on."""
        exchange.interruptions += 1
        if exchange.interruptions <= INTERRUPTIONS:
            link_move(&exchange.limit, &self.engine.cancelled, now)
            if exchange.task is not None:
                exchange.task.cancel()
            return 0
        link_remove(&exchange.limit)
        exchange.written_off = True
        self.engine.running -= 1
        return self.give_up(self.request(exchange), self.timeout_ms + INTERRUPTIONS * self.patience_ms)

    cdef str request(self, Exchange exchange):
        try:
            return f"{exchange.scope['method']} {exchange.scope['raw_path'].decode('latin-1')}"
        except Exception:                   # the scope is the application's to change
            return "a request"
