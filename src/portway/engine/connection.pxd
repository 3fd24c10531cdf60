# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from portway.engine.body cimport Body
from portway.engine.cposix cimport off_t
from portway.engine.deadlines cimport Link
from portway.engine.poller cimport Poller, Watched
from portway.engine.tls cimport TLS


cdef enum:
    HEAD = 0                    # between requests, or in the middle of a head
    BODY = 1                    # gathering a body before the application is called
    APPLICATION = 2             # the application has the request
    FLUSH = 3                   # the response is complete but parked
    DISCARD = 4                 # reading the rest of a body that nobody wants
    LINGER = 5                  # our side is shut; reading until the peer has seen it
    CLOSED = 6
    GREETING = 7                # a PROXY header must come first
    MOVING = 8                  # the other engine of this process is to have it

cdef enum:
    ALIVE_CONNECTIONS = 0       # kinds of objects that are counted, see alive()
    ALIVE_SEGMENTS = 1
    ALIVE_STASHES = 2
    ALIVE_EXCHANGES = 3
    ALIVE_STRANDS = 4

cdef enum:
    SENT = 0
    PARKED = 1
    DEAD = -1


# Output that the socket would not take: bytes kept by reference, or a part of a file.
cdef class Segment:
    cdef Segment next
    cdef object owner
    cdef const char* data
    cdef int fd                 # -1 for bytes
    cdef bint own_fd
    cdef off_t at
    cdef uint64_t size


cdef Segment part_of_file(int fd, off_t at, uint64_t size, bint own)


cdef class Connection(Watched):
    # Who: at any time one thread owns a connection (`busy`); all of it changes under the GIL.
    cdef uint8_t state
    cdef uint8_t busy
    cdef uint8_t readable       # there may be bytes to receive
    cdef uint8_t closing        # the peer has shut its side: receive until the end
    cdef uint8_t ended          # the end has been received
    cdef uint8_t broken         # nothing more can be sent
    cdef uint8_t sending        # the owner sends without the GIL: hands off
    cdef uint8_t writable       # noted by another thread: the socket takes bytes again
    cdef uint8_t hungry         # what is stashed is not a whole head
    cdef uint8_t first          # no request was served yet
    cdef uint8_t queued         # is in `again`
    cdef uint8_t home           # which engine of this process has it, see transfer.pyx
    cdef int mount              # the place of the route that took the request, -1 for none
    cdef uint8_t moved          # its next head has been read before, by the other engine
    cdef uint8_t cut            # what is parked ends a response that is not complete
    cdef uint8_t family
    # the request under way
    cdef uint8_t minor
    cdef uint8_t keep           # the connection outlives this request
    cdef uint8_t is_head
    cdef uint8_t expects        # 100-continue is asked for and not yet sent
    cdef uint8_t chunked        # the response is
    cdef uint8_t started        # the response head is out
    cdef int status
    cdef uint64_t sent          # bytes sent for this request so far
    cdef uint64_t head_sent     # of these, up to the end of the response head
    cdef uint64_t began_ns
    cdef uint64_t budget        # bytes that may still be read and thrown away
    cdef bytes head             # its raw bytes, kept for the access log alone
    cdef object block           # in place of those of the header block, when a memo has them
    cdef bytes request_id       # None unless ids are wanted
    cdef Body body
    cdef object exchange        # the driver's own for this request
    cdef object memo            # the last header block, see environ.pyx and scope.pyx
    cdef Link link
    # input that nobody has used yet
    cdef char* stash
    cdef size_t stash_size, stash_capacity, parsed
    # output that the socket has not taken yet
    cdef Segment parked, parked_last
    cdef uint8_t unspooled      # the temporary folder had no room for the response
    cdef int unacknowledged     # bytes, when the write deadline was set
    cdef uint64_t parked_memory, parked_bytes, spool_after, spool_limit
    cdef object spool
    cdef off_t spool_end
    cdef TLS tls                # None: the bytes of the socket are those of HTTP
    # where it came from
    cdef Watched listener
    cdef uint8_t address[28]
    cdef object client          # (host, port), made when first asked for
    cdef uint8_t trusted        # what it says of clients is believed, see forwarded.pyx
    cdef uint8_t passport       # what another worker must know of it, see accept.pyx
    cdef object claimed         # (host, port) of the client of this request, as a trusted peer says
    cdef object port_text       # REMOTE_PORT
    cdef object server

    cdef ssize_t receive(self, char* data, size_t size) noexcept
    cdef ssize_t receive_tls(self, char* data, size_t size) noexcept
    cdef int transmit_tls(
        self, Poller poller, const char* data, size_t size, const char* more, size_t more_size, object owner
    ) except -2
    cdef int park_record(self, const char* data, size_t size) except -1
    cdef int load_block(self) except -2
    cdef int end_output(self, Poller poller) except -2
    cdef int drop_tls(self) noexcept
    cdef int keep_input(self, const char* data, size_t size) except -1
    cdef void use_stash(self, size_t used) noexcept
    cdef void drop_stash(self) noexcept
    cdef int transmit(
        self, Poller poller, const char* data, size_t size, const char* more, size_t more_size, object owner
    ) except -2
    cdef int transmit_file(self, Poller poller, int fd, off_t at, uint64_t size, object owner) except -2
    cdef int park_file(self, int fd, off_t at, uint64_t size, bint own) except -1
    cdef int transmit_head_and_file(self, Poller poller, const char* data, size_t size, Segment file) except -2
    cdef int park(self, const char* data, size_t size, object owner) except -2
    cdef int append(self, Segment segment) except -1
    cdef int spool_bytes(self, const char* data, size_t size, Segment segment) except -2
    cdef int flush(self, Poller poller, bint memory_only=*, uint64_t most=*) except -2
    cdef int drop_parked(self) except -1
    cdef int drop_spool(self) except -1
    cdef object peer(self)
    cdef object who(self)


cdef object temporary_file(bint buffered)
cdef void born(int kind) noexcept nogil
cdef void died(int kind) noexcept nogil
