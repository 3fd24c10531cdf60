# cython: language_level=3

cdef enum:
    CODING_BR = 0
    CODING_ZSTD = 1
    CODING_GZIP = 2
    CODINGS = 3


# What Accept-Encoding says: weights in thousandths, -1 where it says nothing.
cdef struct Accepted:
    int weights[3]
    int others                  # of `*`
    int identity


cdef void accept_nothing(Accepted* accepted) noexcept nogil
cdef void accept_more(Accepted* accepted, const char* value, size_t size) noexcept nogil
cdef int wanted_codings(Accepted* accepted, const int* offered, int count, int* wanted) noexcept nogil
