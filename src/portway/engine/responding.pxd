# cython: language_level=3
from libc.stdint cimport int64_t

from portway.engine.accept cimport Acceptor
from portway.engine.base cimport Strand
from portway.engine.connection cimport Connection
from portway.engine.reply cimport Buffer, Reply


cdef class Responder(Acceptor):
    cdef int end_head(self, Connection c, Buffer* out, Reply* reply, int64_t length) except -1
    cdef int put_id(self, Connection c, Buffer* out) except -1
    cdef int own_field(self, Reply* reply) except -1
    cdef int refuse(self, Connection c, Strand strand, int status, const char* why) except -1
    cdef int answer_and_close(self, Connection c, Strand strand, int status, bytes fields, bytes text) except -1
    cdef int after_response(self, Connection c) except -1
    cdef int between(self, Connection c) except -1
    cdef int discard(self, Connection c, Strand strand) except -1
    cdef int linger(self, Connection c, Strand strand) except -1
    cdef int start_linger(self, Connection c) except -1
    cdef int end_output(self, Connection c) except -2
