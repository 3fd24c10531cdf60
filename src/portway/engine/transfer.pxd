# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t

from portway.engine.base cimport Base
from portway.engine.connection cimport Connection


cdef class Transferor(Base):
    cdef Transferor sibling     # the other engine of this process, None when there is one only
    cdef bint follows           # the other one accepts, and says when all is over
    cdef bint reap_wanted       # the other one has no room for one more connection
    cdef list arrivals          # connections that the other engine has given up for this one
    cdef uint8_t home           # see Connection

    cdef bint nothing_open(self)
    cdef int reap_one(self) except -1
    cdef int depart(self, Connection c) except -1
    cdef int take_arrivals(self) except -1
    cdef int ask_to_reap(self) except -1
