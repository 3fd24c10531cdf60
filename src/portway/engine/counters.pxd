# cython: language_level=3
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef enum:
    BUCKETS = 128               # four for each power of two of a microsecond, up to 2^33 us
    CODES = 600                 # statuses, each by itself; 0 where none was sent
    SLOW_KEPT = 16
    SLOW_TEXT = 160


cdef struct Histogram:
    uint64_t total_ns
    uint64_t buckets[BUCKETS]


# A request that took long. `stamp` is zero while it is written, then counts from 1.
cdef struct Slow:
    uint64_t stamp
    int64_t at_s                # CLOCK_REALTIME, at its end
    uint64_t took_us
    int32_t status
    uint32_t size               # of text
    char text[SLOW_TEXT]        # method and path, not the query, which may hold secrets


# One worker's line in the shared board. Written by that worker alone, but for `connections`
# (whoever hands a connection over adds to it) and `state`, `pid`, `generation` (the arbiter, before and after).
cdef struct Counters:
    int64_t state
    int64_t pid
    int64_t generation
    int64_t interface
    int64_t knows               # the listeners with smaller numbers; another number means other listeners
    uint64_t beat_ns
    uint64_t looks_ms           # when the watchdog looks next, CLOCK_MONOTONIC; 0 without one
    int64_t connections
    int64_t idle
    int64_t in_flight
    int64_t requests
    int64_t accepted
    int64_t handed_over
    int64_t received
    int64_t bytes_in
    int64_t bytes_out
    Histogram latency           # from a complete head to a complete response
    Histogram queued            # from X-Request-Start to a complete head
    uint64_t slow_count
    int64_t codes[CODES]
    Slow slow[SLOW_KEPT]


cdef class Board


cdef class Slot:
    cdef Counters* counters
    cdef readonly int index
    cdef Board board

    cdef int64_t class_of(self, int first)


cdef class Board:
    cdef object memory
    cdef Counters* base
    cdef readonly int slots
    cdef int least_loaded(self, int me, int listener) noexcept nogil
    cdef int successor(self, int me, int listener, bint beside) noexcept nogil
    cdef int ready_from(self, int first, int me, int listener) noexcept nogil
    cdef bint relieved(self, int me) noexcept nogil
    cdef void retire(self, Counters* line) noexcept


cdef void add(int64_t* counter, int64_t amount) noexcept nogil
cdef void observe(Histogram* histogram, uint64_t ns) noexcept nogil
cdef void note_slow(Counters* counters, bytes text, int status, uint64_t took_ns) noexcept
