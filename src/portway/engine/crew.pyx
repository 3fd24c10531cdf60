# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Leader and followers: the threads of a WSGI worker.

One thread leads: it waits for events, reads, parses, calls the application itself and writes the answer, so a fast
request never changes threads. The others sleep. One of them, the watcher, looks at a timestamp every 1 to 4 ms,
without the GIL; when the leader has been inside one call for over a millisecond, the watcher takes the lead, and the
old leader joins the followers when its call returns. A call that is expected to be slow, because the last ones of
the same method and path were, has the lead given away before it begins.

A watcher that saw no call for a while sleeps without a timer; the leader wakes it once when there is work again.
Everything but `watch` runs under the GIL, which is what makes it simple: all of it changes at one place at a time.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memset

from portway.engine.cposix cimport pw_now_ns

cdef extern from "pythread.h" nogil:
    ctypedef enum PyLockStatus:
        PY_LOCK_ACQUIRED
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock)
    int PyThread_acquire_lock(PyThread_type_lock, int)
    PyLockStatus PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int interruptible)
    void PyThread_release_lock(PyThread_type_lock)

cdef extern from * nogil:
    """
    #define pw_load(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
    #define pw_store(x, v) __atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)
    """
    uint64_t pw_load(uint64_t x)
    void pw_store(uint64_t x, uint64_t v)

cdef enum:
    TICK_US = 1000              # how long a call may take before the lead changes
    TICK_MOST_US = 4000         # and how late that may be noticed when all calls were fast for a while
    QUIET_TICKS = 50            # without a call, after which the watcher stops looking
    SLOW_US = 800               # a call expected to take this long is made without the lead
    WOKEN = 0
    OVERDUE = 1


cdef class Crew:
    """The state that the threads of one worker share. Threads are numbers from 0 to threads - 1."""

    def __cinit__(self, int threads):
        cdef int i
        self.threads = threads
        self.leader = -1
        self.watcher = -1
        self.rest = <int*>PyMem_Malloc(threads * sizeof(int))
        self.locks = <PyThread_type_lock*>PyMem_Malloc(threads * sizeof(PyThread_type_lock))
        if self.rest == NULL or self.locks == NULL:
            raise MemoryError()
        memset(self.slow_us, 0, sizeof(self.slow_us))
        for i in range(threads):
            self.locks[i] = PyThread_allocate_lock()
            if self.locks[i] == NULL:
                raise MemoryError()
            PyThread_acquire_lock(self.locks[i], 1)

    def __dealloc__(self):
        PyMem_Free(self.rest)
        # the locks stay: a thread of the application's making may outlive this and still hold one
        PyMem_Free(self.locks)

    cdef uint64_t enter_call(self, int me, uint32_t place, uint64_t now) noexcept:
        """Before the application is called; returns the time, which is `now` unless that is 0."""
        if self.threads == 1:
            return 0
        if now == 0:
            now = pw_now_ns()
        if self.leader == me:
            if self.slow_us[place % SLOTS] >= SLOW_US and self.resting:
                self.hand_on()
            else:
                self.calls += 1
                pw_store(self.call_since_ns, now)
                if pw_load(self.parked) and self.watcher >= 0:
                    self.parked = 0
                    PyThread_release_lock(self.locks[self.watcher])
        return now

    cdef void leave_call(self, int me, uint32_t place, uint64_t began_ns, uint64_t now) noexcept:
        """After the answer is written."""
        cdef uint64_t took
        cdef uint32_t* known = &self.slow_us[place % SLOTS]
        if self.threads == 1:
            return
        if self.leader == me:
            self.call_since_ns = 0
        took = (now - began_ns) // 1000
        if took >= SLOW_US:
            known[0] = <uint32_t>min(took, <uint64_t>1 << 30)
        elif known[0]:
            known[0] -= (known[0] >> 2) + 1

    cdef bint lead(self, int me) noexcept:
        """Take the lead if nobody has it; True when this thread leads."""
        if self.leader == -1 and not self.stopped:
            self.leader = me
            self.appoint()
        return self.leader == me

    cdef void hand_on(self) noexcept:
        """Give the lead to whoever wakes first; the giver may take it back if nobody has by then."""
        cdef int who = self.watcher if self.watcher >= 0 else self.rest[self.resting - 1]
        self.leader = -1
        self.call_since_ns = 0
        self.leave_rest(who)
        PyThread_release_lock(self.locks[who])

    cdef void appoint(self) noexcept:
        """Have one of those at rest watch, if nobody does: it wakes, finds itself still at rest, and watches."""
        if self.watcher == -1 and self.resting:
            PyThread_release_lock(self.locks[self.rest[self.resting - 1]])

    cdef bint leave_rest(self, int who) noexcept:
        cdef int i
        if self.watcher == who:
            self.watcher = -1
            self.parked = 0
        for i in range(self.resting):
            if self.rest[i] == who:
                self.resting -= 1
                self.rest[i] = self.rest[self.resting]
                return True
        return False

    cdef bint at_rest(self, int who) noexcept:
        cdef int i
        for i in range(self.resting):
            if self.rest[i] == who:
                return True
        return False

    cdef void follow(self, int me) noexcept:
        """Rest until the lead is free for this thread, the leader is overdue, or all is over.

        Whoever ends a rest takes the thread off the list and releases its lock; a release without that only makes
        it look around, so a surplus one does no harm.
        """
        cdef int why
        cdef uint64_t since
        if self.stopped:
            return
        self.rest[self.resting] = me
        self.resting += 1
        while True:
            if self.watcher == -1:
                self.watcher = me
            with nogil:
                if self.watcher == me:
                    why = self.watch(me)
                else:
                    why = WOKEN
                    PyThread_acquire_lock(self.locks[me], 1)
            if not self.at_rest(me):
                return
            if self.stopped:
                self.leave_rest(me)
                return
            since = self.call_since_ns
            if why == OVERDUE and self.leader != -1 and since and pw_now_ns() - since >= TICK_US * 1000:
                self.leave_rest(me)
                self.leader = me
                self.call_since_ns = 0
                self.appoint()
                return

    cdef int watch(self, int me) noexcept nogil:
        """Look at the leader's timestamp while there are calls: every millisecond, less often while all are fast."""
        cdef int quiet = 0
        cdef long long tick = TICK_US
        cdef uint64_t since, seen = self.calls
        while True:
            if quiet >= QUIET_TICKS:
                quiet = 0
                pw_store(self.parked, 1)
                # the leader stores its time, then looks at `parked`; this side does it the other way round
                if pw_load(self.call_since_ns) == 0:
                    PyThread_acquire_lock(self.locks[me], 1)
                    if self.watcher != me or self.stopped:
                        return WOKEN
                self.parked = 0
            elif PyThread_acquire_lock_timed(self.locks[me], tick, 0) == PY_LOCK_ACQUIRED:
                if self.watcher != me or self.stopped:
                    return WOKEN
            since = pw_load(self.call_since_ns)
            if since and pw_now_ns() - since >= TICK_US * 1000:
                return OVERDUE
            if self.calls == seen:
                quiet += 1
                tick = TICK_US
            else:                           # each look interrupts the leader: look less often while calls come and go
                quiet = 0
                tick = min(tick + TICK_US // 4, <long long>TICK_MOST_US)
            seen = self.calls

    cdef void stop(self) noexcept:
        """End every rest, for good."""
        cdef int i
        self.stopped = 1
        while self.resting:
            i = self.rest[self.resting - 1]
            self.leave_rest(i)
            PyThread_release_lock(self.locks[i])
