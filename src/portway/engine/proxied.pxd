# cython: language_level=3
from libc.stdint cimport uint8_t


cdef enum:
    PROXY_V1 = 1                # the versions that are spoken, as bits
    PROXY_V2 = 2
    PROXY_MOST = 4096           # bytes of one header, its TLVs included

cdef enum:
    PROXY_LOCAL = 0             # the proxy speaks for itself: the connection's own address holds
    PROXY_NOBODY = 1            # for a client whose address it does not know
    PROXY_CLIENT = 2


cdef size_t proxy_wants(const uint8_t* data, size_t size, int versions, bint* line, const char** why) noexcept nogil
cdef int proxy_read(const uint8_t* data, size_t size, int* family, uint8_t* where, const char** why) noexcept nogil
