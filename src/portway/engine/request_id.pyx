# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True
"""Request ids: one that came with the request is passed on if it can do no harm, else one is made.

An id goes into the application's logs, a response field and other systems, so it is short and has no character that
means something to any of them.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

cdef enum:
    ID_MOST = 128
    ID_BYTES = 16
    POOL_BYTES = 4096

cdef bytes POOL = b""
cdef size_t USED = 0
cdef const char* HEX = b"0123456789abcdef"


cdef bint harmless(const char* data, Py_ssize_t size) noexcept nogil:
    """Letters, digits and a few marks that ids are made of, 1 to 128 of them."""
    cdef Py_ssize_t i
    cdef char c
    if size == 0 or size > ID_MOST:
        return False
    for i in range(size):
        c = data[i]
        if c"a" <= c <= c"z" or c"A" <= c <= c"Z" or c"0" <= c <= c"9":
            continue
        if c not in (c"-", c"_", c".", c"~", c":", c"/", c"+", c"=", c"@"):
            return False
    return True


cdef bytes made():
    """128 random bits in hex. The pool is filled by the first request, so after the fork, and is no other process's."""
    global POOL, USED
    cdef const unsigned char* data
    cdef char text[2 * ID_BYTES]
    cdef int i
    if USED + ID_BYTES > <size_t>PyBytes_GET_SIZE(POOL):
        POOL, USED = os.urandom(POOL_BYTES), 0
    data = <const unsigned char*>PyBytes_AS_STRING(POOL) + USED
    USED += ID_BYTES
    for i in range(ID_BYTES):
        text[2 * i] = HEX[data[i] >> 4]
        text[2 * i + 1] = HEX[data[i] & 15]
    return PyBytes_FromStringAndSize(text, 2 * ID_BYTES)


cdef bytes request_id(bytes given):
    """The id that came with a request, if it is harmless, else a new one."""
    if given is not None and harmless(PyBytes_AS_STRING(given), PyBytes_GET_SIZE(given)):
        return given
    return made()
