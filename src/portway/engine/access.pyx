# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Access records: encoded from the raw bytes of the request, written whole lines at a time.

Nothing a client sends can end a line or forge a field: bytes outside printable ASCII, quotes and backslashes are
escaped (\\xHH in the combined format, JSON's own escapes in JSON). A log that does not take what is written, a full
disk or a pipe nobody reads, never holds up a request: lines are kept up to a size, then counted as lost.
"""

import os
import stat
import time

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memchr, memmove, memset

from portway.engine.cposix cimport CLOCK_REALTIME, EAGAIN, EINTR, POLLOUT, clock_gettime, errno, poll, pollfd, timespec, write
from portway.engine.head cimport same_name
from portway.engine.reply cimport put, put_number

cdef enum:
    KEPT_MOST = 1 << 20         # bytes of lines that wait for a log that does not take them
    WRITE_AT = 32768
    PIPE_PIECE = 4096           # what a pipe that polls as writable takes at once (PIPE_BUF)

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
    "bytes": F_BYTES, "duration_s": F_DURATION_S, "duration_whole_s": F_DURATION_WHOLE_S,
    "duration_ms": F_DURATION_MS, "duration_us": F_DURATION_US, "pid": F_PID, "request_id": F_REQUEST_ID,
    "header": F_HEADER, "user": F_EMPTY,
    "referer": F_HEADER, "user_agent": F_HEADER,
}
cdef dict HEADERS = {"referer": b"referer", "user_agent": b"user-agent"}
cdef tuple MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
cdef const char* HEX = b"0123456789abcdef"


cdef class AccessLog:
    """Writes records to `target.fd`; the descriptor may change between two writes (log rotation)."""

    def __init__(self, target):
        self.target = target
        self.json = target.json
        # the C strings point into these bytes
        self.pieces = [
            (piece.literal, FIELDS[piece.field], HEADERS.get(piece.field, piece.header)) for piece in target.pieces
        ]
        self.count = len(self.pieces)
        self.codes = <Piece*>PyMem_Malloc(self.count * sizeof(Piece))
        if self.codes == NULL:
            raise MemoryError()
        for i, (literal, field, name) in enumerate(self.pieces):
            self.codes[i].literal = literal
            self.codes[i].literal_size = len(literal)
            self.codes[i].field = field
            self.codes[i].name = name
            self.codes[i].name_size = len(name)
        self.exact = frozenset([path for path in target.exclude if not path.endswith(b"*")])
        self.prefixes = tuple([path[: len(path) - 1] for path in target.exclude if path.endswith(b"*")])
        self.some_excluded = bool(target.exclude)
        self.pid = os.getpid()

    def __dealloc__(self):
        PyMem_Free(self.codes)
        PyMem_Free(self.lines.data)

    cdef int record(
        self, bytes head, object peer, int status, uint64_t size, uint64_t duration_ns, bytes request_id
    ) except -1:
        """Add one line; it is written when there are many, or with the next `flush`.

        Args:
            head: the request head's raw bytes, None when there was no valid one.
            peer: (host, port), None for a unix socket.
            size: body bytes sent, framing included.
        """
        cdef Record r
        cdef int i
        memset(&r, 0, sizeof(r))
        if head is not None:
            r.head = PyBytes_AS_STRING(head)
            r.size = PyBytes_GET_SIZE(head)
            r.line = <size_t>(<const char*>memchr(r.head, c"\r", r.size) - r.head)
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
        for i in range(self.count):
            put(&self.lines, self.codes[i].literal, self.codes[i].literal_size)
            self.put_field(&self.codes[i], &r, peer, status, size, duration_ns, request_id)
        if self.lines.size >= WRITE_AT:
            self.flush()
        return 0

    cdef bint is_excluded(self, Record* r):
        path = r.head[r.target : r.target + r.path_size]
        return path in self.exact or path.startswith(self.prefixes)

    cdef int text(self, bytes text) except -1:
        return put(&self.lines, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int put_field(
        self, Piece* piece, Record* r, object peer, int status, uint64_t size, uint64_t took, bytes request_id
    ) except -1:
        cdef int field = piece.field
        if field == F_NONE:
            return 0
        if field == F_STATUS:
            return put_number(&self.lines, status)
        if field == F_BYTES:
            return put_number(&self.lines, size)
        if field == F_DURATION_US:
            return put_number(&self.lines, took // 1000)
        if field == F_DURATION_MS:
            return put_number(&self.lines, took // 1000000)
        if field == F_DURATION_WHOLE_S:
            return put_number(&self.lines, took // 1000000000)
        if field == F_DURATION_S:
            put_number(&self.lines, took // 1000000000)
            put(&self.lines, b".", 1)
            return self.six_digits(took // 1000 % 1000000)
        if field == F_PID:
            return put_number(&self.lines, self.pid)
        if field == F_TIME or field == F_CLF_TIME:
            self.look_at_clock()
            return self.text(self.stamp if field == F_TIME else self.clf_stamp)
        if field == F_CLIENT:
            client = peer[0].encode() if peer is not None else b"unix"
            return self.escaped(PyBytes_AS_STRING(client), PyBytes_GET_SIZE(client))
        if field == F_REQUEST:
            return self.escaped(r.head, r.line)
        if field == F_METHOD:
            return self.escaped(r.head, r.target - 1 if r.line else 0)
        if field == F_TARGET:
            return self.escaped(r.head + r.target, r.target_size)
        if field == F_PATH:
            return self.escaped(r.head + r.target, r.path_size)
        if field == F_QUERY:
            if r.path_size == r.target_size:
                return self.escaped(NULL, 0)
            return self.escaped(r.head + r.target + r.path_size + 1, r.target_size - r.path_size - 1)
        if field == F_PROTOCOL:
            return self.escaped(r.head + r.line - 8, 8) if r.line else self.escaped(NULL, 0)
        if field == F_REQUEST_ID:
            if request_id is None:
                return self.escaped(NULL, 0)
            return self.escaped(PyBytes_AS_STRING(request_id), PyBytes_GET_SIZE(request_id))
        if field == F_HEADER:
            return self.header(r, piece.name, piece.name_size)
        return self.escaped(NULL, 0)

    cdef int look_at_clock(self) except -1:
        """Make the time as the formats have it, once a second."""
        cdef timespec at
        clock_gettime(CLOCK_REALTIME, &at)
        if at.tv_sec != self.second or self.stamp is None:
            self.second = at.tv_sec
            parts = time.gmtime(at.tv_sec)
            self.stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", parts).encode()
            month = MONTHS[parts.tm_mon - 1]
            # strftime would name the month in the language of the locale
            self.clf_stamp = time.strftime(f"[%d/{month}/%Y:%H:%M:%S +0000]", parts).encode()
        return 0

    cdef int six_digits(self, uint64_t value) except -1:
        cdef char digits[6]
        cdef int i
        for i in range(6):
            digits[5 - i] = c"0" + value % 10
            value //= 10
        return put(&self.lines, digits, 6)

    cdef int header(self, Record* r, const char* name, size_t size) except -1:
        """The value of the first field of that name."""
        cdef const char* data = r.head
        cdef size_t at = r.line + 2, end
        while r.line and at + size < r.size:
            end = <size_t>(<const char*>memchr(data + at, c"\r", r.size - at) - data)
            if end - at > size and data[at + size] == c":" and same_name(data + at, name, size):
                at += size + 1
                while at < end and (data[at] == c" " or data[at] == c"\t"):
                    at += 1
                while end > at and (data[end - 1] == c" " or data[end - 1] == c"\t"):
                    end -= 1
                return self.escaped(data + at, end - at)
            at = end + 2
        return self.escaped(NULL, 0)

    cdef int escaped(self, const char* data, size_t size) except -1:
        """Text from outside; nothing is "-", and an empty string in JSON."""
        cdef size_t i, start = 0
        cdef unsigned char c
        cdef char code[6]
        cdef int n
        if size == 0:
            return 0 if self.json else put(&self.lines, b"-", 1)
        for i in range(size):
            c = <unsigned char>data[i]
            if 32 <= c < 127 and c != c'"' and c != c"\\":
                continue
            put(&self.lines, data + start, i - start)
            start = i + 1
            code[0] = c"\\"
            n = 0
            if not self.json:
                code[1] = c"x"
            elif c == c'"' or c == c"\\":
                code[1] = c
                put(&self.lines, code, 2)
                continue
            else:
                code[1] = c"u"
                code[2] = code[3] = c"0"
                n = 2
            code[n + 2] = HEX[c >> 4]
            code[n + 3] = HEX[c & 15]
            put(&self.lines, code, n + 4)
        return put(&self.lines, data + start, size - start)

    cdef int flush(self) except -1:
        """Write what there is, as far as the log takes it without waiting."""
        cdef pollfd ready
        cdef size_t at = 0, piece
        cdef ssize_t got
        cdef int fd = self.target.fd
        cdef bint regular
        if self.lines.size == 0:
            return 0
        try:
            regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except OSError:
            regular = False
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
                self.text((b'{"lost":%d}\n' if self.json else b"# %d lines lost: the log did not take them\n") % self.lost)
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
