# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.base cimport INPUT_SIZE, Handover, Listener, Memo, SMALL, Strand
from portway.engine.connection cimport Connection
from portway.engine.forwarded cimport Claim
from portway.engine.head cimport HeadParser
from portway.engine.responding cimport Responder


cdef class Engine(Responder):
    cdef int dispatch(self, Strand strand) except -1
    cdef int handle_again(self, Strand strand) except -1
    cdef int advance(self, Connection c, Strand strand) except -1
    cdef void queued(self, uint64_t since_us) noexcept
    cdef int wake(self) except -1
    cdef bint noted(self, Connection c) noexcept
    cdef int read_head(self, Connection c, Strand strand) except -1
    cdef int no_input(self, Connection c, Strand strand, ssize_t got) except -1
    cdef int begin(self, Connection c, Strand strand, const char* data) except -2
    cdef int route(self, Connection c, Strand strand, const char* data) except -1
    cdef int answer(self, Connection c, Strand strand) except -1
    cdef void step_aside(self, Strand strand) noexcept
    cdef void step_back(self, Strand strand) noexcept
    cdef int enter(self, Connection c, Strand strand) except -1
    cdef int feed(self, Connection c, Strand strand, const char* data, size_t size, bint stashed) except -1
    cdef int read_body(self, Connection c, Strand strand) except -1
    cdef int no_record(self, Connection c) except -1
    cdef int refuse_handshake(self, Connection c, Strand strand) except -1
    cdef int send_elsewhere(self, Connection c, Strand strand, const char* data) except -1
    cdef int known_block(self, Connection c, HeadParser parser, const char* data, size_t size) except -2
    cdef Memo recall(self, Connection c, HeadParser parser, const char* data)
    cdef int remember(self, Connection c, HeadParser parser, const char* data, object template, Claim claim) except -1
    cdef bint heeds(self, Connection c, int kind, bytes name) except -1
    cdef Claim believe(self, list fields, bytes host, str scheme)
