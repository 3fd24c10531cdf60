# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t


cdef enum:
    FORM_ORIGIN = 0
    FORM_ABSOLUTE = 1
    FORM_ASTERISK = 2


cdef struct Field:
    uint32_t name_at
    uint32_t name_size
    uint32_t value_at
    uint32_t value_size


# What the header block alone decides. It may be memoised with the block's bytes.
cdef struct Framing:
    int64_t content_length      # -1 where there is none
    uint8_t chunked
    uint8_t close
    uint8_t keep_alive
    uint8_t upgrade
    uint8_t expect_continue
    uint8_t te_trailers
    uint64_t request_start_us   # when a proxy in front had the request (X-Request-Start), 0 if nobody says


# Offsets count from the first byte of the request line.
cdef struct Head:
    uint32_t method_size
    uint32_t target_at
    uint32_t target_size
    uint32_t path_at
    uint32_t path_size
    uint32_t query_at
    uint32_t query_size
    uint32_t authority_at       # absolute-form only
    uint32_t authority_size
    uint32_t secure             # absolute-form with the https scheme
    uint32_t block_at           # first byte of the header block
    uint32_t size               # the whole head with its empty line
    uint32_t count              # field lines
    uint8_t form
    uint8_t minor               # HTTP/1.minor
    Framing framing
    int status                  # the refusal, when a function returned -1
    const char* why


cdef class HeadParser:
    cdef Head head
    cdef Field* fields
    cdef bint matched           # the block was recognised from a memo: `fields` say nothing
    cdef uint32_t limit_line, limit_field, limit_block, limit_count

    cdef int refuse(self, int status, const char* why) noexcept nogil
    cdef int target(self, const char* data) noexcept nogil
    cdef int partial(self, size_t start, size_t at, size_t most) noexcept nogil
    cdef int known_field(self, const char* data, Field* field, uint32_t* seen) noexcept nogil
    cdef void connection_field(self, const char* value, size_t size) noexcept nogil
    cdef int request_line(self, const char* data, size_t size) noexcept nogil
    cdef int header_block(self, const char* data, size_t size) noexcept nogil


cdef bint is_token(const char* data, size_t size) noexcept nogil
cdef bint is_field_value(const char* data, size_t size) noexcept nogil
cdef bint is_host(const char* data, size_t size) noexcept nogil
cdef bint same_name(const char* data, const char* lower, size_t size) noexcept nogil
cdef uint64_t request_start(const char* data, size_t size) noexcept nogil
cdef int64_t decimal(const char* data, size_t size) noexcept nogil
cdef const uint8_t* char_classes() noexcept nogil


cdef inline bint is_space(char c) noexcept nogil:
    return c == c" " or c == c"\t"


cdef inline int hex_value(char c) noexcept nogil:
    """What a hexadecimal digit is worth."""
    return c - c"0" if c <= c"9" else (c | 32) - c"a" + 10
