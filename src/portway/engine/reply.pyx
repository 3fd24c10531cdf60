# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Response heads: checked and written in one pass (RFC 9112 section 4, RFC 9110 section 5).

A name that is not a token, or a value with a control character, is an error before a byte leaves: CR and LF in a
value would let the application's input write another response. Connection and framing belong to the engine: an
application's Transfer-Encoding, Keep-Alive, Proxy-Connection and Upgrade fields are dropped, and of Connection
only `close` is heard.
"""

from http import HTTPStatus

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Realloc
from cpython.unicode cimport PyUnicode_GET_LENGTH
from libc.string cimport memcpy

from portway.engine.cposix cimport time, time_t
from portway.engine.dates cimport DATE_SIZE, write_date
from portway.engine.head cimport decimal, is_field_value, is_token, same_name

from portway.engine.errors import BadResponse

cdef extern from "Python.h":
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    int PyUnicode_1BYTE_KIND

cdef bytes SERVER = b"Server: portway\r\n"
cdef dict STATUS_LINES = {}
cdef dict REASONS = {}
for _status in HTTPStatus:
    REASONS[_status.value] = _status.phrase
# The names of RFC 9110; older Pythons have those of RFC 2616.
REASONS.update({413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"})
for _code, _phrase in REASONS.items():
    STATUS_LINES[_code] = f"HTTP/1.1 {_code} {_phrase}\r\n".encode()

cdef char DATE_LINE[DATE_SIZE + 8]  # "Date: " before it, a line end behind
cdef time_t DATE_OF = 0


cdef object reason(int status):
    return REASONS.get(status, "Unknown")


cdef bint bodyless(int status) noexcept nogil:
    return status < 200 or status == 204 or status == 304


cdef bint silent(int status) noexcept nogil:
    """Whether a response of that status carries no content, whatever the application sends."""
    return bodyless(status) or status == 205


cdef int reserve(Buffer* out, size_t extra) except -1:
    """Make room for `extra` more bytes; the buffer only ever grows, its owner frees it."""
    cdef size_t wanted = out.size + extra
    cdef char* data
    if wanted <= out.capacity:
        return 0
    wanted = wanted * 2
    data = <char*>PyMem_Realloc(out.data, wanted)
    if data == NULL:
        raise MemoryError()
    out.data = data
    out.capacity = wanted
    return 0


cdef int put(Buffer* out, const char* data, size_t size) except -1:
    if out.size + size > out.capacity:
        reserve(out, size)
    memcpy(out.data + out.size, data, size)
    out.size += size
    return 0


cdef int put_number(Buffer* out, int64_t value) except -1:
    cdef char digits[24]
    cdef int at = 24
    if value == 0:
        return put(out, b"0", 1)
    while value:
        at -= 1
        digits[at] = c"0" + value % 10
        value //= 10
    return put(out, digits + at, 24 - at)


cdef int put_chunk_size(Buffer* out, size_t size) except -1:
    cdef char digits[20]
    cdef int at = 18
    digits[18] = c"\r"
    digits[19] = c"\n"
    while size:
        at -= 1
        digits[at] = b"0123456789abcdef"[size & 15]
        size >>= 4
    return put(out, digits + at, 20 - at)


cdef int put_date(Buffer* out) except -1:
    """Date of RFC 9110 section 6.6.1, formatted once a second."""
    global DATE_OF
    cdef time_t now = time(NULL)
    if now != DATE_OF:
        memcpy(DATE_LINE, b"Date: ", 6)
        write_date(DATE_LINE + 6, now)
        memcpy(DATE_LINE + 6 + DATE_SIZE, b"\r\n", 2)
        DATE_OF = now
    return put(out, DATE_LINE, sizeof(DATE_LINE))


cdef int begin(Reply* reply, int status) except -1:
    if status < 200 or status > 999:
        raise BadResponse(f"response status must be 200 to 999, not {status}")
    reply.status = status
    reply.content_length = -1
    reply.close = reply.has_date = reply.has_server = reply.has_hsts = 0
    reply.own_size = 0
    return 0


cdef int reply_status_text(Buffer* out, Reply* reply, object status) except -1:
    """Write the status line of a WSGI status such as "200 OK"."""
    cdef const char* text
    cdef Py_ssize_t size
    if type(status) is not str or PyUnicode_KIND(status) != PyUnicode_1BYTE_KIND:
        raise BadResponse(f"WSGI status must be a latin-1 str, not {status!r:.80}")
    text = <const char*>PyUnicode_DATA(status)
    size = PyUnicode_GET_LENGTH(status)
    if size < 3 or decimal(text, 3) < 0 or (size > 3 and text[3] != c" ") or not is_field_value(text, size):
        raise BadResponse(f"malformed WSGI status {status!r:.80}")
    begin(reply, decimal(text, 3))
    reserve(out, size + 12)
    put(out, b"HTTP/1.1 ", 9)
    put(out, text, size)
    if size == 3:
        put(out, b" ", 1)
    return put(out, b"\r\n", 2)


cdef int reply_status_code(Buffer* out, Reply* reply, int status) except -1:
    """Write the status line for a number, with the reason that RFC 9110 gives it."""
    cdef bytes line
    begin(reply, status)
    line = STATUS_LINES.get(status)
    if line is None:
        line = f"HTTP/1.1 {status} \r\n".encode()
    return put(out, line, len(line))


cdef bint says_close(const char* value, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        if size - i >= 5 and same_name(value + i, b"close", 5):
            return True
    return False


cdef int field(
    Buffer* out, Reply* reply, const char* name, size_t name_size, const char* value, size_t value_size
) except -1:
    """Check one field and write it, unless it is the engine's own to write."""
    cdef int64_t length
    cdef char first = name[0] | 32 if name_size else 0
    if not is_token(name, name_size):
        raise BadResponse(f"malformed response field name {name[:name_size]!r:.80}")
    if not is_field_value(value, value_size):
        raise BadResponse(f"control character in response field {name[:name_size].decode()}")
    if reply.own_size and name_size == reply.own_size and same_name(name, reply.own, name_size):
        return 0
    if first == c"c":
        if name_size == 14 and same_name(name, b"content-length", 14):
            length = decimal(value, value_size)
            if length < 0 or (reply.content_length >= 0 and reply.content_length != length):
                raise BadResponse(f"malformed or contradictory Content-Length {value[:value_size]!r:.80}")
            if reply.content_length >= 0 or silent(reply.status) and reply.status != 304:
                return 0
            reply.content_length = length
        elif name_size == 10 and same_name(name, b"connection", 10):
            reply.close |= says_close(value, value_size)
            return 0
    elif first == c"d":
        reply.has_date |= name_size == 4 and same_name(name, b"date", 4)
    elif first == c"s":
        reply.has_server |= name_size == 6 and same_name(name, b"server", 6)
        reply.has_hsts |= name_size == 25 and same_name(name, b"strict-transport-security", 25)
    elif first == c"t":
        if name_size == 17 and same_name(name, b"transfer-encoding", 17):
            return 0
    elif first == c"k":
        if name_size == 10 and same_name(name, b"keep-alive", 10):
            return 0
    elif first == c"p":
        if name_size == 16 and same_name(name, b"proxy-connection", 16):
            return 0
    elif first == c"u":
        if name_size == 7 and same_name(name, b"upgrade", 7):
            return 0
    reserve(out, name_size + value_size + 4)
    memcpy(out.data + out.size, name, name_size)
    out.size += name_size
    out.data[out.size] = c":"
    out.data[out.size + 1] = c" "
    out.size += 2
    memcpy(out.data + out.size, value, value_size)
    out.size += value_size
    out.data[out.size] = c"\r"
    out.data[out.size + 1] = c"\n"
    out.size += 2
    return 0


cdef int reply_field_text(Buffer* out, Reply* reply, object name, object value) except -1:
    """Write one WSGI field; both are str that latin-1 can hold (PEP 3333)."""
    if type(name) is not str or type(value) is not str:
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadResponse(f"WSGI response fields are pairs of str, not {name!r:.40}: {value!r:.40}")
    if PyUnicode_KIND(name) != PyUnicode_1BYTE_KIND or PyUnicode_KIND(value) != PyUnicode_1BYTE_KIND:
        raise BadResponse(f"response field {name!r:.80} has characters outside latin-1")
    return field(
        out, reply,
        <const char*>PyUnicode_DATA(name), PyUnicode_GET_LENGTH(name),
        <const char*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value),
    )


cdef int reply_field_bytes(Buffer* out, Reply* reply, object name, object value) except -1:
    """Write one ASGI field; both are bytes."""
    if type(name) is not bytes or type(value) is not bytes:
        if not isinstance(name, (bytes, bytearray, memoryview)) or not isinstance(value, (bytes, bytearray, memoryview)):
            raise BadResponse(f"ASGI response fields are pairs of bytes, not {name!r:.40}: {value!r:.40}")
        name, value = bytes(name), bytes(value)
    return field(
        out, reply,
        PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value),
    )


cdef int reply_end(
    Buffer* out, Reply* reply, int framing, int64_t length, int connection, bint date, bint server
) except -1:
    """Write what the engine adds, and the empty line."""
    if date and not reply.has_date:
        put_date(out)
    if server and not reply.has_server:
        put(out, PyBytes_AS_STRING(SERVER), PyBytes_GET_SIZE(SERVER))
    if framing == END_LENGTH:
        put(out, b"Content-Length: ", 16)
        put_number(out, length)
        put(out, b"\r\n", 2)
    elif framing == END_CHUNKED:
        put(out, b"Transfer-Encoding: chunked\r\n", 28)
    if connection == KEEP_CLOSE:
        put(out, b"Connection: close\r\n", 19)
    elif connection == KEEP_ALIVE:
        put(out, b"Connection: keep-alive\r\n", 24)
    return put(out, b"\r\n", 2)
