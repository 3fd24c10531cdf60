# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef enum:
    BODY_DONE = 0        # nothing (more) to read
    BODY_LENGTH = 1
    BODY_CHUNKED = 2
    BODY_BROKEN = 3
    BODY_RAW = 4         # no request's: whatever comes until the peer ends, after a change of protocol


# One request body being read. 64 bytes, part of every connection.
cdef struct Body:
    uint8_t kind
    uint8_t state
    uint8_t digits
    uint8_t name_size
    uint16_t status             # the refusal, when kind is BODY_BROKEN
    uint32_t overhead           # bytes of chunk extensions and trailers so far
    uint64_t remaining          # of the body (length) or of the chunk
    uint64_t total              # body bytes delivered so far
    uint64_t limit              # most body bytes, 0 for no limit
    const char* why
    char name[20]               # of the trailer field being read, lower case


cdef void body_none(Body* body) noexcept nogil
cdef void body_length(Body* body, uint64_t size) noexcept nogil
cdef void body_chunked(Body* body, uint64_t limit) noexcept nogil
cdef size_t body_feed(
    Body* body, const char* data, size_t size, const char** piece, size_t* piece_size
) noexcept nogil
