# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.reply cimport Buffer


# One part of a line: bytes that are always the same, then a field.
cdef struct Piece:
    const char* literal         # with a block of padding behind it
    size_t size
    int field
    int header                  # which one, for a request field


# A request field that lines have.
cdef struct Header:
    const char* name            # in lower case
    size_t name_size
    const char* value           # in the request of the record, NULL when it has none
    size_t size


# What a line is about; where things are in the request head is all zero when there was none.
cdef struct Record:
    const char* head
    size_t size
    size_t line                 # the request line, without its end
    size_t target
    size_t target_size
    size_t path_size
    const char* client
    size_t client_size
    const char* id              # NULL when it has none
    size_t id_size
    int status
    uint64_t sent
    uint64_t took


# From behind the request line to the empty line.
cdef class Block:
    cdef bytes block
    cdef const char* data
    cdef size_t size
    cdef bytes line_end         # as the log has it, None as long as none was logged


cdef class AccessLog:
    cdef object target          # has `fd`
    cdef bint json
    cdef list literals, names
    cdef Piece* codes
    cdef int count
    cdef int end_from           # the first piece from which on all depends on the header block alone
    cdef Header* headers
    cdef int name_count
    cdef size_t room            # for a line, but for what is text in it
    cdef bint some_excluded
    cdef frozenset exact
    cdef tuple prefixes
    cdef int pid
    cdef Buffer lines
    cdef uint64_t lost
    cdef int problem            # errno of the last write, 0 when it went well
    cdef bint told
    cdef long second
    cdef bytes stamp, clf_stamp

    cdef int record(
        self, bytes head, Block block, object peer, int status, uint64_t size, uint64_t duration_ns, bytes request_id
    ) except -1
    cdef bint is_excluded(self, Record* r) except -1
    cdef void find_headers(self, Record* r) noexcept
    cdef int encode(self, Record* r, Block block) except -1
    cdef int look_at_clock(self) except -1
    cdef int flush(self) except -1
    cdef str news(self)
    cdef size_t whole_lines(self, size_t at) noexcept
