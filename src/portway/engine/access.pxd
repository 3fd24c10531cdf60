# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.reply cimport Buffer


cdef class AccessLog:
    cdef object target          # has `fd`
    cdef bint json
    cdef Buffer lines
    cdef uint64_t lost
    cdef long second
    cdef bytes stamp

    cdef int record(self, bytes head, object peer, int status, uint64_t size, uint64_t duration_ns) except -1
    cdef int flush(self) except -1
    cdef int text(self, bytes text) except -1
    cdef int as_combined(
        self, const char* data, size_t line, size_t total, bytes client, int status, uint64_t size, uint64_t took
    ) except -1
    cdef int as_json(
        self, const char* data, size_t line, size_t total, bytes client, int status, uint64_t size, uint64_t took
    ) except -1
    cdef bytes now(self)
    cdef int six_digits(self, uint64_t value) except -1
    cdef int field(self, const char* data, size_t line, size_t total, const char* name, size_t size) except -1
    cdef int escaped(self, const char* data, size_t size) except -1
    cdef size_t whole_lines(self, size_t at) noexcept
