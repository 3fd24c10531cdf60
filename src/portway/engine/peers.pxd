# cython: language_level=3
from libc.stdint cimport uint8_t


cdef enum:
    ADDRESS_SIZE = 16           # an IPv4 address is kept as the IPv6 address that maps it


cdef struct Network:
    uint8_t address[16]
    int bits


cdef class Peers:
    cdef Network* networks
    cdef int count
    cdef bint everybody
    cdef bint unix_sockets

    cdef bint named(self, const uint8_t* address) noexcept nogil
    cdef bint holds(self, int family, const uint8_t* where) noexcept nogil


cdef bint read_address(const char* text, size_t size, uint8_t* address) noexcept nogil
cdef object spell_address(const uint8_t* address)
