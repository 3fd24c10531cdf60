# cython: language_level=3
from libc.stdint cimport uint8_t

from portway.engine.peers cimport Peers


cdef enum:
    NO_CLAIM = 0                # kinds of fields, also bits of Trust.honoured
    CLAIMS_FOR = 1
    CLAIMS_PROTO = 2
    CLAIMS_HOST = 4
    CLAIMS_PORT = 8
    CLAIMS_PREFIX = 16
    CLAIMS_ALL = 32             # Forwarded
    CLAIMS_OTHER = 64           # X-Forwarded-User and whatever else proxies invent
    CLAIMS_FORGED = 128         # X-Forwarded_For and such: would pass for another; never let through


# What a trusted peer says of a request that it passed on. Says nothing where a field is None.
cdef class Claim:
    cdef object client          # (host, port; 0 when it is not known)
    cdef str port_text
    cdef bint hidden            # there was a client, but nobody says who
    cdef str scheme             # "http" or "https"
    cdef bytes host             # the new value of Host
    cdef str name               # of the server, without brackets
    cdef int port               # of the server; -1
    cdef str prefix             # what the proxy took off the path
    cdef str trouble            # what could not be used, for the log


cdef class Trust:
    cdef Peers peers
    cdef int honoured           # kinds
    cdef int hops

    cdef bint lets_through(self, int kind) noexcept
    cdef Claim read(self, list fields, bytes host, str scheme)
    cdef int walk(self, Claim claim, const char* data, size_t size) except -1
    cdef int step(self, Claim claim, int depth, const char* node, size_t size) except -1
    cdef int elements(self, Claim claim, list lines, list found) except -1
    cdef int server(self, Claim claim, bytes host, bytes port, str scheme) except -1


cdef int claim_kind(bytes name) noexcept
cdef str claim_key(bytes name, int kind)
