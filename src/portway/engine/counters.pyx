# cython: language_level=3, boundscheck=False, wraparound=False
"""Counters in memory that the arbiter and every worker share.

The arbiter makes the board before it forks. A worker writes its own line, plainly (its threads hold the GIL when
they do); the few numbers that another process writes as well are added to atomically. Readers see each number
whole, though not all of them at one instant.
"""

import mmap

from libc.string cimport memset

FREE = 0
STARTING = 1
READY = 2
DRAINING = 3
DEAD = 4

cdef extern from *:
    """
    #define pw_add(where, amount) __atomic_fetch_add((where), (amount), __ATOMIC_RELAXED)
    """
    int64_t pw_add(int64_t* where, int64_t amount) nogil

assert sizeof(Counters) == 248


cdef void add(int64_t* counter, int64_t amount) noexcept nogil:
    pw_add(counter, amount)


cdef class Slot:
    """One worker's counters: plain attributes, readable from every process.

    `state` is one of FREE, STARTING, READY, DRAINING, DEAD; `beat_ns` is CLOCK_MONOTONIC, written about once a
    second by the worker's engine without the GIL; `status` counts responses by their first digit.
    """

    def expect(self):
        """Count a connection that is on its way to this slot; the worker that gets it does not count it again."""
        add(&self.counters.connections, 1)

    def reset(self):
        """Zero every counter, before a new worker takes the slot."""
        memset(self.counters, 0, sizeof(Counters))

    @property
    def state(self):
        return self.counters.state

    @state.setter
    def state(self, int64_t value):
        self.counters.state = value

    @property
    def pid(self):
        return self.counters.pid

    @pid.setter
    def pid(self, int64_t value):
        self.counters.pid = value

    @property
    def generation(self):
        return self.counters.generation

    @generation.setter
    def generation(self, int64_t value):
        self.counters.generation = value

    @property
    def interface(self):
        """A small number that the worker sets once it knows what it serves; its meaning is the server's."""
        return self.counters.interface

    @interface.setter
    def interface(self, int64_t value):
        self.counters.interface = value

    @property
    def beat_ns(self):
        return self.counters.beat_ns

    @beat_ns.setter
    def beat_ns(self, uint64_t value):
        self.counters.beat_ns = value

    @property
    def connections(self):
        return self.counters.connections

    @property
    def active(self):
        """Connections that are not idle between requests for long."""
        return self.counters.connections - self.counters.idle

    @property
    def in_flight(self):
        return self.counters.in_flight

    @property
    def requests(self):
        return self.counters.requests

    @property
    def accepted(self):
        return self.counters.accepted

    @property
    def handed_over(self):
        return self.counters.handed_over

    @property
    def received(self):
        return self.counters.received

    @property
    def bytes_in(self):
        return self.counters.bytes_in

    @property
    def bytes_out(self):
        return self.counters.bytes_out

    @property
    def status_1xx(self):
        return self.counters.statuses[1]

    @property
    def status_2xx(self):
        return self.counters.statuses[2]

    @property
    def status_3xx(self):
        return self.counters.statuses[3]

    @property
    def status_4xx(self):
        return self.counters.statuses[4]

    @property
    def status_5xx(self):
        return self.counters.statuses[5]


cdef class Board:
    """Shared memory with one `Slot` for each worker that may live at a time.

    Args:
        slots: how many; twice the workers, so that a reload has room for the new beside the old.
    """

    def __init__(self, int slots=64):
        cdef unsigned char[::1] view
        if slots < 1:
            raise ValueError(f"slots must be positive, not {slots}")
        self.memory = mmap.mmap(-1, slots * sizeof(Counters))
        view = self.memory
        self.base = <Counters*>&view[0]
        self.slots = slots

    def slot(self, int index):
        """Return the slot of that index; the same memory in every process that forked from here."""
        cdef Slot slot
        if not 0 <= index < self.slots:
            raise IndexError(f"slot {index} of {self.slots}")
        slot = Slot.__new__(Slot)
        slot.counters = &self.base[index]
        slot.index = index
        slot.board = self
        return slot

    cdef int least_loaded(self, int me) noexcept nogil:
        """The ready slot with the fewest busy connections; `me` unless another has fewer."""
        cdef int i, best = me
        cdef int64_t load, least = self.base[me].connections - self.base[me].idle + self.base[me].in_flight
        for i in range(self.slots):
            if i == me or self.base[i].state != 2:
                continue
            load = self.base[i].connections - self.base[i].idle + self.base[i].in_flight
            if load < least:
                best, least = i, load
        return best

    cdef int successor(self, int me) noexcept nogil:
        """The ready slot other than `me` with the fewest busy connections, -1 when there is none."""
        cdef int i, best = -1
        cdef int64_t load, least = 0
        for i in range(self.slots):
            if i == me or self.base[i].state != 2:
                continue
            load = self.base[i].connections - self.base[i].idle + self.base[i].in_flight
            if best < 0 or load < least:
                best, least = i, load
        return best
