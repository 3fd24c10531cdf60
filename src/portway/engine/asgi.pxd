# cython: language_level=3
from libc.stdint cimport uint32_t

from portway.engine.connection cimport Connection
from portway.engine.asgi_exchange cimport ASGIBase, Exchange
from portway.engine.poller cimport Watched
from portway.engine.watchdog cimport Watchdog


cdef class FirstStep:
    cdef object loop, step, context


cdef class ASGIEngine(ASGIBase):
    cdef dict state
    cdef object closed
    cdef object timer
    cdef dict task_options
    cdef object context         # the one that requests begin with
    cdef FirstStep first_step
    cdef object stand_in        # its call_soon
    cdef dict loop_names        # the loop's attributes
    cdef bint eager             # tasks run their first step when they are made
    cdef bint step_now          # they do not by themselves, but can be made to
    cdef bint batch             # events are being handled and no task is current
    cdef bint log_waits
    cdef bint told_all          # that the drain ends
    cdef Watchdog watchdog      # None without `timeout`

    cdef int run(self, Exchange exchange) except -1
    cdef int offer_upgrade(self, Exchange exchange) except -1
    cdef int identify(self, Connection c, list headers) except -1
    cdef int serve_batch(self) except -1
    cdef int serve_portable(self, Watched watched, uint32_t what) except -1
    cdef int end(self) except -1
    cdef int tell_streams(self, bint all) except -1
    cdef double until_tick_s(self) noexcept
    cdef int start_watchdog(self) except -1
