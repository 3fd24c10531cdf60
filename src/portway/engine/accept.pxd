# cython: language_level=3
from libc.stdint cimport uint64_t

from portway.engine.base cimport Listener
from portway.engine.connection cimport Connection
from portway.engine.cposix cimport sockaddr_storage
from portway.engine.deadlines cimport Queue
from portway.engine.transfer cimport Transferor


cdef class Acceptor(Transferor):
    cdef bint queues_full       # those of all successors, at the last look

    cdef bint handover_waiting(self) noexcept
    cdef int accept_all(self, Listener listener) except -1
    cdef int successor(self, Connection c) noexcept
    cdef bint may_pass(self, Connection c) noexcept
    cdef bint pass_on(self, Connection c)
    cdef int end_waiting(self, Queue* queue, bint late) except -1
    cdef int end_idle(self, Connection c, bint late) except -1
    cdef int adopt(self, int fd, Listener listener, sockaddr_storage* address, int flags) except -1
    cdef int greet(self, Connection c) except -1
    cdef int introduce(self, Connection c, const char** why) except -1
    cdef int dismiss(self, Connection c, const char* why) except -1
    cdef bint hand_over(self, int fd, int target, int listener, sockaddr_storage* address, int flags)
    cdef int take_handed(self) except -1
    cdef bint reap(self)
    cdef Connection longest_idle(self)
    cdef int pause_accepting(self, uint64_t ms) except -1
