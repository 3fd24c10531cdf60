# cython: language_level=3
cdef bytes request_id(bytes given)
