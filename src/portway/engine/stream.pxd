# cython: language_level=3
from portway.engine.asgi_exchange cimport Exchange


# What `portway.upgrade` in a scope's extensions is: the connection as bytes, once its protocol has changed.
cdef class Stream:
    cdef Exchange exchange

    cdef int answer(self, list headers) except -1
    cdef int begin(self) except -1
