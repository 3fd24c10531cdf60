# cython: language_level=3
from libc.stdint cimport int64_t, uint32_t, uint64_t

from portway.engine.connection cimport Connection
from portway.engine.base cimport Strand
from portway.engine.crew cimport Crew
from portway.engine.input cimport Input
from portway.engine.reply cimport Reply
from portway.engine.static cimport StaticEngine
from portway.engine.wsgi_watchdog cimport Call, WSGIWatchdog


cdef class FileWrapper:
    cdef readonly object filelike
    cdef readonly object block_size
    cdef public object close


# One request in the hands of a thread.
cdef class Exchange:
    cdef WSGIEngine engine
    cdef Connection connection
    cdef Strand strand
    cdef dict environ
    cdef object status          # of start_response, None before it
    cdef object headers
    cdef Input input
    # the request body while it is gathered
    cdef object data            # bytes, a bytearray from the second piece on
    cdef object file            # instead, past body-memory
    cdef bint lazy              # the body is received when the application reads it
    cdef uint64_t size
    # the response
    cdef int64_t declared       # its Content-Length, -1 without one
    cdef int64_t written
    cdef bint silent            # no body may follow the head
    cdef uint64_t piece_ns      # when the last piece came
    cdef uint32_t place         # hash of method and path, for the crew
    cdef bint called            # the application has the request, or had it
    cdef Call call              # its deadline; None without `timeout`

    cdef int check_current(self) except -1
    cdef int write_head(self, int64_t length) except -1
    cdef bint hold(self)
    cdef int send_held(self) except -1
    cdef int write_piece(self, const char* data, size_t size, object owner) except -1
    cdef int write_whole(self, bytes piece) except -1
    cdef int send_file(self, FileWrapper wrapper) except -1
    cdef int finish(self) except -1
    cdef object body_file(self)


cdef class WSGIEngine(StaticEngine):
    cdef object app
    cdef Crew crew
    cdef list strands
    cdef bint multiprocess
    cdef uint64_t executing     # requests that the application has
    cdef WSGIWatchdog watchdog  # None without `timeout`
    cdef list calls             # what each thread is doing; None without `timeout`
    cdef int lazy               # of these, some whose body is received on their thread

    cdef void step_aside(self, Strand strand) noexcept
    cdef void step_back(self, Strand strand) noexcept
    cdef int identify(self, Connection c, dict environ) except -1
    cdef int respond(self, Exchange exchange) except -1
    cdef int failed(self, Exchange exchange, object exc) except -1
    cdef int take_body(self, Connection c, Strand strand) except -2
    cdef int lead(self, Strand strand) except -1
    cdef int send_held_by_others(self, Strand strand) except -1
    cdef int start_watchdog(self) except -1
    cdef int wait_writable(self, Connection c) except -1
