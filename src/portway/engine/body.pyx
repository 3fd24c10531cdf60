# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The request body: Content-Length and chunked framing (RFC 9112 sections 6 and 7), as a state machine.

It may be fed at any cut. Each call takes some bytes and gives at most one piece of body, which is a part of the
bytes it was given. Chunk sizes are hexadecimal digits and nothing else; both bytes that end a chunk are checked;
chunk extensions and trailers are bounded together (a client could otherwise send gigabytes around one byte of
body); trailers are checked, and dropped: merged into the header fields they would speak with the voice of a proxy
in front. Those that RFC 9110 section 6.5.1 forbids are refused.
"""

from libc.string cimport memcmp, memset, strlen

from portway.engine.head cimport char_classes, hex_value

from portway.engine.errors import Refused


cdef enum:
    TOKEN = 1
    VALUE = 2
    HEX = 16
    MOST_OVERHEAD = 16384

cdef enum:
    SIZE = 0
    EXTENSION = 1
    SIZE_LF = 2
    DATA = 3
    DATA_CR = 4
    DATA_LF = 5
    TRAILER = 6
    TRAILER_NAME = 7
    TRAILER_VALUE = 8
    TRAILER_LF = 9
    END_LF = 10

# Framing, routing, request modifiers, authentication and content description: never from a trailer.
cdef const char** FORBIDDEN = [
    b"authorization", b"cache-control", b"connection", b"content-encoding", b"content-length", b"content-range",
    b"content-type", b"cookie", b"expect", b"host", b"keep-alive", b"max-forwards", b"proxy-authorization",
    b"range", b"set-cookie", b"te", b"trailer", b"transfer-encoding", b"upgrade", NULL,
]


cdef void body_none(Body* body) noexcept nogil:
    memset(body, 0, sizeof(Body))


cdef void body_length(Body* body, uint64_t size) noexcept nogil:
    memset(body, 0, sizeof(Body))
    body.kind = BODY_LENGTH if size else BODY_DONE
    body.remaining = size


cdef void body_chunked(Body* body, uint64_t limit) noexcept nogil:
    memset(body, 0, sizeof(Body))
    body.kind = BODY_CHUNKED
    body.limit = limit


cdef size_t broken(Body* body, uint16_t status, const char* why, size_t at) noexcept nogil:
    body.kind = BODY_BROKEN
    body.status = status
    body.why = why
    return at


cdef bint forbidden(const char* name, size_t size) noexcept nogil:
    cdef int i = 0
    while FORBIDDEN[i] != NULL:
        if strlen(FORBIDDEN[i]) == size and memcmp(FORBIDDEN[i], name, size) == 0:
            return True
        i += 1
    return False


cdef size_t body_feed(
    Body* body, const char* data, size_t size, const char** piece, size_t* piece_size
) noexcept nogil:
    """Take bytes of a body; return how many were taken.

    Stops after one piece, at the end of the body (kind becomes BODY_DONE) or at a fault (BODY_BROKEN).
    """
    cdef size_t take
    piece_size[0] = 0
    if body.kind == BODY_CHUNKED:
        return feed_chunked(body, data, size, piece, piece_size)
    if body.kind == BODY_RAW:
        piece[0] = data
        piece_size[0] = size
        body.total += size
        return size
    if body.kind != BODY_LENGTH:
        return 0
    take = size if size < body.remaining else <size_t>body.remaining
    piece[0] = data
    piece_size[0] = take
    body.remaining -= take
    body.total += take
    if body.remaining == 0:
        body.kind = BODY_DONE
    return take


cdef size_t feed_chunked(
    Body* body, const char* data, size_t size, const char** piece, size_t* piece_size
) noexcept nogil:
    cdef const uint8_t* classes = char_classes()
    cdef size_t at = 0, take
    cdef char c
    while at < size:
        if body.state == DATA:
            take = size - at if size - at < body.remaining else <size_t>body.remaining
            piece[0] = data + at
            piece_size[0] = take
            body.remaining -= take
            body.total += take
            if body.remaining == 0:
                body.state = DATA_CR
            return at + take
        c = data[at]
        at += 1
        if body.state == SIZE:
            if classes[<uint8_t>c] & HEX:
                body.digits += 1
                if body.digits > 15:
                    return broken(body, 400, b"chunk size too long", at)
                body.remaining = body.remaining * 16 + hex_value(c)
            elif body.digits == 0:
                return broken(body, 400, b"malformed chunk size", at)
            elif c == c"\r":
                body.state = SIZE_LF
            elif c == c";":
                body.state = EXTENSION
            else:
                return broken(body, 400, b"malformed chunk size", at)
        elif body.state == EXTENSION:
            body.overhead += 1
            if body.overhead > MOST_OVERHEAD:
                return broken(body, 400, b"chunk extensions too long", at)
            if c == c"\r":
                body.state = SIZE_LF
            elif not classes[<uint8_t>c] & VALUE:
                return broken(body, 400, b"control character in a chunk extension", at)
        elif body.state == SIZE_LF:
            if c != c"\n":
                return broken(body, 400, b"bare CR in a chunk size", at)
            body.digits = 0
            if body.remaining == 0:
                body.state = TRAILER
            elif body.limit and body.total + body.remaining > body.limit:
                return broken(body, 413, b"body over limit-request-body", at)
            else:
                body.state = DATA
        elif body.state == DATA_CR:
            if c != c"\r":
                return broken(body, 400, b"chunk longer than its size", at)
            body.state = DATA_LF
        elif body.state == DATA_LF:
            if c != c"\n":
                return broken(body, 400, b"bare CR after a chunk", at)
            body.state = SIZE
        else:
            take = trailer_byte(body, c)
            if take == 1:
                return at
            if body.kind == BODY_BROKEN:
                return at
    return at


cdef int trailer_byte(Body* body, char c) noexcept nogil:
    """One byte of the trailer section; 1 when it was the last."""
    cdef const uint8_t* classes = char_classes()
    body.overhead += 1
    if body.overhead > MOST_OVERHEAD:
        broken(body, 431, b"trailers too long", 0)
    elif body.state == TRAILER and c == c"\r":
        body.state = END_LF
    elif body.state == TRAILER or body.state == TRAILER_NAME:
        if classes[<uint8_t>c] & TOKEN:
            if body.state == TRAILER:
                body.name_size = 0
            body.state = TRAILER_NAME
            if body.name_size < sizeof(body.name):
                body.name[body.name_size] = c | 32 if c"A" <= c <= c"Z" else c
                body.name_size += 1
        elif c != c":" or body.state == TRAILER:
            broken(body, 400, b"malformed trailer name", 0)
        elif forbidden(body.name, body.name_size):
            broken(body, 400, b"forbidden trailer field", 0)
        else:
            body.state = TRAILER_VALUE
    elif body.state == TRAILER_VALUE:
        if c == c"\r":
            body.state = TRAILER_LF
        elif not classes[<uint8_t>c] & VALUE:
            broken(body, 400, b"control character in a trailer", 0)
    elif c != c"\n":
        broken(body, 400, b"bare CR in the trailers", 0)
    elif body.state == END_LF:
        body.kind = BODY_DONE
        return 1
    else:
        body.state = TRAILER
    return 0


def read_body(pieces, length=None, uint64_t limit=0):
    """Read a body for tests and tools.

    Args:
        pieces: an iterable of bytes, the body as it would arrive.
        length: its Content-Length, or None for chunked.
        limit: most body bytes, 0 for no limit.

    Returns:
        (body, rest, complete): the decoded bytes, the bytes after the body, whether its end was seen.

    Raises:
        Refused: with the status a server answers.
    """
    cdef Body body
    cdef const char* piece = NULL
    cdef const char* raw
    cdef size_t piece_size = 0, at, size
    cdef bytes data
    whole = bytearray()
    rest = bytearray()
    if length is None:
        body_chunked(&body, limit)
    else:
        body_length(&body, length)
    for data in pieces:
        raw = data
        size = len(data)
        at = 0
        while at < size and body.kind != BODY_DONE:
            at += body_feed(&body, raw + at, size - at, &piece, &piece_size)
            if piece_size:
                whole += piece[:piece_size]
            if body.kind == BODY_BROKEN:
                raise Refused(body.status, body.why.decode())
        rest += data[at:]
    return bytes(whole), bytes(rest), body.kind == BODY_DONE
