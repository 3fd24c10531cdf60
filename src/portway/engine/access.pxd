# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.reply cimport Buffer


# One part of a line: bytes that are always the same, then a field.
cdef struct Piece:
    const char* literal
    size_t literal_size
    int field
    const char* name            # of a request field, in lower case
    size_t name_size


# Where things are in a request head; all zero when there was none.
cdef struct Record:
    const char* head
    size_t size
    size_t line                 # the request line, without its end
    size_t target
    size_t target_size
    size_t path_size


cdef class AccessLog:
    cdef object target          # has `fd`
    cdef bint json
    cdef list pieces
    cdef Piece* codes
    cdef int count
    cdef bint some_excluded
    cdef frozenset exact
    cdef tuple prefixes
    cdef int pid
    cdef Buffer lines
    cdef uint64_t lost
    cdef int problem            # errno of the last write, 0 when it went well
    cdef bint told
    cdef long second
    cdef bytes stamp, clf_stamp

    cdef int record(
        self, bytes head, object peer, int status, uint64_t size, uint64_t duration_ns, bytes request_id
    ) except -1
    cdef bint is_excluded(self, Record* r)
    cdef int flush(self) except -1
    cdef str news(self)
    cdef int text(self, bytes text) except -1
    cdef int put_field(
        self, Piece* piece, Record* r, object peer, int status, uint64_t size, uint64_t took, bytes request_id
    ) except -1
    cdef int look_at_clock(self) except -1
    cdef int six_digits(self, uint64_t value) except -1
    cdef int header(self, Record* r, const char* name, size_t size) except -1
    cdef int escaped(self, const char* data, size_t size) except -1
    cdef size_t whole_lines(self, size_t at) noexcept
