# cython: language_level=3, binding=False, boundscheck=False, wraparound=False
"""Awaitables that are done already: what `receive()` and `send()` return whenever nothing has to be waited for.

Awaiting one runs no coroutine and raises no StopIteration: CPython asks `am_send` first (3.10 to 3.11, and every
Task), or `tp_iternext` (3.12 and later), and both are filled in below. They count as coroutines, because
applications hand `receive()` to create_task.
"""

from collections.abc import Coroutine

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

cdef extern from *:
    """
    typedef PySendResult (*pw_send)(PyObject*, PyObject*, PyObject**);
    static inline void pw_set_slots(PyObject* type, pw_send send, iternextfunc next) {
        ((PyTypeObject*)type)->tp_as_async->am_send = send;
        if (next) ((PyTypeObject*)type)->tp_iternext = next;
        PyType_Modified((PyTypeObject*)type);
    }
    """
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*pw_send)(PyObject*, PyObject*, PyObject**) noexcept
    ctypedef PyObject* (*iternextfunc)(PyObject*) noexcept
    void pw_set_slots(PyObject* type, pw_send send, iternextfunc next)

cdef extern from "Python.h":
    void PyErr_SetObject(object type, object value)


cdef PySendResult send_ready(PyObject* self, PyObject* argument, PyObject** result) noexcept:
    value = (<Ready>self).value
    Py_INCREF(value)
    result[0] = <PyObject*>value
    return PYGEN_RETURN


cdef PyObject* next_ready(PyObject* self) noexcept:
    if (<Ready>self).value is not None:
        PyErr_SetObject(StopIteration, (<Ready>self).value)
    return NULL                             # without an exception: StopIteration(None)


cdef class Ready:
    """An awaitable whose result is known."""

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.value)

    def send(self, value):
        raise StopIteration(self.value)

    def throw(self, kind, value=None, traceback=None):
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        raise value

    def close(self):
        """Nothing to end."""


pw_set_slots(<PyObject*>Ready, send_ready, next_ready)
Coroutine.register(Ready)

cdef Ready DONE = Ready.__new__(Ready)


cdef object ready(object value):
    cdef Ready made = Ready.__new__(Ready)
    made.value = value
    return made
