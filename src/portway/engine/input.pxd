# cython: language_level=3


cdef class Input:
    cdef object inner
    cdef object source          # has gather(), until the body has been read

    cdef object file(self)
