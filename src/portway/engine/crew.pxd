# cython: language_level=3
from libc.stdint cimport uint32_t, uint64_t


cdef enum:
    SLOTS = 256


cdef extern from "pythread.h" nogil:
    ctypedef void* PyThread_type_lock


cdef class Crew:
    cdef readonly int threads
    cdef int leader             # the thread that waits for events, -1 between two
    cdef int watcher            # the follower that watches the leader, -1 for none
    cdef int resting            # followers asleep
    cdef int* rest              # their numbers, the last to lie down on top
    cdef PyThread_type_lock* locks
    # read by the watcher without the GIL
    cdef uint64_t call_since_ns # when the leader entered the application, 0 when it is not in it
    cdef uint64_t calls
    cdef uint64_t parked        # the watcher sleeps until it is woken
    cdef int stopped
    # how long calls took, by method and path; zero until one was slow
    cdef uint32_t slow_us[SLOTS]

    cdef uint64_t enter_call(self, int me, uint32_t place, uint64_t now) noexcept
    cdef void leave_call(self, int me, uint32_t place, uint64_t began_ns, uint64_t now) noexcept
    cdef bint lead(self, int me) noexcept
    cdef void follow(self, int me) noexcept
    cdef void hand_on(self) noexcept
    cdef void appoint(self) noexcept
    cdef bint leave_rest(self, int who) noexcept
    cdef bint at_rest(self, int who) noexcept
    cdef void stop(self) noexcept
    cdef int watch(self, int me) noexcept nogil
