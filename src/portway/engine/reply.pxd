# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t


cdef struct Buffer:
    char* data
    size_t size
    size_t capacity


# What a response head said about itself, collected while it is written.
cdef struct Reply:
    int status
    int64_t content_length      # -1 where the application gave none
    uint8_t close               # the application asked for it
    uint8_t has_date
    uint8_t has_server
    const char* own             # a field that the engine writes itself, in lower case
    size_t own_size             # 0: none
    uint8_t has_hsts            # Strict-Transport-Security


cdef enum:
    END_NONE = 0                # no framing field: 1xx, 204, 304 or Content-Length already written
    END_LENGTH = 1              # write Content-Length
    END_CHUNKED = 2             # write Transfer-Encoding: chunked
    KEEP_DEFAULT = 0            # Connection: nothing
    KEEP_CLOSE = 1              # Connection: close
    KEEP_ALIVE = 2              # Connection: keep-alive, for HTTP/1.0


cdef int reserve(Buffer* out, size_t extra) except -1
cdef int put(Buffer* out, const char* data, size_t size) except -1
cdef int put_number(Buffer* out, int64_t value) except -1
cdef int put_chunk_size(Buffer* out, size_t size) except -1
cdef int reply_status_text(Buffer* out, Reply* reply, object status) except -1
cdef int reply_status_code(Buffer* out, Reply* reply, int status) except -1
cdef int reply_field_text(Buffer* out, Reply* reply, object name, object value) except -1
cdef int reply_field_bytes(Buffer* out, Reply* reply, object name, object value) except -1
cdef int reply_end(
    Buffer* out, Reply* reply, int framing, int64_t length, int connection, bint date, bint server
) except -1
cdef bint bodyless(int status) noexcept nogil
cdef bint silent(int status) noexcept nogil
cdef object reason(int status)
