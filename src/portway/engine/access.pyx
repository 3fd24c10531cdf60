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
from cpython.mem cimport PyMem_Free
from libc.string cimport memchr, memmove

from portway.engine.cposix cimport CLOCK_REALTIME, EINTR, POLLOUT, clock_gettime, errno, poll, pollfd, timespec, write
from portway.engine.head cimport same_name
from portway.engine.reply cimport put, put_number

cdef enum:
    KEPT_MOST = 1 << 20         # bytes of lines that wait for a log that does not take them
    WRITE_AT = 32768
    PIPE_PIECE = 4096           # what a pipe that polls as writable takes at once (PIPE_BUF)

cdef const char* HEX = b"0123456789abcdef"


cdef class AccessLog:
    """Writes records to `target.fd`; the descriptor may change between two writes (log rotation)."""

    def __init__(self, target):
        if target.format not in ("combined", "json"):
            raise ValueError(f"access log format is combined or json, not {target.format!r}")
        self.target = target
        self.json = target.format == "json"

    def __dealloc__(self):
        PyMem_Free(self.lines.data)

    cdef int record(self, bytes head, object peer, int status, uint64_t size, uint64_t duration_ns) except -1:
        """Add one line; it is written when there are many, or with the next `flush`.

        Args:
            head: the request head's raw bytes, None when there was no valid one.
            peer: (host, port), None for a unix socket.
            size: body bytes sent, framing included.
        """
        cdef const char* data = NULL
        cdef size_t line = 0, total = 0
        if self.lines.size > KEPT_MOST:
            self.lost += 1
            return 0
        if head is not None:
            data = PyBytes_AS_STRING(head)
            total = PyBytes_GET_SIZE(head)
            line = <size_t>(<const char*>memchr(data, c"\r", total) - data)
        client = peer[0].encode() if peer is not None else b"unix"
        if self.json:
            self.as_json(data, line, total, client, status, size, duration_ns)
        else:
            self.as_combined(data, line, total, client, status, size, duration_ns)
        if self.lines.size >= WRITE_AT:
            self.flush()
        return 0

    cdef int text(self, bytes text) except -1:
        return put(&self.lines, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int as_combined(
        self, const char* data, size_t line, size_t total, bytes client, int status, uint64_t size, uint64_t took
    ) except -1:
        self.text(client)
        self.text(self.now())
        self.escaped(data, line)
        put(&self.lines, b'" ', 2)
        put_number(&self.lines, status)
        put(&self.lines, b" ", 1)
        put_number(&self.lines, size)
        put(&self.lines, b' "', 2)
        self.field(data, line, total, b"referer", 7)
        put(&self.lines, b'" "', 3)
        self.field(data, line, total, b"user-agent", 10)
        put(&self.lines, b'" ', 2)
        put_number(&self.lines, took // 1000000000)
        put(&self.lines, b".", 1)
        self.six_digits(took // 1000 % 1000000)
        return put(&self.lines, b"\n", 1)

    cdef int as_json(
        self, const char* data, size_t line, size_t total, bytes client, int status, uint64_t size, uint64_t took
    ) except -1:
        cdef size_t target = 0, target_end = line
        self.text(b'{"time":"')
        self.text(self.now())
        self.text(b'","client":"')
        self.escaped(PyBytes_AS_STRING(client), PyBytes_GET_SIZE(client))
        self.text(b'","method":"')
        if line:
            target = <size_t>(<const char*>memchr(data, c" ", line) - data) + 1
            target_end = line - 9
            self.escaped(data, target - 1)
        self.text(b'","target":"')
        self.escaped(data + target, target_end - target if line else 0)
        self.text(b'","protocol":"')
        if line:
            self.escaped(data + line - 8, 8)
        self.text(b'","status":')
        put_number(&self.lines, status)
        self.text(b',"bytes":')
        put_number(&self.lines, size)
        self.text(b',"duration_us":')
        put_number(&self.lines, took // 1000)
        self.text(b',"referer":"')
        self.field(data, line, total, b"referer", 7)
        self.text(b'","user_agent":"')
        self.field(data, line, total, b"user-agent", 10)
        return put(&self.lines, b'"}\n', 3)

    cdef bytes now(self):
        """The time as the format has it, made once a second."""
        cdef timespec at
        clock_gettime(CLOCK_REALTIME, &at)
        if at.tv_sec != self.second or self.stamp is None:
            self.second = at.tv_sec
            parts = time.gmtime(at.tv_sec)
            if self.json:
                self.stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", parts).encode()
            else:
                month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[
                    parts.tm_mon - 1
                ]
                self.stamp = time.strftime(f' - - [%d/{month}/%Y:%H:%M:%S +0000] "', parts).encode()
        return self.stamp

    cdef int six_digits(self, uint64_t value) except -1:
        cdef char digits[6]
        cdef int i
        for i in range(6):
            digits[5 - i] = c"0" + value % 10
            value //= 10
        return put(&self.lines, digits, 6)

    cdef int field(self, const char* data, size_t line, size_t total, const char* name, size_t size) except -1:
        """The value of the first field of that name, or "-" ("" in JSON)."""
        cdef size_t at = line + 2, end
        cdef const char* stop
        while at + size < total:
            stop = <const char*>memchr(data + at, c"\r", total - at)
            end = stop - data
            if end - at > size and data[at + size] == c":" and same_name(data + at, name, size):
                at += size + 1
                while at < end and (data[at] == c" " or data[at] == c"\t"):
                    at += 1
                return self.escaped(data + at, end - at)
            at = end + 2
        return 0 if self.json else put(&self.lines, b"-", 1)

    cdef int escaped(self, const char* data, size_t size) except -1:
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
                break
            at += got
        if at < self.lines.size:
            memmove(self.lines.data, self.lines.data + at, self.lines.size - at)
        self.lines.size -= at
        if self.lost and at:
            lost, self.lost = self.lost, 0
            self.text(b"# %d lines lost: the log did not take them\n" % lost)
        return 0

    cdef size_t whole_lines(self, size_t at) noexcept:
        """As many bytes from there as end with a line and fit a pipe, or the pipe's worth of a longer line."""
        cdef size_t end = at + PIPE_PIECE
        while end > at and self.lines.data[end - 1] != c"\n":
            end -= 1
        return end - at if end > at else PIPE_PIECE
