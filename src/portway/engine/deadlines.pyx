# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Deadlines: one queue for each kind of waiting, since all that wait for one kind wait equally long.

The first of a queue expires first, so setting a deadline, clearing it and finding what has expired all take
constant time, and ten thousand idle connections cost nothing until one is due.
"""


cdef void queue_init(Queue* queue, uint64_t timeout_ms) noexcept nogil:
    queue.ends.before = queue.ends.after = &queue.ends
    queue.timeout_ms = timeout_ms
    queue.count = 0


cdef void link_init(Link* link, void* owner) noexcept nogil:
    link.before = link.after = NULL
    link.owner = owner
    link.queue = NULL


cdef void link_remove(Link* link) noexcept nogil:
    if link.queue == NULL:
        return
    link.before.after = link.after
    link.after.before = link.before
    link.queue.count -= 1
    link.queue = NULL


cdef void link_move(Link* link, Queue* queue, uint64_t now_ms) noexcept nogil:
    """Put the link at the end of the queue, from wherever it was; its waiting starts now."""
    link_remove(link)
    link.since_ms = now_ms
    link.queue = queue
    link.after = &queue.ends
    link.before = queue.ends.before
    link.before.after = link
    queue.ends.before = link
    queue.count += 1


cdef Link* queue_first(Queue* queue) noexcept nogil:
    return queue.ends.after if queue.ends.after != &queue.ends else NULL


cdef Link* queue_expired(Queue* queue, uint64_t now_ms) noexcept nogil:
    """The longest waiting link if its time is over, else NULL."""
    cdef Link* link = queue_first(queue)
    if link == NULL or queue.timeout_ms == 0 or now_ms < link.since_ms + queue.timeout_ms:
        return NULL
    return link
