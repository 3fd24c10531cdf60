# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.crew cimport PyThread_type_lock


cdef enum:
    INTERRUPTIONS = 2           # how often a thread or task is interrupted before it counts as stuck


# What became of a request over its deadline, for the log.
cdef str ANSWERED, NOBODY_THERE


# The thread that notices requests over their deadline.
cdef class Watchdog:
    cdef PyThread_type_lock lock
    cdef bint stopped
    cdef object thread
    cdef uint64_t timeout_ms
    cdef uint64_t patience_ms   # between two interruptions, and from the last one to being stuck
    cdef object report, on_stuck
    cdef int nudge              # signal to the main thread, 0: none
    cdef unsigned long main_thread
    cdef uint64_t* looks_ms     # when it looks next, for the arbiter: that it does not is all it can know of the GIL

    cdef int start(self) except -1
    cdef int stop(self) except -1
    cdef uint64_t look(self, uint64_t now) except? 0
    cdef int interrupt(self, unsigned long ident) except -1
    cdef int withdraw(self, unsigned long ident) noexcept
    cdef str stack(self, object subject)
    cdef int tell(self, str request, uint64_t took_ms, str outcome, str stack) except -1
    cdef int give_up(self, str request, uint64_t took_ms) except -1


cdef unsigned long this_thread() noexcept
