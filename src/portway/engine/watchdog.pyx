# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True
"""Deadlines of requests (`timeout`): a thread that sleeps until the earliest one, and how a thread is interrupted.

The thread is never woken by a request: one that begins while it sleeps is due no sooner than a whole `timeout` later,
so it looks at least that often, and a request costs a timestamp.

A thread is interrupted with an asynchronous exception, which the interpreter raises between two steps of Python code.
It is set, and withdrawn by the thread itself as soon as it is back from the application, under the GIL; so it never
reaches another request, nor the engine. Code that waits in C meets it when it returns. On the main thread the signal
`nudge` ends such a wait early: the call fails with EINTR, and before it would be repeated (PEP 475) the interpreter
runs the signal's handler, in whose first instruction the exception is raised.
"""

import threading

from libc.stdint cimport uint64_t

from portway.engine.cposix cimport pthread_kill, pthread_t, pw_coarse_ms
from portway.engine.crew cimport PyThread_type_lock

from portway.engine.errors import RequestTimeout

cdef extern from "pythread.h" nogil:
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock)
    int PyThread_acquire_lock(PyThread_type_lock, int)
    int PyThread_acquire_lock_timed(PyThread_type_lock, long long microseconds, int interruptible)
    void PyThread_release_lock(PyThread_type_lock)
    unsigned long PyThread_get_thread_ident()

cdef extern from "Python.h":
    int PyThreadState_SetAsyncExc(unsigned long ident, void* exception) noexcept

cdef enum:
    PATIENCE_LEAST_MS = 1000    # a thread among many busy ones waits long for its turn of the GIL
    PATIENCE_MOST_MS = 5000
    AFTER_A_FAULT_MS = 1000

cdef str ANSWERED = "answered 504"
cdef str NOBODY_THERE = "nobody is there to be answered"


cdef unsigned long this_thread() noexcept:
    """What `threading.get_ident` returns."""
    return PyThread_get_thread_ident()


cdef class Watchdog:
    """What the watchdogs of both drivers have in common. The thread takes the GIL whenever it is not asleep.

    Args:
        timeout_ms: how long a request may be in the application before its response begins.
        report: hears of overdue requests.
    """

    def __cinit__(self, *arguments):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError()
        PyThread_acquire_lock(self.lock, 1)

    def __init__(self, uint64_t timeout_ms, report):
        self.timeout_ms = timeout_ms
        self.patience_ms = max(<uint64_t>PATIENCE_LEAST_MS, min(timeout_ms // 2, <uint64_t>PATIENCE_MOST_MS))
        self.report = report
        self.main_thread = threading.main_thread().ident

    def __dealloc__(self):
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cdef int start(self) except -1:
        self.thread = threading.Thread(target=self.run, name="portway-watchdog", daemon=True)
        self.thread.start()
        return 0

    cdef int stop(self) except -1:
        """End the thread and wait for it; once, after `start`."""
        self.stopped = True
        PyThread_release_lock(self.lock)
        self.thread.join()
        self.thread = None
        return 0

    def run(self):
        """The life of the thread."""
        cdef uint64_t now, due
        cdef long long pause_us
        while not self.stopped:
            now = pw_coarse_ms()
            try:
                due = self.look(now)
            except BaseException as exc:
                due = now + AFTER_A_FAULT_MS
                self.fault(exc)
            self.looks_ms[0] = max(due, now)
            pause_us = <long long>(due - now) * 1000 if due > now else 0
            if pause_us:
                with nogil:
                    PyThread_acquire_lock_timed(self.lock, pause_us, 0)
        self.looks_ms[0] = 0

    def fault(self, exc):
        try:
            self.report.application_error(exc, "engine")
        except BaseException:
            pass                            # a log that fails must not fail what it is about

    cdef uint64_t look(self, uint64_t now) except? 0:
        """Deal with what is overdue; return when to look again."""
        return now + self.timeout_ms

    cdef int interrupt(self, unsigned long ident) except -1:
        """Raise RequestTimeout in a thread that is inside the application; the caller has made sure of that.

        Nothing in here gives up the GIL, so that the thread is still where it was looked at when the signal comes:
        one that came later could end a system call of the next request.
        """
        PyThreadState_SetAsyncExc(ident, <void*>RequestTimeout)
        if self.nudge and ident == self.main_thread:
            pthread_kill(<pthread_t>ident, self.nudge)
        return 0

    cdef int withdraw(self, unsigned long ident) noexcept:
        """Take back an interruption that has not been delivered."""
        return PyThreadState_SetAsyncExc(ident, NULL)

    cdef str stack(self, object subject):
        """Where a thread (its ident) or a task is."""
        try:
            return self.report.stack(subject)
        except BaseException:
            return ""

    cdef int tell(self, str request, uint64_t took_ms, str outcome, str stack) except -1:
        try:
            self.report.overdue(request, took_ms / 1000.0, outcome, stack)
        except BaseException:
            pass
        return 0

    cdef int give_up(self, str request, uint64_t took_ms) except -1:
        """What was interrupted goes on: only the end of the process will end it."""
        if self.on_stuck is not None:
            self.on_stuck(request, took_ms / 1000.0)
        return 0
