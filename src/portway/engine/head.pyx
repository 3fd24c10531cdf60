# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The request head of HTTP/1.x: the one place that parses it (RFC 9112 sections 2 to 6, RFC 9110 section 5).

Strict, because every leniency has been somebody's request smuggling:
- lines end in CR LF, a bare CR or LF is refused; no folded lines; no space before a colon;
- exactly one valid Host in HTTP/1.1; Host, Content-Length, Transfer-Encoding and Content-Type never twice;
- Content-Length is decimal digits and nothing else; Transfer-Encoding is "chunked" and nothing else, never beside
  Content-Length and never in HTTP/1.0.

No byte is looked at twice for the same reason, and nothing here holds a Python object: a head is offsets into
the caller's bytes, valid as long as those stand still.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp

from portway.engine.errors import Refused


cdef enum:
    TOKEN = 1          # RFC 9110 section 5.6.2 tchar
    VALUE = 2          # field-vchar, SP, HTAB and obs-text
    TARGET = 4         # visible ASCII but "#": a fragment is never sent (RFC 9112 section 3.2)
    DIGIT = 8
    HEX = 16
    REGNAME = 32       # RFC 3986 reg-name without "%"

cdef uint8_t CLASSES[256]


cdef void fill_classes() noexcept:
    cdef int c
    for c in range(256):
        CLASSES[c] = 0
        if c == 9 or (32 <= c and c != 127):
            CLASSES[c] |= VALUE
        if 33 <= c <= 126 and c != 35:
            CLASSES[c] |= TARGET
    for c in b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        CLASSES[c] |= TOKEN
    for c in b"-._~!$&'()*+,;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        CLASSES[c] |= REGNAME
    for c in b"0123456789":
        CLASSES[c] |= DIGIT | HEX
    for c in b"abcdefABCDEF":
        CLASSES[c] |= HEX


fill_classes()


cdef const uint8_t* char_classes() noexcept nogil:
    return CLASSES


cdef bint is_token(const char* data, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        if not CLASSES[<uint8_t>data[i]] & TOKEN:
            return False
    return size > 0


cdef bint is_field_value(const char* data, size_t size) noexcept nogil:
    cdef size_t i
    for i in range(size):
        if not CLASSES[<uint8_t>data[i]] & VALUE:
            return False
    return True


cdef bint same_name(const char* data, const char* lower, size_t size) noexcept nogil:
    """Compare without case; `lower` must be lower case and hold only characters for which | 32 is exact."""
    cdef size_t i
    for i in range(size):
        if lower[i] == c"-":
            if data[i] != c"-":
                return False
        elif (data[i] | 32) != lower[i]:
            return False
    return True


cdef int64_t decimal(const char* data, size_t size) noexcept nogil:
    """Digits and nothing else: -1 for anything that int() would be lenient about, and past 18 digits."""
    cdef int64_t value = 0
    cdef size_t i
    if size == 0 or size > 18:
        return -1
    for i in range(size):
        if not CLASSES[<uint8_t>data[i]] & DIGIT:
            return -1
        value = value * 10 + (data[i] - c"0")
    return value


cdef uint64_t request_start(const char* data, size_t size) noexcept nogil:
    """Microseconds since 1970 of an X-Request-Start, 0 when it is none.

    Proxies write seconds, milliseconds or microseconds, with or without "t=", and seconds with a fraction; which of
    them it is shows in the number of digits.
    """
    cdef size_t i, whole = 0
    cdef uint64_t value
    cdef uint64_t unit = 0
    if size > 2 and data[0] == c"t" and data[1] == c"=":
        data += 2
        size -= 2
    while whole < size and CLASSES[<uint8_t>data[whole]] & DIGIT:
        whole += 1
    if whole == 10:
        unit = 1000000
    elif whole == 13:
        unit = 1000
    elif whole == 16:
        unit = 1
    else:
        return 0
    value = <uint64_t>decimal(data, whole) * unit
    if whole == size:
        return value
    if data[whole] != c".":
        return 0
    for i in range(whole + 1, size):
        if not CLASSES[<uint8_t>data[i]] & DIGIT:
            return 0
        unit //= 10
        value += unit * <uint64_t>(data[i] - c"0")
    return value


cdef bint is_port(const char* data, size_t size) noexcept nogil:
    return size == 0 or (size <= 5 and 0 <= decimal(data, size) <= 65535)


cdef bint is_host(const char* data, size_t size) noexcept nogil:
    """uri-host [":" port] of RFC 9110 section 7.2: no userinfo, no path, not empty."""
    cdef size_t i = 0, colons = 0
    if size == 0:
        return False
    if data[0] == c"[":
        i = 1
        while i < size and (CLASSES[<uint8_t>data[i]] & HEX or data[i] == c":" or data[i] == c"."):
            colons += data[i] == c":"
            i += 1
        if i >= size or data[i] != c"]" or colons < 2:
            return False
        i += 1
    else:
        while i < size and data[i] != c":":
            if data[i] == c"%":
                if i + 2 >= size or not (CLASSES[<uint8_t>data[i + 1]] & CLASSES[<uint8_t>data[i + 2]] & HEX):
                    return False
                i += 2
            elif not CLASSES[<uint8_t>data[i]] & REGNAME:
                return False
            i += 1
        if i == 0:
            return False
    if i == size:
        return True
    return data[i] == c":" and is_port(data + i + 1, size - i - 1)


cdef class HeadParser:
    """Parses one head at a time into `head` and `fields`; one for each thread.

    Args:
        request_line: most bytes of the request line, without its CR LF (else 414).
        field: most bytes of one field line (else 431).
        block: most bytes of the header block (else 431).
        count: most field lines (else 431).
    """

    def __cinit__(self, uint32_t request_line=8190, uint32_t field=8190, uint32_t block=65536, uint32_t count=100):
        self.limit_line = request_line
        self.limit_field = field
        self.limit_block = block
        self.limit_count = count
        self.fields = <Field*>calloc(count + 1, sizeof(Field))
        if self.fields == NULL:
            raise MemoryError()

    def __dealloc__(self):
        free(self.fields)

    cdef int refuse(self, int status, const char* why) noexcept nogil:
        self.head.status = status
        self.head.why = why
        return -1

    cdef int request_line(self, const char* data, size_t size) noexcept nogil:
        """Return the bytes of the request line with its CR LF, 0 when more are needed, -1 when refused."""
        cdef Head* head = &self.head
        cdef size_t line, i = 0, most = <size_t>self.limit_line + 2
        # nothing past the limit is looked at, so that the answer does not depend on how the bytes were cut
        cdef const char* end = <const char*>memchr(data, c"\n", size if size < most else most)
        if end == NULL:
            return self.refuse(414, b"request line over limit-request-line") if size >= most else 0
        line = end - data
        if line == 0 or data[line - 1] != c"\r":
            return self.refuse(400, b"request line does not end in CR LF")
        line -= 1
        while i < line and CLASSES[<uint8_t>data[i]] & TOKEN:
            i += 1
        if i == 0 or i >= line or data[i] != c" ":
            return self.refuse(400, b"malformed method")
        head.method_size = i
        head.target_at = i + 1
        i += 1
        while i < line and CLASSES[<uint8_t>data[i]] & TARGET:
            i += 1
        head.target_size = i - head.target_at
        if head.target_size == 0 or i >= line or data[i] != c" ":
            return self.refuse(400, b"malformed request target")
        i += 1
        if line - i != 8 or memcmp(data + i, b"HTTP/", 5) != 0 or data[i + 6] != c"." or not (
            CLASSES[<uint8_t>data[i + 5]] & CLASSES[<uint8_t>data[i + 7]] & DIGIT
        ):
            return self.refuse(400, b"malformed HTTP version")
        if data[i + 5] != c"1" or data[i + 7] > c"1":
            return self.refuse(505, b"HTTP version is neither 1.0 nor 1.1")
        head.minor = data[i + 7] - c"0"
        head.block_at = line + 2
        if self.target(data) < 0:
            return -1
        return line + 2

    cdef int target(self, const char* data) noexcept nogil:
        """Tell the four forms of RFC 9112 section 3.2 apart and cut the target into path and query."""
        cdef Head* head = &self.head
        cdef const char* target = data + head.target_at
        cdef uint32_t size = head.target_size, skip = 0
        cdef const char* mark
        head.authority_size = 0
        head.secure = 0
        head.form = FORM_ORIGIN
        if head.method_size == 7 and memcmp(data, b"CONNECT", 7) == 0:
            return self.refuse(501, b"CONNECT is not served")
        if target[0] != c"/":
            if size == 1 and target[0] == c"*":
                if head.method_size != 7 or memcmp(data, b"OPTIONS", 7) != 0:
                    return self.refuse(400, b"asterisk-form is for OPTIONS alone")
                head.form = FORM_ASTERISK
            elif size > 7 and same_name(target, b"http", 4) and memcmp(target + 4, b"://", 3) == 0:
                skip = 7
            elif size > 8 and same_name(target, b"https", 5) and memcmp(target + 5, b"://", 3) == 0:
                skip = 8
                head.secure = 1
            else:
                return self.refuse(400, b"request target is neither a path nor an http URL")
        if skip:
            head.form = FORM_ABSOLUTE
            head.authority_at = head.target_at + skip
            while skip < size and target[skip] != c"/" and target[skip] != c"?":
                skip += 1
            head.authority_size = head.target_at + skip - head.authority_at
            if not is_host(data + head.authority_at, head.authority_size):
                return self.refuse(400, b"malformed authority in the request target")
        head.path_at = head.target_at + skip
        mark = <const char*>memchr(target + skip, c"?", size - skip) if size > skip else NULL
        if mark == NULL:
            head.path_size = size - skip
            head.query_at = head.target_at + size
            head.query_size = 0
        else:
            head.path_size = (mark - target) - skip
            head.query_at = head.target_at + (mark - target) + 1
            head.query_size = size - (mark - target) - 1
        return 0

    cdef int header_block(self, const char* data, size_t size) noexcept nogil:
        """Parse the block that starts at `head.block_at` of `data`.

        Returns the bytes of the whole head, 0 when more are needed, -1 when refused. What has arrived is
        checked in either case, so that a broken line is refused before its head is complete.
        """
        cdef Head* head = &self.head
        cdef Field* field
        cdef size_t at = head.block_at, start, end, most, stop
        cdef uint32_t count = 0, seen = 0
        cdef Framing* framing = &head.framing
        framing.content_length = -1
        framing.chunked = framing.close = framing.keep_alive = framing.upgrade = 0
        framing.expect_continue = framing.te_trailers = 0
        framing.request_start_us = 0
        while True:
            if at - head.block_at > self.limit_block:
                return self.refuse(431, b"header block over limit-request-head")
            if at >= size:
                return 0
            start = at
            if data[at] == c"\r":
                if at + 1 >= size:
                    return 0
                if data[at + 1] != c"\n":
                    return self.refuse(400, b"bare CR in the head")
                at += 2
                break
            # nothing past a limit is looked at, so that the answer does not depend on how the bytes were cut
            most = start + self.limit_field + 1
            if most > head.block_at + self.limit_block + 1:
                most = head.block_at + self.limit_block + 1
            stop = size if size < most else most
            while at < stop and CLASSES[<uint8_t>data[at]] & TOKEN:
                at += 1
            if at >= stop:
                return self.partial(start, at, most)
            if at == start or data[at] != c":":
                return self.refuse(400, b"malformed field name")
            if count >= self.limit_count:
                return self.refuse(431, b"more field lines than limit-request-fields")
            field = &self.fields[count]
            count += 1
            field.name_at = start
            field.name_size = at - start
            at += 1
            while at < stop and is_space(data[at]):
                at += 1
            field.value_at = at
            while at < stop and CLASSES[<uint8_t>data[at]] & VALUE:
                at += 1
            if at >= stop:
                return self.partial(start, at, most)
            if data[at] != c"\r":
                return self.refuse(400, b"control character in a field value")
            if at + 1 >= size:
                return 0
            if data[at + 1] != c"\n":
                return self.refuse(400, b"bare CR in the head")
            end = at
            while end > field.value_at and is_space(data[end - 1]):
                end -= 1
            field.value_size = end - field.value_at
            at += 2
            if self.known_field(data, field, &seen) < 0:
                return -1
        head.count = count
        head.size = at
        if not seen & 1 and head.minor == 1:
            return self.refuse(400, b"no Host field")
        if framing.chunked and (framing.content_length >= 0 or head.minor == 0):
            return self.refuse(400, b"Transfer-Encoding beside Content-Length or in HTTP/1.0")
        if head.minor == 0:
            framing.expect_continue = 0
        return at

    cdef int partial(self, size_t start, size_t at, size_t most) noexcept nogil:
        """The bytes ended inside a field line, or the line reached its limit."""
        if at < most:
            return 0
        if at - start > self.limit_field:
            return self.refuse(431, b"field line over limit-request-field-size")
        return self.refuse(431, b"header block over limit-request-head")

    cdef int known_field(self, const char* data, Field* field, uint32_t* seen) noexcept nogil:
        """Act on the fields that decide framing. Bits of `seen`: 1 Host, 2 length, 4 coding, 8 type."""
        cdef const char* name = data + field.name_at
        cdef const char* value = data + field.value_at
        cdef size_t size = field.value_size
        cdef Framing* framing = &self.head.framing
        if field.name_size == 4 and same_name(name, b"host", 4):
            if seen[0] & 1:
                return self.refuse(400, b"more than one Host field")
            seen[0] |= 1
            if not is_host(value, size):
                return self.refuse(400, b"malformed Host field")
        elif field.name_size == 14 and same_name(name, b"content-length", 14):
            if seen[0] & 2:
                return self.refuse(400, b"more than one Content-Length field")
            seen[0] |= 2
            framing.content_length = decimal(value, size)
            if framing.content_length < 0:
                return self.refuse(400, b"malformed Content-Length")
        elif field.name_size == 17 and same_name(name, b"transfer-encoding", 17):
            if seen[0] & 4:
                return self.refuse(400, b"more than one Transfer-Encoding field")
            seen[0] |= 4
            if size != 7 or not same_name(value, b"chunked", 7):
                return self.refuse(501, b"Transfer-Encoding other than chunked")
            framing.chunked = 1
        elif field.name_size == 12 and same_name(name, b"content-type", 12):
            if seen[0] & 8:
                return self.refuse(400, b"more than one Content-Type field")
            seen[0] |= 8
        elif field.name_size == 10 and same_name(name, b"connection", 10):
            self.connection_field(value, size)
        elif field.name_size == 6 and same_name(name, b"expect", 6):
            if size != 12 or not same_name(value, b"100-continue", 4 + 8):
                return self.refuse(417, b"expectation other than 100-continue")
            framing.expect_continue = 1
        elif field.name_size == 2 and same_name(name, b"te", 2):
            framing.te_trailers = size >= 8 and same_name(value, b"trailers", 8)
        elif field.name_size == 15 and not framing.request_start_us and same_name(name, b"x-request-start", 15):
            framing.request_start_us = request_start(value, size)
        return 0

    cdef void connection_field(self, const char* value, size_t size) noexcept nogil:
        """The options of RFC 9110 section 7.6.1 that matter here: close, keep-alive, upgrade."""
        cdef size_t start = 0, end, stop
        while start < size:
            stop = start
            while stop < size and value[stop] != c",":
                stop += 1
            end = stop
            while start < end and is_space(value[start]):
                start += 1
            while end > start and is_space(value[end - 1]):
                end -= 1
            if end - start == 5 and same_name(value + start, b"close", 5):
                self.head.framing.close = 1
            elif end - start == 10 and same_name(value + start, b"keep-alive", 10):
                self.head.framing.keep_alive = 1
            elif end - start == 7 and same_name(value + start, b"upgrade", 7):
                self.head.framing.upgrade = 1
            start = stop + 1

    def parse(self, bytes data):
        """Parse one head for tests and tools.

        Args:
            data: bytes from the first of the request line on.

        Returns:
            None when more bytes are needed, else a dict: method, target, path, query, authority, minor,
            fields (list of (name, value) bytes as they arrived), size, content_length, chunked, close,
            keep_alive, upgrade, expect_continue.

        Raises:
            Refused: with the status a server answers.
        """
        cdef const char* raw = data
        cdef Head* head = &self.head
        cdef uint32_t i = 0
        cdef int got = self.request_line(raw, len(data))
        if got > 0:
            got = self.header_block(raw, len(data))
        if got < 0:
            raise Refused(head.status, head.why.decode())
        if got == 0:
            return None
        return {
            "method": data[: head.method_size],
            "target": data[head.target_at : head.target_at + head.target_size],
            "path": data[head.path_at : head.path_at + head.path_size],
            "query": data[head.query_at : head.query_at + head.query_size],
            "authority": data[head.authority_at : head.authority_at + head.authority_size],
            "minor": head.minor,
            "fields": [
                (
                    data[self.fields[i].name_at : self.fields[i].name_at + self.fields[i].name_size],
                    data[self.fields[i].value_at : self.fields[i].value_at + self.fields[i].value_size],
                )
                for i in range(head.count)
            ],
            "size": head.size,
            "content_length": None if head.framing.content_length < 0 else head.framing.content_length,
            "chunked": bool(head.framing.chunked),
            "close": bool(head.framing.close),
            "keep_alive": bool(head.framing.keep_alive),
            "upgrade": bool(head.framing.upgrade),
            "expect_continue": bool(head.framing.expect_continue),
        }
