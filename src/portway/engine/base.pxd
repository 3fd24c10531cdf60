# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from portway.engine.access cimport AccessLog, Block
from portway.engine.connection cimport Connection
from portway.engine.counters cimport Board, Counters, Slot
from portway.engine.deadlines cimport Queue
from portway.engine.folder cimport Kind
from portway.engine.forwarded cimport Claim, Trust
from portway.engine.head cimport Framing, HeadParser
from portway.engine.peers cimport Peers
from portway.engine.poller cimport Poller, Watched
from portway.engine.ranges cimport RANGES_MOST, Range
from portway.engine.reply cimport Buffer
from portway.engine.table cimport Table


cdef enum:
    INPUT_SIZE = 65536
    OUTPUT_SIZE = 65536
    SMALL = 16384               # bodies up to this are copied behind their head: one send, no second vector
    LOG_MS = 50                 # how long a record waits at most while events are served
    MEMOS = 64                  # header blocks remembered for all connections together


# The buffers of one thread. They are used between two points at which the GIL can be lost, never across one.
cdef class Strand:
    cdef int index
    cdef char* input
    cdef Buffer out
    cdef HeadParser parser
    cdef Buffer held            # output of `holding` that has not been sent yet, see wsgi.pyx
    cdef Connection holding
    # an answer of the engine's own, between `route` and `answer`: see static.pyx
    cdef Buffer path            # of the request in its normal form, and the name of its file
    cdef int file               # what is sent behind `out`, or -1
    cdef uint64_t file_at, file_size
    cdef Range ranges[RANGES_MOST]
    cdef int range_count        # 0, or of several that are sent in parts
    cdef Kind* kind             # of the file, for the parts
    cdef bytes boundary


# Nothing in it depends on the request line or the body. Bounded: one per connection, dropped when that idles.
cdef class Memo(Block):
    cdef uint8_t minor
    cdef Framing framing
    cdef object template
    cdef Watched listener
    cdef uint8_t trusted        # of whom it came: what it says is believed, or was dropped
    cdef Claim claim


cdef class Listener(Watched):
    cdef object sock
    cdef int number
    cdef bint own               # this worker accepts from it, not only others
    cdef object server          # (host, port), or (path, None) for a unix socket
    cdef bint wildcard
    cdef object tls             # the policy of TLS, None without
    cdef object redirect        # where to send clients instead of serving them, None to serve
    cdef object template        # the driver's own


cdef class Handover(Watched):
    cdef object sock
    cdef dict targets


cdef class Wakeup(Watched):
    pass


cdef class Base:
    cdef Poller poller
    cdef object settings, report
    cdef AccessLog access
    cdef list listeners         # accepted from
    cdef dict known             # every listener that a connection here may be of, by its number
    cdef Handover handover
    cdef Wakeup wakeup
    cdef int wake_read, wake_write
    cdef public object on_wakeup, on_stuck
    cdef public int nudge
    cdef public Table table         # who answers which path; None: the application, always
    cdef public bint tell_mount     # environs and scopes have the place of their route as `portway.mount`
    cdef public bint tell_peer      # scopes have the other end's address as `portway.peer`, for our own applications
    cdef public bint tell_fields    # environs have the field lines as they were sent, for Lambda's events
    cdef list graveyard, again, memos
    cdef Slot slot
    cdef Board board
    cdef Counters own_counters
    cdef Counters* counters
    # connections, by what they wait for
    cdef Queue heads, bodies, fresh, idle, writing, lingering, active
    cdef uint64_t now_ms, keep_alive_ms, ticked_ms, timeout_ms
    cdef uint64_t clock_ns          # when the last response of this batch was over, 0 before one was
    cdef uint64_t slow_ns
    cdef bytes id_name, id_line     # the field of request ids, in lower case and as it is written; None without
    cdef int told                   # how often the access log had news
    cdef uint64_t logged_ms         # when it was written last
    cdef uint64_t limit_body, limit_connections, limit_concurrency, body_memory, response_spool
    cdef bint date, server
    cdef bytes hsts             # the whole field line, None without
    cdef frozenset underscores
    cdef str root_path
    cdef Trust trust
    cdef int distrusted         # kinds of fields whose dropping was said already
    cdef Peers proxies          # who must begin with a PROXY header; None: nobody
    cdef int proxy_versions
    cdef bint draining, stopped, paused
    cdef double drain_wanted
    cdef uint64_t drain_until_ms, resume_ms
    cdef uint64_t drain_idle_ms     # how long a connection that was just active may still bring a request
    cdef uint64_t spool_after

    cdef Strand new_strand(self, int index)
    cdef uint64_t next_tick_ms(self) noexcept
    cdef int turn_timeout(self) except -2
    cdef int tick(self) except -1
    cdef int place(self, Connection c) except -1
    cdef int close_connection(self, Connection c) except -1
    cdef int cut_all(self) except -1
    cdef int start_pulse(self) except -1
    cdef int64_t open_connections(self) noexcept
    cdef int64_t all_idle(self) noexcept
    cdef bint batch_left(self) noexcept
    cdef int expire(self, Queue* queue, uint64_t heard_ms, int status, const char* why) except -1
    cdef int expire_fresh(self) except -1
    cdef bint has_input(self, Connection c) noexcept
    cdef int count(self, Connection c, uint64_t now=*) except -1
    cdef int write_access(self) except -1
    cdef int log_access(self, Connection c, uint64_t took) except -1
    cdef int tell(self, int status, const char* why, Connection c) except -1
    cdef int notice(self, str key, str text) except -1
    cdef int fault(self, object exc) except -1
    cdef int blame(self, object exc, str request) except -1
    cdef bint still_reads(self, Connection c)
    cdef int cut_body(self, Connection c) except -1
    # what the classes below add
    cdef int begin_drain(self) except -1
    cdef int continue_drain(self, uint64_t heard_ms) except -1
    cdef int resume_accepting(self) except -1
    cdef int on_head(self, Connection c, Strand strand, const char* data) except -1
    cdef int on_piece(self, Connection c, const char* data, size_t size) except -1
    cdef int on_begin(self, Connection c, Strand strand) except -1
    cdef int on_end(self, Connection c, Strand strand) except -1
    cdef int on_broken(self, Connection c, Strand strand, int status, const char* why) except -1
    cdef int on_flushed(self, Connection c) except -1
    cdef int on_close(self, Connection c) except -1
    cdef bint wants_body(self, Connection c)
    cdef bint at_work(self)
    cdef int on_logged(self) except -1
    cdef int on_again_added(self, Strand strand) except -1
    cdef bint leads(self, Strand strand) noexcept
    cdef str named(self, Connection c, str request)
    cdef str request_of(self, Connection c)
    cdef object template_for(self, Listener listener)


cdef uint64_t least(uint64_t a, uint64_t b) noexcept nogil
cdef list members(Queue* queue)
