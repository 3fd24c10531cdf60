# cython: language_level=3, boundscheck=False, wraparound=False
"""Counters in memory that the arbiter and every worker share.

The arbiter makes the board before it forks. A worker writes its own line, plainly (its threads hold the GIL when
they do); the few numbers that another process writes as well are added to atomically. Readers see each number
whole, though not all of them at one instant.

What a worker counted outlives it: before a line is cleared for the next worker, the arbiter adds it to one more line,
that of the workers which are gone. A version number, odd meanwhile, keeps a reader from seeing both or neither.
"""

import mmap

from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

from portway.engine.cposix cimport CLOCK_REALTIME, clock_gettime, timespec

FREE = 0
STARTING = 1
READY = 2
DRAINING = 3
DEAD = 4

cdef extern from *:
    """
    #define pw_add(where, amount) __atomic_fetch_add((where), (amount), __ATOMIC_RELAXED)
    #define pw_see(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
    #define pw_show(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
    #define pw_top_bit(x) (63 - __builtin_clzll(x))
    """
    int64_t pw_add(int64_t* where, int64_t amount) nogil
    uint64_t pw_see(uint64_t x) nogil
    void pw_show(uint64_t x, uint64_t v) nogil
    int pw_top_bit(uint64_t x) nogil

cdef enum:
    TRIES = 1000                # of a reader, when the arbiter died in the middle of a change


cdef void add(int64_t* counter, int64_t amount) noexcept nogil:
    pw_add(counter, amount)


cdef void observe(Histogram* histogram, uint64_t ns) noexcept nogil:
    """Count a duration. Buckets: 0, 1, 2 and 3 us, then four for each power of two."""
    cdef uint64_t us = ns // 1000
    cdef int top, bucket = <int>us
    if us >= 4:
        top = pw_top_bit(us)
        bucket = (top - 1) * 4 + <int>(us >> (top - 2) & 3)
        if bucket >= BUCKETS:
            bucket = BUCKETS - 1
    histogram.total_ns += ns
    histogram.buckets[bucket] += 1


cdef void note_slow(Counters* counters, bytes text, int status, uint64_t took_ns) noexcept:
    """Keep a slow request in the ring of its worker."""
    cdef Slow* slow = &counters.slow[counters.slow_count % SLOW_KEPT]
    cdef timespec now
    cdef size_t size = len(text)
    clock_gettime(CLOCK_REALTIME, &now)
    pw_show(slow.stamp, 0)
    slow.at_s = now.tv_sec
    slow.took_us = took_ns // 1000
    slow.status = status
    slow.size = <uint32_t>(size if size < SLOW_TEXT else SLOW_TEXT)
    memcpy(slow.text, <const char*>text, slow.size)
    counters.slow_count += 1
    pw_show(slow.stamp, counters.slow_count)


def bucket_limit(int bucket):
    """Return the microseconds that a bucket ends below; the last one has no end."""
    if bucket < 4:
        return bucket + 1
    return (bucket % 4 + 5) << (bucket // 4 - 1)


cdef void add_histogram(Histogram* to, Histogram* histogram) noexcept nogil:
    cdef int i
    to.total_ns += histogram.total_ns
    for i in range(BUCKETS):
        to.buckets[i] += histogram.buckets[i]


cdef tuple histogram_of(Histogram* histogram):
    cdef int i
    return histogram.total_ns // 1000, [histogram.buckets[i] for i in range(BUCKETS)]


cdef list slow_of(Counters* counters):
    cdef Slow* slow
    cdef Slow copy
    cdef int i
    found = []
    for i in range(SLOW_KEPT):
        slow = &counters.slow[i]
        copy = slow[0]
        if copy.stamp and copy.stamp == pw_see(slow.stamp) and copy.size <= SLOW_TEXT:
            text = copy.text[:copy.size].decode("utf-8", "replace")
            found.append((copy.at_s, copy.took_us, copy.status, text))
    return found


cdef dict line_of(Counters* line):
    cdef int i
    return {
        "state": line.state,
        "pid": line.pid,
        "generation": line.generation,
        "connections": line.connections,
        "active": line.connections - line.idle,
        "in_flight": line.in_flight,
        "requests": line.requests,
        "accepted": line.accepted,
        "handed_over": line.handed_over,
        "received": line.received,
        "bytes_in": line.bytes_in,
        "bytes_out": line.bytes_out,
        "statuses": {i: line.codes[i] for i in range(CODES) if line.codes[i]},
        "latency": histogram_of(&line.latency),
        "queued": histogram_of(&line.queued),
        "slow": slow_of(line),
    }


cdef class Slot:
    """One worker's counters: plain attributes, readable from every process.

    `state` is one of FREE, STARTING, READY, DRAINING, DEAD; `beat_ns` is CLOCK_MONOTONIC, written about once a
    second by the worker's engine without the GIL; `status` counts responses by their first digit.
    """

    cdef int64_t class_of(self, int first):
        cdef int i
        cdef int64_t sum = 0
        for i in range(first * 100, first * 100 + 100):
            sum += self.counters.codes[i]
        return sum

    def expect(self):
        """Count a connection that is on its way to this slot; the worker that gets it does not count it again."""
        add(&self.counters.connections, 1)

    def reset(self):
        """Zero every counter, before a new worker takes the slot; the board keeps the sums."""
        (<Board>self.board).retire(self.counters)

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
    def knows(self):
        """Connections of listeners with smaller numbers may be handed over to it; see `Acceptor.add_listener`."""
        return self.counters.knows

    @knows.setter
    def knows(self, int64_t value):
        self.counters.knows = value

    @property
    def beat_ns(self):
        return self.counters.beat_ns

    @beat_ns.setter
    def beat_ns(self, uint64_t value):
        self.counters.beat_ns = value

    @property
    def looks_ms(self):
        return self.counters.looks_ms

    @looks_ms.setter
    def looks_ms(self, uint64_t value):
        self.counters.looks_ms = value

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
        return self.class_of(1)

    @property
    def status_2xx(self):
        return self.class_of(2)

    @property
    def status_3xx(self):
        return self.class_of(3)

    @property
    def status_4xx(self):
        return self.class_of(4)

    @property
    def status_5xx(self):
        return self.class_of(5)


cdef class Board:
    """Shared memory with one `Slot` for each worker that may live at a time.

    Args:
        slots: how many; twice the workers, so that a reload has room for the new beside the old.
    """

    def __init__(self, int slots=64):
        cdef unsigned char[::1] view
        if slots < 1:
            raise ValueError(f"slots must be positive, not {slots}")
        self.memory = mmap.mmap(-1, (slots + 1) * sizeof(Counters))
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

    @property
    def neighbour(self):
        """Whether another server takes connections over; the line of the gone has room to say so."""
        return self.base[self.slots].state == READY

    @neighbour.setter
    def neighbour(self, bint takes):
        self.base[self.slots].state = READY if takes else FREE

    def read(self):
        """Return what is counted: of the workers that are gone, and of each line that is held, by its index."""
        cdef Counters* gone = &self.base[self.slots]
        cdef uint64_t version = 0
        cdef int i
        for _ in range(TRIES):
            version = pw_see(gone.beat_ns)
            sums = line_of(gone)
            lines = {i: line_of(&self.base[i]) for i in range(self.slots) if self.base[i].state != 0}
            if version % 2 == 0 and version == pw_see(gone.beat_ns):
                break
        return sums, lines

    cdef void retire(self, Counters* line) noexcept:
        """Add a line to that of the gone, and zero it."""
        cdef Counters* gone = &self.base[self.slots]
        cdef int i
        pw_show(gone.beat_ns, gone.beat_ns + 1)
        gone.requests += line.requests
        gone.accepted += line.accepted
        gone.handed_over += line.handed_over
        gone.received += line.received
        gone.bytes_in += line.bytes_in
        gone.bytes_out += line.bytes_out
        for i in range(CODES):
            gone.codes[i] += line.codes[i]
        add_histogram(&gone.latency, &line.latency)
        add_histogram(&gone.queued, &line.queued)
        for i in range(SLOW_KEPT):
            if line.slow[i].stamp:
                gone.slow[gone.slow_count % SLOW_KEPT] = line.slow[i]
                gone.slow_count += 1
        memset(line, 0, sizeof(Counters))
        pw_show(gone.beat_ns, gone.beat_ns + 1)

    cdef int least_loaded(self, int me, int listener) noexcept nogil:
        """The ready slot that knows a listener, with the fewest busy connections; `me` unless another has fewer."""
        cdef int i, best = me
        cdef int64_t load, least = self.base[me].connections - self.base[me].idle + self.base[me].in_flight
        for i in range(self.slots):
            if i == me or self.base[i].state != 2 or self.base[i].knows <= listener:
                continue
            load = self.base[i].connections - self.base[i].idle + self.base[i].in_flight
            if load < least:
                best, least = i, load
        return best

    cdef int successor(self, int me, int listener, bint beside) noexcept nogil:
        """The ready slot other than `me` that knows a listener, with the fewest busy connections. Without one, the index
        behind the last slot when the neighbour takes connections, and is asked about (`beside`); else -1."""
        cdef int i, best = -1
        cdef int64_t load, least = 0
        for i in range(self.slots):
            if i == me or self.base[i].state != 2 or self.base[i].knows <= listener:
                continue
            load = self.base[i].connections - self.base[i].idle + self.base[i].in_flight
            if best < 0 or load < least:
                best, least = i, load
        if best < 0 and beside and self.base[self.slots].state == 2:
            return self.slots
        return best

    cdef int ready_from(self, int first, int me, int listener) noexcept nogil:
        """The first ready slot from an index on other than `me` that knows a listener, -1 when there is none."""
        cdef int i
        for i in range(first, self.slots):
            if i != me and self.base[i].state == 2 and self.base[i].knows > listener:
                return i
        return -1

    cdef bint relieved(self, int me) noexcept nogil:
        """Whether others accept from the same listeners: another ready slot, or the neighbour where there is none."""
        cdef int i
        cdef bint alone = True
        for i in range(self.slots):
            if i != me and self.base[i].state == 2:
                if self.base[i].knows == self.base[me].knows:
                    return True
                alone = False
        return alone and self.base[self.slots].state == 2
