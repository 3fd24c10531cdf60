# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""One connection: its input that waits, its output that waits, and where its request stands.

Nothing here decides; the engine and its drivers do. Idle connections hold no buffers: input is received into the
thread's own and only what is left over is stashed here, output is sent at once and only what the socket refuses is
parked: in memory up to `spool_after` bytes, then in a temporary file up to `spool_limit`.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcpy, memmove

from portway.engine.cposix cimport (
    AF_INET, AF_INET6, EAGAIN, EINTR, EWOULDBLOCK, MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, close, dup, errno, in6_addr, in_addr,
    inet_ntop, iovec, msghdr, ntohs, pread, pw_sendfile, pw_takes, pw_unread, pwrite, recv, send, sendmsg, sockaddr_in,
    sockaddr_in6,
)
from portway.engine.deadlines cimport link_init
from portway.engine.poller cimport KIND_CONNECTION, READABLE, WRITABLE
from portway.engine.tls cimport RECORD, TLS_BROKEN, TLS_WAITS, tls_alive

cdef enum:
    FIRST = 2097152             # bytes of a file that are sent before others have their turn
    ALONE = 65536               # sends larger than this let other threads run


cdef int64_t ALIVE[5]


cdef void born(int kind) noexcept nogil:
    ALIVE[kind] += 1


cdef void died(int kind) noexcept nogil:
    ALIVE[kind] -= 1


def alive():
    """Count what the engines of this process hold; after they have ended, anything but zeros is a leak."""
    kinds = ("connections", "segments", "stashes", "exchanges", "strands")
    return {**{kind: ALIVE[i] for i, kind in enumerate(kinds)}, "tls": tls_alive()}


cdef object temporary_file(bint buffered):
    """A temporary file without a name."""
    from tempfile import TemporaryFile      # late: most servers never need it, and it is slow to import

    return TemporaryFile() if buffered else TemporaryFile(buffering=0)


@cython.no_gc                       # no cycles; and its allocation then runs no finalizers
cdef class Segment:
    def __cinit__(self):
        born(ALIVE_SEGMENTS)

    def __dealloc__(self):
        died(ALIVE_SEGMENTS)
        if self.own_fd:
            close(self.fd)


cdef Segment part_of_file(int fd, off_t at, uint64_t size, bint own):
    """A part of a file.

    Args:
        own: whether the descriptor is closed with it; else it must stay open for as long.
    """
    cdef Segment segment = Segment.__new__(Segment)
    segment.fd = fd
    segment.own_fd = own
    segment.at = at
    segment.size = size
    return segment


cdef class Connection(Watched):
    def __cinit__(self):
        self.fd = -1
        self.kind = KIND_CONNECTION
        self.first = 1
        link_init(&self.link, <void*>self)
        born(ALIVE_CONNECTIONS)

    def __dealloc__(self):
        self.drop_stash()
        died(ALIVE_CONNECTIONS)

    cdef ssize_t receive(self, char* data, size_t size) noexcept:
        """Receive what there is; 0 when there is nothing now, -1 at the end or when the socket broke."""
        cdef ssize_t got
        if self.tls is not None:
            return self.receive_tls(data, size)
        while True:
            got = recv(self.fd, data, size, MSG_DONTWAIT)
            if got > 0:
                if <size_t>got < size and not self.closing:
                    self.readable = 0       # a short read has emptied the socket; the next bytes are a new edge
                return got
            if got < 0 and errno == EINTR:
                continue
            self.readable = 0
            if got < 0 and (errno == EAGAIN or errno == EWOULDBLOCK):
                return 0
            self.ended = 1
            if got < 0:
                self.broken = 1
            return -1

    cdef ssize_t receive_tls(self, char* data, size_t size) noexcept:
        """The same through TLS. The GIL is lost on the way: an event noted meanwhile must not be forgotten."""
        cdef ssize_t got
        self.readable = 0
        got = self.tls.receive(self.fd, self.family, data, size)
        if got > 0:
            # a record that is not full was most likely the last; asking the socket is cheaper than an exception
            if (
                got >= RECORD or self.closing or (<size_t>got == size and self.tls.pending())
                or pw_unread(self.fd) > 0
            ):
                self.readable = 1
            return got
        if got == TLS_WAITS:
            if self.tls.wants_write and pw_takes(self.fd):
                self.readable = 1           # it became writable before anybody could know that this matters
            return 0
        self.ended = 1
        if got == TLS_BROKEN:
            self.broken = 1
        return -1

    cdef int keep_input(self, const char* data, size_t size) except -1:
        """Add bytes to the stash."""
        cdef char* grown
        cdef size_t wanted = self.stash_size + size
        if wanted > self.stash_capacity:
            wanted = (wanted + 4095) & ~<size_t>4095
            grown = <char*>PyMem_Realloc(self.stash, wanted)
            if grown == NULL:
                raise MemoryError()
            if self.stash == NULL:
                born(ALIVE_STASHES)
            self.stash = grown
            self.stash_capacity = wanted
        memcpy(self.stash + self.stash_size, data, size)
        self.stash_size += size
        return 0

    cdef void use_stash(self, size_t used) noexcept:
        self.stash_size -= used
        if self.stash_size:
            memmove(self.stash, self.stash + used, self.stash_size)

    cdef void drop_stash(self) noexcept:
        if self.stash != NULL:
            died(ALIVE_STASHES)
        PyMem_Free(self.stash)
        self.stash = NULL
        self.stash_size = self.stash_capacity = 0

    cdef int transmit(
        self, Poller poller, const char* data, size_t size, const char* more, size_t more_size, object owner
    ) except -2:
        """Send `data`, then `more`; park what the socket does not take.

        Args:
            data: copied if it must be parked.
            more: part of `owner`, which is kept instead of a copy (None: copied).

        Returns:
            SENT, PARKED, or DEAD when nothing can be sent any more.
        """
        cdef ssize_t got
        cdef size_t total = size + more_size
        cdef iovec parts[2]
        cdef msghdr message
        if self.broken:
            return DEAD
        self.sent += total
        if self.tls is not None:
            return self.transmit_tls(poller, data, size, more, more_size, owner)
        if self.parked is None:
            self.writable = 0
            if more_size == 0:
                got = send(self.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
            else:
                parts[0].iov_base = <void*>data
                parts[0].iov_len = size
                parts[1].iov_base = <void*>more
                parts[1].iov_len = more_size
                message.msg_name = NULL
                message.msg_namelen = 0
                message.msg_iov = parts
                message.msg_iovlen = 2
                message.msg_control = NULL
                message.msg_controllen = 0
                message.msg_flags = 0
                if total > ALONE:
                    self.sending = 1
                    with nogil:
                        got = sendmsg(self.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
                    self.sending = 0
                else:
                    got = sendmsg(self.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL)
            if got == <ssize_t>total:
                return SENT
            if got < 0:
                if errno != EAGAIN and errno != EWOULDBLOCK and errno != EINTR:
                    self.broken = 1
                    return DEAD
                got = 0
            poller.arm(self, WRITABLE)
        else:
            got = 0
        if <size_t>got < size:
            if self.park(data + got, size - got, None) < 0:
                return DEAD
            got = 0
        else:
            got -= size
        if more_size > <size_t>got and self.park(more + got, more_size - got, owner) < 0:
            return DEAD
        return self.flush(poller) if self.writable else PARKED

    cdef int transmit_tls(
        self, Poller poller, const char* data, size_t size, const char* more, size_t more_size, object owner
    ) except -2:
        """The same in records; the first has `data` and as much of `more` as fits."""
        cdef char record[RECORD]
        cdef const char* piece
        cdef size_t part, from_data
        cdef ssize_t went = 1
        while self.parked is None and size + more_size:
            from_data = size if size < RECORD else RECORD
            piece, part = data, from_data
            if size == 0:
                piece, part = more, more_size if more_size < RECORD else RECORD
            elif size < RECORD and more_size:
                part = size + more_size if more_size < RECORD - size else RECORD
                memcpy(record, data, size)
                memcpy(record + size, more, part - size)
                piece = record
            self.writable = 0
            went = self.tls.send(piece, part)
            if went == TLS_BROKEN:
                self.broken = 1
                return DEAD
            if went == TLS_WAITS:
                self.park_record(piece, part)
            data += from_data
            size -= from_data
            more += part - from_data
            more_size -= part - from_data
        if self.parked is None:
            return SENT
        if size and self.park(data, size, None) < 0:
            return DEAD
        if more_size and self.park(more, more_size, owner) < 0:
            return DEAD
        if went == TLS_WAITS:
            poller.arm(self, READABLE if self.tls.wants_read else WRITABLE)
        return self.flush(poller) if self.writable else PARKED

    cdef int park_record(self, const char* data, size_t size) except -1:
        """Put a copy of a record before everything that is parked: it must be sent again as it is."""
        cdef Segment segment = Segment.__new__(Segment)
        segment.fd = -1
        segment.size = size
        segment.owner = PyBytes_FromStringAndSize(data, size)
        segment.data = PyBytes_AS_STRING(segment.owner)
        segment.next = self.parked
        if self.parked is None:
            self.parked_last = segment
        self.parked = segment
        self.parked_memory += size
        self.parked_bytes += size
        return 0

    cdef int load_block(self) except -2:
        """Read a record's worth of the file that is next: sendfile(2) cannot encrypt."""
        cdef char block[RECORD]
        cdef Segment segment = self.parked
        cdef ssize_t got
        self.sending = 1
        with nogil:
            got = pread(segment.fd, block, segment.size if segment.size < RECORD else RECORD, segment.at)
        self.sending = 0
        if got <= 0:
            if got < 0 and errno == EINTR:
                return 0
            self.broken = 1                 # the file is shorter than was promised
            return DEAD
        segment.at += got
        segment.size -= got
        self.parked_bytes -= got
        if segment.size == 0:
            self.parked = segment.next
        self.park_record(block, got)
        return 0

    cdef int end_output(self, Poller poller) except -2:
        """Nothing more will be sent: SENT, or PARKED when TLS cannot say so yet. The connection is raw afterwards."""
        cdef TLS tls = self.tls             # another thread may drop it while this one is without the GIL
        if tls is None:
            return SENT
        while not self.broken and self.parked is None and tls.end() == TLS_WAITS and not self.closing:
            if tls.using or not pw_takes(self.fd):
                poller.arm(self, WRITABLE)
                return PARKED
        tls.settle()
        self.drop_tls()
        return SENT

    cdef int drop_tls(self) noexcept:
        """From now on the bytes of the socket are taken as they come."""
        if self.tls is not None:
            self.tls.release()
            self.tls = None
        return 0

    cdef int append(self, Segment segment) except -1:
        if self.parked is None:
            self.parked = segment
        else:
            self.parked_last.next = segment
        self.parked_last = segment
        self.parked_bytes += segment.size
        return 0

    cdef int park(self, const char* data, size_t size, object owner) except -2:
        """Keep bytes for later; to a temporary file once `spool_after` bytes are kept in memory (0: never)."""
        cdef Segment segment = Segment.__new__(Segment)
        segment.fd = -1
        segment.size = size
        if self.spool_after and self.parked_memory + size > self.spool_after:
            return self.spool_bytes(data, size, segment)
        if owner is None:
            owner = PyBytes_FromStringAndSize(data, size)
            data = PyBytes_AS_STRING(owner)
        segment.owner = owner
        segment.data = data
        self.parked_memory += size
        self.append(segment)
        return 0

    cdef int spool_bytes(self, const char* data, size_t size, Segment segment) except -2:
        cdef ssize_t put
        cdef size_t done = 0
        cdef int fd
        cdef off_t at
        if self.spool is None:
            try:
                self.spool = temporary_file(False)
            except OSError:
                self.broken = self.unspooled = 1
                return DEAD
        fd = self.spool.fileno()
        at = self.spool_end
        while done < size:
            self.sending = 1
            with nogil:
                put = pwrite(fd, data + done, size - done, at + done)
            self.sending = 0
            if put < 0 and errno == EINTR:
                continue
            if put <= 0:
                self.broken = self.unspooled = 1
                return DEAD
            done += put
        self.spool_end += size
        segment.owner = self.spool
        segment.fd = fd
        segment.at = at
        self.append(segment)
        return 0

    cdef int transmit_file(self, Poller poller, int fd, off_t at, uint64_t size, object owner) except -2:
        """Send a part of a file with sendfile(2), after whatever is parked.

        Args:
            fd: duplicated when `owner` is None, else kept open by it.
        """
        cdef Segment segment = Segment.__new__(Segment)
        if self.broken:
            return DEAD
        segment.fd = fd
        if owner is None:
            segment.fd = dup(fd)
            if segment.fd < 0:
                self.broken = 1
                return DEAD
            segment.own_fd = 1
        segment.owner = owner
        segment.at = at
        segment.size = size
        self.sent += size
        self.append(segment)
        return self.flush(poller)

    cdef int park_file(self, int fd, off_t at, uint64_t size, bint own) except -1:
        """Put a part of a file behind what is parked; see `part_of_file`."""
        return self.append(part_of_file(fd, at, size, own))

    cdef int transmit_head_and_file(self, Poller poller, const char* data, size_t size, Segment file) except -2:
        """Send a response head and a part of a file behind it.

        Nothing may be parked. At most FIRST bytes of the file are sent now; `writable` tells that more could be.
        """
        cdef ssize_t got = 0
        if self.broken:
            return DEAD
        self.sent += size + file.size
        if self.tls is None:
            self.writable = 0
            # MSG_MORE: the head waits for the file's first bytes, and both leave in one packet
            got = send(self.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE)
            if got < 0:
                if errno != EAGAIN and errno != EWOULDBLOCK and errno != EINTR:
                    self.broken = 1
                    return DEAD
                got = 0
            if <size_t>got < size:
                poller.arm(self, WRITABLE)
        if <size_t>got < size and self.park(data + got, size - got, None) < 0:
            return DEAD
        self.append(file)
        return self.flush(poller, False, FIRST)

    cdef int flush(self, Poller poller, bint memory_only=False, uint64_t most=0) except -2:
        """Send parked output while the socket takes it: SENT, PARKED or DEAD.

        Only the owner sends from files, which gives up the GIL. Another thread that hears of a writable socket may
        send what is parked in memory, which keeps it; it calls with `memory_only`, and not while `sending`.

        Args:
            most: bytes after which it stops, with `writable` set, though the socket may take more; 0: none. Only for
                callers that come back by themselves.
        """
        cdef uint64_t least_left = self.parked_bytes - most if most and self.parked_bytes > most else 0
        cdef Segment segment
        cdef ssize_t got
        cdef int fd = self.fd
        while self.parked is not None:
            if self.broken:
                return DEAD
            if self.parked_bytes < least_left:
                self.writable = 1
                return PARKED
            segment = self.parked
            self.writable = 0
            if self.tls is not None:
                if memory_only:
                    self.writable = 1       # a note for the owner, who alone may use TLS
                    return PARKED
                if segment.fd >= 0:
                    if self.load_block() == DEAD:
                        return DEAD
                    continue
                got = self.tls.send(segment.data, segment.size if segment.size < RECORD else RECORD)
                if got == TLS_WAITS:
                    if self.writable:
                        continue
                    poller.arm(self, READABLE if self.tls.wants_read else WRITABLE)
                    return PARKED
                if got == TLS_BROKEN:
                    self.broken = 1
                    return DEAD
            elif segment.fd < 0:
                got = send(fd, segment.data, segment.size, MSG_DONTWAIT | MSG_NOSIGNAL)
            elif memory_only:
                self.writable = 1           # a note for the owner
                return PARKED
            else:
                self.sending = 1
                with nogil:
                    got = pw_sendfile(fd, segment.fd, segment.at, segment.size if segment.size < 1048576 else 1048576)
                self.sending = 0
                if got == 0:
                    self.broken = 1         # the file is shorter than was promised
                    return DEAD
            if got < 0:
                if errno == EAGAIN or errno == EWOULDBLOCK:
                    if self.writable:
                        continue            # it became writable while this thread was without the GIL
                    poller.arm(self, WRITABLE)
                    return PARKED
                if errno == EINTR:
                    continue
                self.broken = 1
                return DEAD
            self.parked_bytes -= got
            segment.size -= got
            if segment.fd < 0:
                segment.data += got
                self.parked_memory -= got
            else:
                segment.at += got
            if segment.size == 0:
                self.parked = segment.next
        self.parked_last = None
        self.drop_spool()
        return SENT

    cdef int drop_parked(self) except -1:
        cdef Segment segment = self.parked
        while segment is not None:          # one at a time: a long chain must not recurse
            self.parked = segment.next
            segment.next = None
            segment = self.parked
        self.parked_last = None
        self.parked_memory = self.parked_bytes = 0
        return self.drop_spool()

    cdef int drop_spool(self) except -1:
        """Let go of it first: closing gives up the GIL, and the owner may park more meanwhile."""
        spool, self.spool, self.spool_end = self.spool, None, 0
        if spool is not None:
            spool.close()
        return 0

    cdef object who(self):
        """(host, port) of this request's client for the log, as far as anybody knows it."""
        return self.claimed if self.claimed is not None else self.peer()

    cdef object peer(self):
        """(host, port) of the client, None for a unix socket."""
        cdef char text[64]
        cdef sockaddr_in* v4 = <sockaddr_in*>self.address
        cdef sockaddr_in6* v6 = <sockaddr_in6*>self.address
        if self.client is None:
            if self.family == AF_INET and inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text)) != NULL:
                self.client = (text.decode("ascii"), ntohs(v4.sin_port))
            elif self.family == AF_INET6 and inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text)) != NULL:
                self.client = (text.decode("ascii"), ntohs(v6.sin6_port))
        return self.client
