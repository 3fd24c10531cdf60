# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.connection cimport Connection
from portway.engine.core cimport Engine
from portway.engine.watchdog cimport Watchdog


# What one thread of a worker is doing for which request. Changes under the GIL.
cdef class Call:
    cdef WSGIWatchdog watchdog
    cdef unsigned long ident    # of the thread
    cdef uint64_t number        # one more with every request
    cdef uint64_t since_ms      # when the application got it, 0 while the deadline does not count
    cdef int interruptions
    cdef uint64_t interrupted_ms
    cdef Connection connection
    cdef object exchange
    cdef str request            # for the log, once it is overdue
    cdef dict environ

    cdef int enter(self, Connection c, object exchange, dict environ) except -1
    cdef void pause(self) noexcept
    cdef void resume(self) noexcept
    cdef void leave(self) noexcept


cdef class WSGIWatchdog(Watchdog):
    cdef Engine engine
    cdef list calls

    cdef Call new_call(self)
    cdef uint64_t due(self, Call call) noexcept
    cdef int act(self, Call call, uint64_t now) except -1
    cdef int overdue(self, Call call, uint64_t now) except -1
