# cython: language_level=3
from libc.stdint cimport int64_t, uint64_t


cdef enum:
    BUCKETS = 24


# One worker's line in the shared board. Written by that worker alone, but for `connections`
# (whoever hands a connection over adds to it) and `state`, `pid`, `generation` (the arbiter, before and after).
cdef struct Counters:
    int64_t state
    int64_t pid
    int64_t generation
    int64_t interface
    uint64_t beat_ns
    int64_t connections
    int64_t idle
    int64_t in_flight
    int64_t requests
    int64_t accepted
    int64_t handed_over
    int64_t received
    int64_t bytes_in
    int64_t bytes_out
    int64_t statuses[6]
    int64_t spare[11]


cdef class Slot:
    cdef Counters* counters
    cdef readonly int index
    cdef object board


cdef class Board:
    cdef object memory
    cdef Counters* base
    cdef readonly int slots
    cdef int least_loaded(self, int me) noexcept nogil
    cdef int successor(self, int me) noexcept nogil


cdef void add(int64_t* counter, int64_t amount) noexcept nogil
