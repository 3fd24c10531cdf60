# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.asgi_exchange cimport ASGIBase, Exchange
from portway.engine.watchdog cimport Watchdog


cdef class ASGIWatchdog(Watchdog):
    cdef ASGIBase engine
    cdef unsigned long ident    # of the event loop's thread
    cdef uint64_t asked_ms      # when the loop was asked to look, 0 once it has
    cdef uint64_t tried_ms      # the last interruption of a step
    cdef int interruptions      # of the step that blocks the loop
    cdef uint64_t step          # its number

    cdef uint64_t due(self) noexcept
    cdef int unblock(self, uint64_t now) except -1
    cdef int overdue(self, Exchange exchange, uint64_t now) except -1
    cdef int persist(self, Exchange exchange, uint64_t now) except -1
    cdef str request(self, Exchange exchange)
