# cython: language_level=3
from libc.stdint cimport uint64_t


# A connection's place in at most one queue. Intrusive: entering and leaving allocate nothing.
cdef struct Link:
    Link* before
    Link* after
    void* owner                 # the Connection, a borrowed reference
    uint64_t since_ms
    Queue* queue


# Connections that wait for one kind of thing, the longest waiting first.
cdef struct Queue:
    Link ends
    uint64_t timeout_ms         # 0: no deadline
    uint64_t count


cdef void queue_init(Queue* queue, uint64_t timeout_ms) noexcept nogil
cdef void link_init(Link* link, void* owner) noexcept nogil
cdef void link_remove(Link* link) noexcept nogil
cdef void link_move(Link* link, Queue* queue, uint64_t now_ms) noexcept nogil
cdef Link* queue_first(Queue* queue) noexcept nogil
cdef Link* queue_expired(Queue* queue, uint64_t now_ms) noexcept nogil
