# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Access records: encoded from the raw bytes of the request, written whole lines at a time.

Nothing a client sends can end a line or forge a field: bytes outside printable ASCII, quotes and backslashes are
escaped (\\xHH in the combined format, JSON's own escapes in JSON). A log that does not take what is written, a full
disk or a pipe nobody reads, never holds up a request: lines are kept up to a size, then counted as lost.

Most formats have fields of the request, such as Referer and User-Agent, at the end only. That end is the same for
the same header block, so a block that comes again (`Block`) keeps it.
"""

import os
import time

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.string cimport memchr, memcmp, memcpy, memmove, memset
from posix.stat cimport S_ISREG, fstat, struct_stat

from portway.engine.cposix cimport EAGAIN, EINTR, POLLOUT, errno, poll, pollfd, time as seconds, time_t, write
from portway.engine.head cimport is_space, same_name
from portway.engine.reply cimport put, reserve

cdef enum:
    KEPT_MOST = 1 << 20         # bytes of lines that wait for a log that does not take them
    WRITE_AT = 32768
    PIPE_PIECE = 4096           # what a pipe that polls as writable takes at once (PIPE_BUF)
    BLOCK = 16                  # literals are copied in pieces of this size, so there is as much behind one
    FIELD_MOST = 32             # bytes of a number, or of a time
    ESCAPE_MOST = 6             # bytes that one byte of a request becomes
    END_MOST = 1024             # bytes of a line's end that a header block keeps

cdef enum:
    F_NONE
    F_TIME
    F_CLF_TIME
    F_CLIENT
    F_REQUEST
    F_METHOD
    F_TARGET
    F_PATH
    F_QUERY
    F_PROTOCOL
    F_STATUS
    F_STATUS_COLOUR
    F_BYTES
    F_DURATION_S
    F_DURATION_WHOLE_S
    F_DURATION_MS
    F_DURATION_US
    F_PID
    F_REQUEST_ID
    F_HEADER
    F_EMPTY

cdef dict FIELDS = {
    "": F_NONE, "time": F_TIME, "clf_time": F_CLF_TIME, "client": F_CLIENT, "request": F_REQUEST, "method": F_METHOD,
    "target": F_TARGET, "path": F_PATH, "query": F_QUERY, "protocol": F_PROTOCOL, "status": F_STATUS,
    "status_colour": F_STATUS_COLOUR,
    "bytes": F_BYTES, "duration_s": F_DURATION_S, "duration_whole_s": F_DURATION_WHOLE_S,
    "duration_ms": F_DURATION_MS, "duration_us": F_DURATION_US, "pid": F_PID, "request_id": F_REQUEST_ID,
    "header": F_HEADER, "user": F_EMPTY,
    "referer": F_HEADER, "user_agent": F_HEADER,
}
cdef dict HEADERS = {"referer": b"referer", "user_agent": b"user-agent"}
cdef tuple MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
cdef const char* HEX = b"0123456789abcdef"

cdef extern from *:
    """
    #define SPACES UINT32_C(0x20202020)

    /* GCC's and Clang's vector extensions: in registers of that size where the processor has them. */
    typedef signed char pw_bytes __attribute__((vector_size(16)));
    typedef uint64_t pw_words __attribute__((vector_size(16)));

    /* Whether sixteen bytes stand for themselves: none over 126, under 32, a quote or a backslash.
       One over 127 is negative, and so less than 32. */
    static inline int pw_plain(pw_words text)
    {
        pw_bytes b = (pw_bytes)text;
        pw_words odd = (pw_words)((b < 32) | (b == 127) | (b == 34) | (b == 92));
        return !(odd[0] | odd[1]);
    }

    /* Copy sixteen bytes if all stand for themselves. */
    static inline int pw_copy_plain(char* out, const char* data)
    {
        pw_words text;
        memcpy(&text, data, 16);
        if (!pw_plain(text))
            return 0;
        memcpy(out, &text, 16);
        return 1;
    }

    /* The same for one to eight: as two halves, which overlap where they must. */
    static inline int pw_copy_few(char* out, const char* data, size_t size)
    {
        uint32_t first = SPACES, last = SPACES;
        size_t half = size > 4 ? 4 : size > 2 ? 2 : 1, second = size - half;
        if (half == 4) {
            memcpy(&first, data, 4);
            memcpy(&last, data + second, 4);
        } else if (half == 2) {
            memcpy(&first, data, 2);
            memcpy(&last, data + second, 2);
        } else {
            memcpy(&first, data, 1);
            memcpy(&last, data + second, 1);
        }
        if (!pw_plain((pw_words){(uint64_t)last << 32 | first, (uint64_t)SPACES << 32 | SPACES}))
            return 0;
        if (half == 4) {
            memcpy(out, &first, 4);
            memcpy(out + second, &last, 4);
        } else if (half == 2) {
            memcpy(out, &first, 2);
            memcpy(out + second, &last, 2);
        } else {
            memcpy(out, &first, 1);
            memcpy(out + second, &last, 1);
        }
        return 1;
    }
    """
    bint pw_copy_plain(char* out, const char* data) noexcept
    bint pw_copy_few(char* out, const char* data, size_t size) noexcept

cdef char PAIRS[200]            # "00", "01", ... "99"
cdef int _value
for _value in range(100):
    PAIRS[2 * _value] = c"0" + <char>(_value // 10)
    PAIRS[2 * _value + 1] = c"0" + <char>(_value % 10)


cdef char* number(char* out, uint64_t value) noexcept:
    cdef char digits[24]
    cdef int at = 24
    if value < 10:
        out[0] = c"0" + <char>value
        return out + 1
    while value:
        at -= 2
        memcpy(digits + at, PAIRS + 2 * (value % 100), 2)
        value //= 100
    if digits[at] == c"0":
        at += 1
    for at in range(at, 24):
        out[0] = digits[at]
        out += 1
    return out


cdef char* escaped(char* out, const char* data, size_t size, bint json) noexcept:
    """Write text from outside: at most six bytes for each of its own."""
    cdef const char* end = data + size
    cdef size_t few
    cdef unsigned char c
    while data < end:
        if end - data >= 16 and pw_copy_plain(out, data):
            out += 16
            data += 16
            continue
        few = <size_t>(end - data) if end - data < 8 else 8
        if pw_copy_few(out, data, few):
            out += few
            data += few
            continue
        c = <unsigned char>data[0]
        data += 1
        if 32 <= c < 127 and c != c'"' and c != c"\\":
            out[0] = c
            out += 1
            continue
        out[0] = c"\\"
        if not json:
            out[1] = c"x"
            out += 2
        elif c == c'"' or c == c"\\":
            out[1] = c
            out += 2
            continue
        else:
            out[1] = c"u"
            out[2] = out[3] = c"0"
            out += 4
        out[0] = HEX[c >> 4]
        out[1] = HEX[c & 15]
        out += 2
    return out


cdef class Block:
    """A header block that may come again, and the end of a line that it makes."""


cdef class AccessLog:
    """Writes records to `target.fd`; the descriptor may change between two writes (log rotation)."""

    def __init__(self, target):
        self.target = target
        self.json = target.json
        # the C strings point into these bytes
        self.literals = [piece.literal + bytes(BLOCK) for piece in target.pieces]
        headers = [HEADERS.get(piece.field, piece.header) for piece in target.pieces]
        self.names = [name for name in dict.fromkeys(headers) if name]
        self.count = len(self.literals)
        self.name_count = len(self.names)
        self.codes = <Piece*>PyMem_Malloc(self.count * sizeof(Piece))
        self.headers = <Header*>PyMem_Malloc((self.name_count + 1) * sizeof(Header))
        if self.codes == NULL or self.headers == NULL:
            raise MemoryError()
        for i, piece in enumerate(target.pieces):
            self.codes[i].literal = <bytes>self.literals[i]
            self.codes[i].size = len(piece.literal)
            self.codes[i].field = FIELDS[piece.field]
            self.codes[i].header = self.names.index(headers[i]) if headers[i] else 0
            self.room += len(self.literals[i]) + FIELD_MOST
        for i, name in enumerate(self.names):
            self.headers[i].name = <bytes>name
            self.headers[i].name_size = len(name)
        self.end_from = self.count
        while self.end_from and self.codes[self.end_from - 1].field in (F_NONE, F_EMPTY, F_HEADER):
            self.end_from -= 1
        for i in range(self.end_from):
            if self.codes[i].field == F_HEADER:
                self.end_from = self.count  # the fields are needed anyway
        self.exact = frozenset([path for path in target.exclude if not path.endswith(b"*")])
        self.prefixes = tuple([path[: len(path) - 1] for path in target.exclude if path.endswith(b"*")])
        self.some_excluded = bool(target.exclude)
        self.pid = os.getpid()

    def __dealloc__(self):
        PyMem_Free(self.codes)
        PyMem_Free(self.headers)
        PyMem_Free(self.lines.data)

    cdef int record(
        self, bytes head, Block block, object peer, int status, uint64_t size, uint64_t duration_ns, bytes request_id
    ) except -1:
        """Add one line; it is written when there are many, or with the next `flush`.

        Args:
            head: the request head's raw bytes, None when there was no valid one. Without the header block when that is
                one which keeps a line's end.
            block: that block, or one that may be this request's, or None.
            peer: (host, port), None for a unix socket.
            size: body bytes sent, framing included.
        """
        cdef Record r
        cdef const char* mark
        cdef size_t block_at = 0
        memset(&r, 0, sizeof(r))
        if head is not None:
            r.head = PyBytes_AS_STRING(head)
            r.size = PyBytes_GET_SIZE(head)
            r.line = <size_t>(<const char*>memchr(r.head, c"\r", r.size) - r.head)
            block_at = r.line + 2
            r.target = <size_t>(<const char*>memchr(r.head, c" ", r.line) - r.head) + 1
            r.target_size = r.line - 9 - r.target
            r.path_size = r.target_size
            mark = <const char*>memchr(r.head + r.target, c"?", r.target_size)
            if mark != NULL:
                r.path_size = <size_t>(mark - r.head) - r.target
            if self.some_excluded and status < 400 and self.is_excluded(&r):
                return 0
        if self.lines.size > KEPT_MOST:
            self.lost += 1
            return 0
        # what runs Python code may let another thread in, so it comes before the line
        self.look_at_clock()
        r.client = b"unix"
        r.client_size = 4
        if peer is not None:
            r.client = PyUnicode_AsUTF8AndSize((<tuple>peer)[0], <Py_ssize_t*>&r.client_size)
        r.status = status
        r.sent = size
        r.took = duration_ns
        if request_id is not None:
            r.id = PyBytes_AS_STRING(request_id)
            r.id_size = PyBytes_GET_SIZE(request_id)
        if self.end_from == self.count or block is not None and r.size != block_at and not (
            r.size == block_at + block.size and memcmp(r.head + block_at, block.data, block.size) == 0
        ):
            block = None
        if self.name_count and (block is None or block.line_end is None):
            self.find_headers(&r)
        self.encode(&r, block)
        if self.lines.size >= WRITE_AT:
            self.flush()
        return 0

    cdef bint is_excluded(self, Record* r) except -1:
        path = r.head[r.target : r.target + r.path_size]
        return path in self.exact or path.startswith(self.prefixes)

    cdef void find_headers(self, Record* r) noexcept:
        """Find the value of the first field of each wanted name."""
        cdef const char* data = r.head
        cdef const char* mark
        cdef Header* header
        cdef size_t at = r.line + 2, end
        cdef int i, missing = self.name_count
        for i in range(self.name_count):
            self.headers[i].value = NULL
            self.headers[i].size = 0
        while missing and at < r.size:
            mark = <const char*>memchr(data + at, c"\r", r.size - at)
            if mark == NULL or mark == data + at:
                break
            end = <size_t>(mark - data)
            for i in range(self.name_count):
                header = &self.headers[i]
                if (
                    header.value == NULL and header.name_size < end - at and data[at + header.name_size] == c":"
                    and same_name(data + at, header.name, header.name_size)
                ):
                    header.value = data + at + header.name_size + 1
                    while header.value < mark and is_space(header.value[0]):
                        header.value += 1
                    while mark > header.value and is_space((mark - 1)[0]):
                        mark -= 1
                    header.size = <size_t>(mark - header.value)
                    missing -= 1
                    break
            at = end + 2

    cdef int encode(self, Record* r, Block block) except -1:
        """Write the line behind the others; they end where they did until it is whole.

        There is always room for every literal and every number that may follow; what else is needed depends on a
        text, and is made before that is written. Nothing here lets another thread in.
        """
        cdef Buffer* lines = &self.lines
        cdef Piece* piece
        cdef const char* text
        cdef char* out
        cdef size_t at, size, end_at = 0
        cdef int i, field, count = self.count
        if block is not None and block.line_end is not None:
            count = self.end_from
        reserve(lines, self.room)
        out = lines.data + lines.size
        for i in range(count):
            if i == self.end_from:
                end_at = <size_t>(out - lines.data)
            piece = &self.codes[i]
            at = 0
            while at < piece.size:
                memcpy(out + at, piece.literal + at, BLOCK)
                at += BLOCK
            out += piece.size
            field = piece.field
            text = NULL
            size = 0
            if field == F_NONE:
                continue
            elif field == F_STATUS:
                out = number(out, r.status)
                continue
            elif field == F_STATUS_COLOUR:
                # SGR (ECMA-48 section 8.3.117): green, cyan, yellow, red
                memcpy(out, b"\x1b[32m", 5)
                if r.status >= 300:
                    out[3] = c"6" if r.status < 400 else c"3" if r.status < 500 else c"1"
                out += 5
                continue
            elif field == F_BYTES:
                out = number(out, r.sent)
                continue
            elif field == F_DURATION_US:
                out = number(out, r.took // 1000)
                continue
            elif field == F_DURATION_MS:
                out = number(out, r.took // 1000000)
                continue
            elif field == F_DURATION_WHOLE_S:
                out = number(out, r.took // 1000000000)
                continue
            elif field == F_DURATION_S:
                # a one before the six digits keeps their zeros; the point takes its place
                text = out = number(out, r.took // 1000000000)
                out = number(out, 1000000 + r.took // 1000 % 1000000)
                (<char*>text)[0] = c"."
                continue
            elif field == F_PID:
                out = number(out, self.pid)
                continue
            elif field == F_TIME or field == F_CLF_TIME:
                stamp = self.stamp if field == F_TIME else self.clf_stamp
                memcpy(out, PyBytes_AS_STRING(stamp), PyBytes_GET_SIZE(stamp))
                out += PyBytes_GET_SIZE(stamp)
                continue
            elif field == F_CLIENT:
                text = r.client
                size = r.client_size
            elif field == F_REQUEST:
                text = r.head
                size = r.line
            elif field == F_METHOD:
                text = r.head
                size = r.target - 1 if r.line else 0
            elif field == F_TARGET:
                text = r.head + r.target
                size = r.target_size
            elif field == F_PATH:
                text = r.head + r.target
                size = r.path_size
            elif field == F_QUERY:
                if r.path_size < r.target_size:
                    text = r.head + r.target + r.path_size + 1
                    size = r.target_size - r.path_size - 1
            elif field == F_PROTOCOL:
                if r.line:
                    memcpy(out, r.head + r.line - 8, 8)
                    out += 8
                    continue
            elif field == F_REQUEST_ID:
                if r.id != NULL:
                    text = r.id
                    size = r.id_size
            elif field == F_HEADER:
                text = self.headers[piece.header].value
                size = self.headers[piece.header].size
            if size == 0:
                if not self.json:
                    out[0] = c"-"
                    out += 1
                continue
            at = <size_t>(out - lines.data)
            if at + ESCAPE_MOST * size + self.room > lines.capacity:
                reserve(lines, at - lines.size + ESCAPE_MOST * size + self.room)
                out = lines.data + at
            out = escaped(out, text, size, self.json)
        if count < self.count:
            size = PyBytes_GET_SIZE(block.line_end)
            at = <size_t>(out - lines.data)
            reserve(lines, at - lines.size + size)
            memcpy(lines.data + at, PyBytes_AS_STRING(block.line_end), size)
            lines.size = at + size
            return 0
        lines.size = <size_t>(out - lines.data)
        if block is not None and self.end_from < count and lines.size - end_at <= END_MOST:
            block.line_end = PyBytes_FromStringAndSize(lines.data + end_at, lines.size - end_at)
        return 0

    cdef int look_at_clock(self) except -1:
        """Make the time as the formats have it, once a second."""
        cdef time_t now = seconds(NULL)
        if now != self.second or self.stamp is None:
            parts = time.gmtime(now)
            month = MONTHS[parts.tm_mon - 1]
            self.stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", parts).encode()
            # strftime would name the month in the language of the locale
            self.clf_stamp = time.strftime(f"[%d/{month}/%Y:%H:%M:%S +0000]", parts).encode()
            self.second = now
        return 0

    cdef int flush(self) except -1:
        """Write what there is, as far as the log takes it without waiting."""
        cdef pollfd ready
        cdef size_t at = 0, piece
        cdef ssize_t got
        cdef int fd = self.target.fd
        cdef struct_stat kind
        cdef bint regular
        if self.lines.size == 0:
            return 0
        # each time: a rotation may put another kind of file behind the same number
        regular = fstat(fd, &kind) == 0 and S_ISREG(kind.st_mode)
        ready.fd = fd
        ready.events = POLLOUT
        while at < self.lines.size:
            piece = self.lines.size - at
            if not regular:
                if poll(&ready, 1, 0) <= 0 or not ready.revents & POLLOUT:
                    break
                if piece > PIPE_PIECE:
                    piece = self.whole_lines(at)
            got = write(fd, self.lines.data + at, piece)
            if got < 0 and errno == EINTR:
                continue
            if got <= 0:
                if got < 0 and errno != EAGAIN:
                    self.problem = errno
                break
            at += got
        if at < self.lines.size:
            memmove(self.lines.data, self.lines.data + at, self.lines.size - at)
        self.lines.size -= at
        if at:
            self.problem = 0
            if self.lost:
                line = (b'{"lost":%d}\n' if self.json else b"# %d lines lost: the log did not take them\n") % self.lost
                put(&self.lines, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
                self.lost = 0
        return 0

    cdef str news(self):
        """What the operator must know: that lines are not taken, once, and that they are again. Else None."""
        if self.problem and not self.told:
            self.told = 1
            return f"the access log takes no lines: {os.strerror(self.problem)}"
        if self.lost and not self.told:
            self.told = 1
            return "the access log takes no lines for now: they are being lost"
        if self.told and not self.problem and not self.lost:
            self.told = 0
            return "the access log takes lines again"
        return None

    cdef size_t whole_lines(self, size_t at) noexcept:
        """As many bytes from there as end with a line and fit a pipe, or the pipe's worth of a longer line."""
        cdef size_t end = at + PIPE_PIECE
        while end > at and self.lines.data[end - 1] != c"\n":
            end -= 1
        return end - at if end > at else PIPE_PIECE
