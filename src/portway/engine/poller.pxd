# cython: language_level=3
from libc.stdint cimport uint32_t

from portway.engine.cposix cimport pollfd


cdef enum:
    READABLE = 1
    WRITABLE = 2
    CLOSING = 4                 # the peer shut its side, or the socket broke: read to the end
    KIND_WAKEUP = 0
    KIND_LISTENER = 1
    KIND_HANDOVER = 2
    KIND_CONNECTION = 3


# Anything with a descriptor that the poller watches.
cdef class Watched:
    cdef int fd
    cdef int kind
    cdef uint32_t armed         # poll only: what it still wants to hear of
    cdef int place              # poll only: its index in the table


cdef struct Ready:
    void* watched               # borrowed; the engine buries closed ones only between batches
    uint32_t what


cdef class Poller:
    cdef readonly bint portable
    cdef int epoll
    cdef int size               # of `ready`
    cdef int count
    cdef int next
    cdef Ready* ready
    cdef void* events
    cdef list table
    cdef pollfd* slots
    cdef int slots_size
    cdef object hook
    cdef int wake_fd
    cdef bint polling

    cdef int watch(self, Watched watched, bint edge) except -1
    cdef int unwatch(self, Watched watched) except -1
    cdef void arm(self, Watched watched, uint32_t what)
    cdef int wait_portable(self, int timeout_ms) except -1
    cdef int wait(self, int timeout_ms, bint give_gil) except -1
