# cython: language_level=3
from libc.stdint cimport int64_t

cdef enum:
    DATE_SIZE = 29              # of an IMF-fixdate


cdef void write_date(char* out, int64_t seconds) noexcept nogil
cdef bint parse_date(const char* text, size_t size, int64_t now, int64_t* seconds) noexcept nogil
