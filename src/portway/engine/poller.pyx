# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Readiness: epoll where there is one, poll() elsewhere or where PORTWAY_POLLER=poll asks for it.

Connections are edge triggered. Whoever gets `READABLE` owes reads until one comes back short, then says `arm`,
which tells poll() to watch again and costs nothing under epoll. So no request costs a call of epoll_ctl, and a
connection that nobody reads from makes no noise.

Under an event loop the portable path has no descriptor of its own to nest: the engine sets `hook`, which gets the
connection and what it waits for, and uses the loop's own readers and writers.
"""

import os
import sys

from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.ref cimport PyObject

from portway.engine.cposix cimport (
    EINTR, POLLERR, POLLHUP, POLLIN, POLLOUT, close, errno, poll, write,
)

cdef extern from * nogil:
    """
    #include <stdint.h>
    #if defined(__linux__)
    #include <sys/epoll.h>
    #include <errno.h>
    #define PW_EPOLL 1
    #define PW_IN (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)
    #define PW_OUT (EPOLLOUT | EPOLLHUP | EPOLLERR)
    static inline int pw_watch(int ep, int fd, void* what, int edge) {
        struct epoll_event e;
        e.data.ptr = what;
        e.events = edge ? (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET) : (EPOLLIN | EPOLLEXCLUSIVE);
        if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0) return 0;
        if (edge || errno != EINVAL) return -1;
        e.events = EPOLLIN;
        return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
    }
    static inline int pw_unwatch(int ep, int fd) {
        struct epoll_event e;
        return epoll_ctl(ep, EPOLL_CTL_DEL, fd, &e);
    }
    static inline int pw_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
    static inline int pw_wait(int ep, void* events, int size, int timeout) {
        return epoll_wait(ep, (struct epoll_event*)events, size, timeout);
    }
    static inline void* pw_watched(void* events, int i) { return ((struct epoll_event*)events)[i].data.ptr; }
    static inline uint32_t pw_what(void* events, int i) {
        uint32_t e = ((struct epoll_event*)events)[i].events;
        return ((e & PW_IN) ? 1u : 0u) | ((e & PW_OUT) ? 2u : 0u) |
            ((e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ? 4u : 0u);
    }
    static inline size_t pw_event_size(void) { return sizeof(struct epoll_event); }
    #else
    #define PW_EPOLL 0
    static inline int pw_watch(int ep, int fd, void* what, int edge) { return -1; }
    static inline int pw_unwatch(int ep, int fd) { return -1; }
    static inline int pw_create(void) { return -1; }
    static inline int pw_wait(int ep, void* events, int size, int timeout) { return -1; }
    static inline void* pw_watched(void* events, int i) { return 0; }
    static inline uint32_t pw_what(void* events, int i) { return 0; }
    static inline size_t pw_event_size(void) { return 1; }
    #endif
    """
    int PW_EPOLL
    int pw_watch(int ep, int fd, void* what, int edge)
    int pw_unwatch(int ep, int fd)
    int pw_create()
    int pw_wait(int ep, void* events, int size, int timeout)
    void* pw_watched(void* events, int i)
    uint32_t pw_what(void* events, int i)
    size_t pw_event_size()


cdef class Watched:
    """A descriptor, its kind, and for poll() what it wants to hear of."""


cdef class Poller:
    """One for each worker; every call but the waiting itself holds the GIL."""

    def __cinit__(self, int size=512):
        self.epoll = -1
        self.size = size
        self.portable = not PW_EPOLL or os.environ.get("PORTWAY_POLLER") == "poll"
        self.ready = <Ready*>PyMem_Malloc(size * sizeof(Ready))
        self.events = PyMem_Malloc(size * pw_event_size())
        self.table = []
        if self.ready == NULL or self.events == NULL:
            raise MemoryError()

    def __init__(self, int size=512):
        if sys.platform == "win32":
            raise OSError("Portway does not run on Windows itself; run it inside WSL")
        if not self.portable:
            self.epoll = pw_create()
            if self.epoll < 0:
                raise OSError(errno, os.strerror(errno))

    def __dealloc__(self):
        if self.epoll >= 0:
            close(self.epoll)
        PyMem_Free(self.ready)
        PyMem_Free(self.events)
        PyMem_Free(self.slots)

    cdef int watch(self, Watched watched, bint edge) except -1:
        """Begin to watch. An edge-triggered one hears of both directions, others of readability until unwatched."""
        if self.portable:
            watched.place = len(self.table)
            self.table.append(watched)
            self.arm(watched, READABLE)
            return 0
        if pw_watch(self.epoll, watched.fd, <void*>watched, edge) < 0:
            raise OSError(errno, os.strerror(errno))
        return 0

    cdef int unwatch(self, Watched watched) except -1:
        """End it. Explicit, because a forked child of the application may keep the descriptor's twin open."""
        cdef Watched last
        if not self.portable:
            pw_unwatch(self.epoll, watched.fd)
            return 0
        self.arm(watched, 0)
        last = self.table.pop()
        if last is not watched:
            self.table[watched.place] = last
            last.place = watched.place
        return 0

    cdef void arm(self, Watched watched, uint32_t what):
        """Ask to hear of this from now on: needed by poll(), which would else repeat itself. Nothing under epoll."""
        if self.portable:
            watched.armed = what if what == 0 else watched.armed | what
            if self.hook is not None:
                self.hook(watched, watched.armed)
            elif self.polling and what:
                write(self.wake_fd, b"\0", 1)

    cdef int wait(self, int timeout_ms, bint give_gil) except -1:
        """Fill `ready` with a new batch; returns its size, 0 at the timeout or a signal."""
        cdef int got, i
        if self.portable:
            return self.wait_portable(timeout_ms)
        if give_gil:
            with nogil:
                got = pw_wait(self.epoll, self.events, self.size, timeout_ms)
        else:
            got = pw_wait(self.epoll, self.events, self.size, timeout_ms)
        if got < 0:
            if errno != EINTR:
                raise OSError(errno, os.strerror(errno))
            got = 0
        for i in range(got):
            self.ready[i].watched = pw_watched(self.events, i)
            self.ready[i].what = pw_what(self.events, i)
        self.next = 0
        self.count = got
        return got

    cdef int wait_portable(self, int timeout_ms) except -1:
        cdef int got, i, count = 0, total = len(self.table)
        cdef Watched watched
        cdef pollfd* slots
        if total > self.slots_size:
            slots = <pollfd*>PyMem_Realloc(self.slots, total * 2 * sizeof(pollfd))
            if slots == NULL:
                raise MemoryError()
            self.slots = slots
            self.slots_size = total * 2
        for i in range(total):
            watched = self.table[i]
            self.slots[i].fd = watched.fd if watched.armed else -1
            self.slots[i].events = (POLLIN if watched.armed & READABLE else 0) | (
                POLLOUT if watched.armed & WRITABLE else 0
            )
            self.slots[i].revents = 0
        slots = self.slots
        self.polling = True
        with nogil:
            got = poll(slots, total, timeout_ms)
        self.polling = False
        if got < 0 and errno != EINTR:
            raise OSError(errno, os.strerror(errno))
        for i in range(total if got > 0 else 0):
            if slots[i].revents == 0 or count == self.size or i >= len(self.table):
                continue
            watched = self.table[i]
            if watched.fd != slots[i].fd:
                continue        # another thread closed something while this one slept; the rest will be told again
            self.ready[count].watched = <void*>watched
            self.ready[count].what = 0
            if slots[i].revents & (POLLIN | POLLERR | POLLHUP):
                self.ready[count].what |= READABLE
            if slots[i].revents & (POLLERR | POLLHUP):
                self.ready[count].what |= CLOSING
            if slots[i].revents & (POLLOUT | POLLERR | POLLHUP):
                self.ready[count].what |= WRITABLE
            if watched.kind == KIND_CONNECTION:
                watched.armed &= ~self.ready[count].what
            count += 1
        self.next = 0
        self.count = count
        return count
