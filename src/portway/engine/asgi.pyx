# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The ASGI driver: the engine nested in an event loop.

The engine's epoll descriptor is registered with the loop once; each time the loop finds it readable, one callback
handles what is ready, for a bounded time. A request runs in a real asyncio Task, whose first step is run as part of
the batch: by `eager_start` from Python 3.12 on, by hand before.
"""

import asyncio
import sys
from contextvars import copy_context

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_DelItem, PyDict_SetItem
from cpython.ref cimport Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t

from portway.engine.asgi_exchange cimport Exchange
from portway.engine.asgi_watchdog cimport ASGIWatchdog
from portway.engine.base cimport Listener, Strand, least, members
from portway.engine.body cimport BODY_DONE
from portway.engine.connection cimport Connection
from portway.engine.cposix cimport pw_coarse_ms, pw_now_ns
from portway.engine.deadlines cimport link_move, queue_init
from portway.engine.poller cimport KIND_CONNECTION, READABLE, WRITABLE, Watched
from portway.engine.request_id cimport request_id
from portway.engine.scope cimport base_scope, make_scope
from portway.engine.stream cimport Stream

cdef extern from "Python.h":
    object PyObject_Call(object callable, tuple arguments, dict keywords)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1

cdef enum:
    EVENTS = 64                 # connections served at a time
    BATCH_NS = 200000           # how long one callback goes on looking for more before other tasks have their turn
    BODY_MOST = 65536           # body bytes that wait for the application before reading stops
    TICK_MS = 1000
    TOLD_MS = 2000              # before a drain cuts it, each request is told

cdef double PAUSE_S = 0.05

cdef object Task = asyncio.Task
cdef object StepType = None                 # of a Task's first step, which has no public name
cdef str CALL_SOON = sys.intern("call_soon")


cdef class FirstStep:
    """Stands in for `loop.call_soon` while a Task is made, before Python 3.12, and keeps what the Task asks for."""

    def call_soon(self, step, *arguments, context=None):
        global StepType
        if StepType is None and type(step).__name__ == "TaskStepMethWrapper":
            StepType = type(step)
        if self.step is None and type(step) is StepType:
            self.step = step
            self.context = context
            return None
        # a finalizer that the garbage collector runs just now
        return type(self.loop).call_soon(self.loop, step, *arguments, context=context)


cdef class ASGIEngine(ASGIBase):
    """Serves one ASGI 3 application on one event loop.

    Args:
        app: the application, a single callable.
        settings: portway.config.Settings.
        loop: the running loop, or the one that will run.
        slot, board, report, access: as for WSGIEngine.
        state: the lifespan's state, copied into every scope; None leaves the key out.

    Everything but `drain`, `stop` and `wakeup_fd` belongs to the loop's thread.
    """

    def __init__(self, app, settings, loop, slot=None, board=None, report=None, access=None, state=None):
        super().__init__(settings, slot, board, report, access, EVENTS)
        self.app = app
        self.loop = loop
        self.state = state
        self.strand = self.new_strand(0)
        self.eager = sys.version_info >= (3, 12)
        # made once: a dict for the keywords of each Task would cost as much as copying a small scope
        self.task_options = {"loop": loop, "name": "request"}
        if self.eager:
            self.task_options["eager_start"] = True
        self.first_step = FirstStep.__new__(FirstStep)
        self.first_step.loop = loop
        self.stand_in = self.first_step.call_soon
        self.loop_names = getattr(loop, "__dict__", None)
        # somebody else's replacement of call_soon is not ours to take away
        self.step_now = not self.eager and self.loop_names is not None and "call_soon" not in self.loop_names
        if self.poller.portable:
            self.poller.hook = self.watch_portable
            # opened before there was a hook
            self.watch_portable(self.wakeup, READABLE)

    def start(self):
        """Begin to serve; call it from the loop's thread."""
        self.closed = self.loop.create_future()
        self.context = copy_context()
        self.start_pulse()
        self.start_watchdog()
        if not self.poller.portable:
            self.loop.add_reader(self.poller.epoll, self.on_events)
        self.timer = self.loop.call_later(TICK_MS / 1000, self.on_timer)

    cdef int start_watchdog(self) except -1:
        queue_init(&self.timed, self.timeout_ms)
        queue_init(&self.cancelled, 0)
        if self.timeout_ms:
            self.watchdog = ASGIWatchdog(self.timeout_ms, self.report, self)
            self.watchdog.nudge = self.nudge
            self.watchdog.on_stuck = self.on_stuck
            self.watchdog.start()
            self.limited = True
        return 0

    async def wait_closed(self):
        """Return when the engine has drained or stopped."""
        await asyncio.shield(self.closed)

    def on_events(self):
        """The loop found the engine's poller readable."""
        try:
            self.tick()
            self.serve_batch()
        except BaseException as exc:
            self.fault(exc)
            if isinstance(exc, (KeyboardInterrupt, SystemExit)):
                raise
        if self.stopped:
            self.end()

    cdef int serve_batch(self) except -1:
        cdef uint64_t until
        self.clock_ns = pw_now_ns()
        until = self.clock_ns + BATCH_NS
        self.batch = True
        try:
            # under load the next requests are there by the time these are answered: a turn of the event loop
            # costs as much as some requests, so look again before giving it one
            while self.poller.wait(0, False):
                while self.batch_left():
                    try:
                        self.dispatch(self.strand)
                    except Exception as exc:
                        self.fault(exc)     # the rest of the batch must not be forgotten for it
                if self.graveyard:
                    self.graveyard.clear()
                if (self.clock_ns or pw_now_ns()) > until or self.stopped:
                    break
        finally:
            self.batch = False
        self.schedule_again()
        if self.paused:
            self.loop.call_later(PAUSE_S, self.on_pause_over)
        return 0

    def on_pause_over(self):
        self.ticked_ms = 0
        self.tick()

    def on_timer(self):
        self.timer = None
        try:
            self.tick()
        except Exception as exc:
            self.fault(exc)
        if self.stopped:
            self.end()
        else:
            self.timer = self.loop.call_later(self.until_tick_s(), self.on_timer)

    cdef double until_tick_s(self) noexcept:
        """How long the timer sleeps: a deadline set meanwhile may be due before the first one of now."""
        cdef uint64_t due = self.next_tick_ms(), most = 100 if self.draining else TICK_MS
        return least(due - self.now_ms + 1 if due > self.now_ms else 1, most) / 1000.0

    cdef int continue_drain(self, uint64_t heard_ms) except -1:
        cdef uint64_t before = least(TOLD_MS, <uint64_t>(self.drain_wanted * 200))
        cdef bint all = self.now_ms + before >= self.drain_until_ms
        self.tell_streams(all)
        if all and not self.told_all:
            self.told_all = True
            # a tick that comes late, on a busy machine, must leave them time all the same
            self.drain_until_ms = max(self.drain_until_ms, self.now_ms + before // 2)
        return ASGIBase.continue_drain(self, heard_ms)

    cdef int tell_streams(self, bint all) except -1:
        """Tell applications that their server ends: streams of events, whose clients connect again, or all requests."""
        cdef Connection c
        cdef Exchange exchange
        # what is told may move and end connections
        for c in members(&self.active) + members(&self.bodies) + members(&self.writing):
            exchange = <Exchange>c.exchange
            if exchange is not None and (all or exchange.endless()):
                exchange.server_ends()
        return 0

    cdef int end(self) except -1:
        """Close everything, once."""
        if self.closed.done():
            return 0
        if self.timer is not None:
            self.timer.cancel()
        if not self.poller.portable:
            self.loop.remove_reader(self.poller.epoll)
        self.cut_all()
        if self.watchdog is not None:
            self.limited = False
            self.watchdog.stop()
            self.watchdog = None
        if self.access is not None:
            self.access.flush()
        if self.poller.portable:
            # the loop may go on without this engine
            while self.poller.table:
                self.poller.unwatch(self.poller.table[len(self.poller.table) - 1])
        for task in asyncio.all_tasks(self.loop):
            coroutine = task.get_coro()
            if type(coroutine) is Exchange and (<Exchange>coroutine).engine is self:
                task.cancel()
        self.closed.set_result(None)
        return 0

    # -- the portable path: the loop's own readers and writers, one shot at a time --------------------------------

    def watch_portable(self, Watched watched, uint32_t armed):
        if watched.fd < 0:
            return
        if armed == 0:
            self.loop.remove_reader(watched.fd)
            self.loop.remove_writer(watched.fd)
        if armed & READABLE:
            self.loop.add_reader(watched.fd, self.on_portable, watched, READABLE)
        if armed & WRITABLE:
            self.loop.add_writer(watched.fd, self.on_portable, watched, WRITABLE)

    def on_portable(self, Watched watched, uint32_t what):
        try:
            self.clock_ns = 0
            self.tick()
            if watched.fd >= 0:             # else the tick has just closed it, or passed it on
                self.serve_portable(watched, what)
        except Exception as exc:
            self.fault(exc)
        if self.stopped:
            self.end()

    cdef int serve_portable(self, Watched watched, uint32_t what) except -1:
        if watched.kind == KIND_CONNECTION:
            watched.armed &= ~what
            if what & READABLE:
                self.loop.remove_reader(watched.fd)
            else:
                self.loop.remove_writer(watched.fd)
        self.poller.ready[0].watched = <void*>watched
        self.poller.ready[0].what = what
        self.poller.next = 0
        self.poller.count = 1
        self.dispatch(self.strand)
        return self.schedule_again()

    # -- requests ------------------------------------------------------------------------------------------------

    cdef object template_for(self, Listener listener):
        return base_scope(self, listener)

    cdef int on_head(self, Connection c, Strand strand, const char* data) except -1:
        cdef Exchange exchange = Exchange.__new__(Exchange)
        exchange.engine = self
        exchange.connection = c
        exchange.declared = -1
        exchange.complete = c.body.kind == BODY_DONE
        exchange.scope = make_scope(self, c, strand, data, self.state)
        if self.tell_mount:
            exchange.scope["portway.mount"] = c.mount
        if self.id_name is not None:
            self.identify(c, exchange.scope["headers"])
        if strand.parser.head.framing.upgrade and self.upgraded is not None:
            self.offer_upgrade(exchange)
        c.exchange = exchange
        return 0

    cdef int offer_upgrade(self, Exchange exchange) except -1:
        """The client asks for another protocol: let the application that knows about such decide."""
        cdef Stream stream = Stream.__new__(Stream)
        stream.exchange = exchange
        exchange.upgrading = True
        exchange.scope["extensions"]["portway.upgrade"] = stream
        return 0

    cdef int identify(self, Connection c, list headers) except -1:
        """Give the request an id, and the application exactly one field with it."""
        given = [value for name, value in headers if name == self.id_name]
        c.request_id = request_id(<bytes>given[0] if len(given) == 1 else None)
        if given:
            headers[:] = [pair for pair in headers if pair[0] != self.id_name]
        headers.append((self.id_name, c.request_id))
        return 0

    cdef int on_begin(self, Connection c, Strand strand) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return 0
        # beside a WSGI engine the counter is that of both
        if self.limit_concurrency and (
            self.running >= <int64_t>self.limit_concurrency if self.follows
            else self.counters.in_flight > <int64_t>self.limit_concurrency
        ):
            exchange.gone = True
            return self.refuse(c, strand, 503, b"more requests at once than limit-concurrency")
        exchange.complete = c.body.kind == BODY_DONE
        if not exchange.complete:
            self.place(c)
        # asyncio holds on to its tasks weakly
        Py_INCREF(exchange)
        exchange.running = True
        self.running += 1
        if self.limited:
            link_move(&exchange.limit, &self.timed, pw_coarse_ms())
        try:
            return self.run(exchange)
        except BaseException:
            exchange.leave()                # it has no task that would
            raise

    cdef int run(self, Exchange exchange) except -1:
        """Make the request's Task and run its first step now, as part of the batch.

        From Python 3.12 on that is what `eager_start` does. Before, a Task asks its loop to call its first step
        soon; here the loop's own queue is passed over, and the step is called as the loop would have, in the task's
        context with no other task current. Where one is (a response completed inside another request's task has
        let a pipelined one begin), the loop's queue is right.
        """
        cdef FirstStep first = self.first_step
        if not self.batch:
            # inside another request's task: what that one put into its context is none of this one's business
            task = Task(exchange, context=self.context.copy(), **self.task_options)
            if exchange.running:
                exchange.task = task        # else it is over already, and this would be a cycle
            return 0
        self.batch = False
        try:
            if self.eager:
                task = PyObject_Call(Task, (exchange,), self.task_options)
                if exchange.running:
                    exchange.task = task
                return 0
            if not self.step_now:
                exchange.task = PyObject_Call(Task, (exchange,), self.task_options)
                return 0
            PyDict_SetItem(self.loop_names, CALL_SOON, self.stand_in)
            try:
                task = PyObject_Call(Task, (exchange,), self.task_options)
            finally:
                PyDict_DelItem(self.loop_names, CALL_SOON)
            step, context = first.step, first.context
            first.step = first.context = None
            exchange.task = task
            if step is None:
                return 0
            PyContext_Enter(context)
            try:
                step()
            finally:
                PyContext_Exit(context)
        finally:
            self.batch = True
        return 0

    cdef int on_piece(self, Connection c, const char* data, size_t size) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return 0
        return exchange.take(PyBytes_FromStringAndSize(data, size))

    cdef int on_end(self, Connection c, Strand strand) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return 0
        exchange.input_over()
        return self.place(c)

    cdef int on_broken(self, Connection c, Strand strand, int status, const char* why) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return self.refuse(c, strand, status, why)
        exchange.disconnect()
        if why == NULL:
            # the client will send no more than it has; it may still read the answers
            if c.broken:
                return self.close_connection(c)
            return 0
        exchange.gone = True
        if c.started or c.broken:
            self.tell(status, why, c)
            return self.close_connection(c)
        return self.refuse(c, strand, status, why)

    cdef int on_flushed(self, Connection c) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is not None:
            if exchange.drainer is not None and not exchange.drainer.done():
                exchange.drainer.set_result(None)
            if exchange.sink is not None and exchange.upgraded:
                exchange.sink.flushed()
        return self.place(c)

    cdef int on_close(self, Connection c) except -1:
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return 0
        exchange.gone = True
        if not exchange.running:
            exchange.scope = None           # nobody will call the application; the offer in it is a cycle
        exchange.disconnect()
        if exchange.drainer is not None and not exchange.drainer.done():
            exchange.drainer.set_result(None)
        return 0

    cdef bint wants_body(self, Connection c):
        cdef Exchange exchange = <Exchange>c.exchange
        if exchange is None:
            return True
        return exchange.waiting < BODY_MOST and not c.expects and not exchange.held

    cdef int on_logged(self) except -1:
        if not self.log_waits:
            self.log_waits = True
            self.loop.call_later(0.1, self.write_log)
        return 0

    def write_log(self):
        self.log_waits = False
        self.write_access()

    cdef bint at_work(self):
        return self.running > 0

