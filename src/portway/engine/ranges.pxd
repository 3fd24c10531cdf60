# cython: language_level=3
from libc.stdint cimport uint64_t

cdef enum:
    RANGES_MOST = 16
    RANGES_IGNORED = 0          # send the whole file
    RANGES_OUTSIDE = -1         # 416


cdef struct Range:
    uint64_t first, last        # both are part of it


cdef int parse_ranges(const char* value, size_t size, uint64_t length, Range* ranges) noexcept nogil
