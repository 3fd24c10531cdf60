# cython: language_level=3
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t

from portway.engine.base cimport Strand
from portway.engine.connection cimport Connection
from portway.engine.deadlines cimport Link, Queue
from portway.engine.static cimport StaticEngine


cdef enum:
    NEW = 0                     # stages of a response
    STARTED = 1                 # http.response.start was sent, its head is still here
    STREAMING = 2
    TRAILERS = 3
    OVER = 4

    PARKED_MOST = 65536         # response bytes that wait for the client before `send` does
    CAUSES_MOST = 8             # exceptions looked at, each the cause of the one before


cdef bint comes_of_disconnect(object exc, int depth) except -1


# One request: the coroutine that its Task runs, and the application's `receive` and `send`.
cdef class Exchange:
    cdef ASGIBase engine
    cdef Connection connection
    cdef object scope
    cdef object inner           # the application's own coroutine
    cdef object task
    cdef bint running           # the application was or will be called, and has not ended
    # the request body
    cdef object piece           # what waits: bytes, a bytearray once it came in more than one piece
    cdef uint64_t waiting       # bytes of body that the application has not taken
    cdef bint complete          # its end has arrived
    cdef bint delivered         # its end was given out
    cdef bint disconnected      # what `receive` says from now on
    cdef bint gone              # nothing can be sent any more
    cdef bint told              # the server ends, the client is still there
    cdef object receiver        # the future that `receive` waits for
    # once the connection has changed its protocol, see stream.pyx
    cdef bint upgrading         # it may
    cdef bint upgraded          # it has
    cdef object sink            # takes what comes instead of `receive`
    cdef bint held              # it wants nothing more for now
    # the response
    cdef int stage
    cdef object status
    cdef object headers
    cdef bint trailers
    cdef bint silent
    cdef int64_t declared
    cdef int64_t written
    cdef object drainer         # the future that `send` waits for
    # its deadline, see asgi_watchdog.pyx
    cdef Link limit
    cdef bint overdue           # the log has been told
    cdef int interruptions
    cdef bint written_off       # it goes on after all of them: nothing waits for its end any more

    cdef object message(self)
    cdef int write_head(self, int64_t length) except -1
    cdef int write_body(self, object body, bint more) except -1
    cdef int write_file(self, int fd, int64_t at, int64_t size, bint more, object owner) except -1
    cdef int write_trailers(self, object headers) except -1
    cdef int early_hint(self, object links) except -1
    cdef int finish(self) except -1
    cdef object after_write(self)
    cdef int call(self) except -1
    cdef str described(self)
    cdef int leave(self) except -1
    cdef int disconnect(self) except -1
    cdef bint endless(self)
    cdef int take(self, bytes piece) except -1
    cdef int tell_sink(self, bytes piece) except -1
    cdef int input_over(self) except -1
    cdef int server_ends(self) except -1
    cdef int returned(self) except -1
    cdef int give_up(self) except -1
    cdef int time_out(self) except -1
    cdef int raised(self, object exc) except -1
    cdef int raised_with(self, object exc) except -1


cdef class ASGIBase(StaticEngine):
    cdef object app
    cdef public object upgraded   # the application of requests that ask for another protocol, or None
    cdef object loop
    cdef Strand strand
    cdef int64_t running        # applications whose coroutine has not ended
    cdef bint again_waits
    # requests with a deadline, the oldest first; those whose task was cancelled for it
    cdef bint limited
    cdef Queue timed, cancelled
    cdef PyObject* stepping     # the Exchange whose task runs a step, borrowed
    cdef uint64_t steps
    cdef bint interrupted       # the step's thread has been, see withdraw

    cdef int response_over(self, Exchange exchange) except -1
    cdef int resume(self, Connection c) except -1
    cdef int schedule_again(self) except -1
    cdef int withdraw(self) noexcept
