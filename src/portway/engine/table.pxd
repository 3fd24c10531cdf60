# cython: language_level=3

cdef enum:
    APP = 0                     # an application; `number` says which
    FILES = 1                   # `target` is a Folder
    REDIRECT = 2                # `target` is a Redirect
    ELSEWHERE = 3               # the sibling engine of this process


cdef struct Rule:
    const char* pattern
    size_t size
    size_t literal              # bytes before the first wildcard
    bint trailing               # the only wildcard is a `*` at the end
    int kind
    int number


cdef class Redirect:
    cdef bytes before, behind   # of the place of the `*`
    cdef bytes fragment         # with its `#`
    cdef bint starred           # there is one
    cdef bint has_query
    cdef bint is_path           # not a URL
    cdef readonly int status


cdef class Table:
    cdef Rule* rules
    cdef readonly int count
    cdef list patterns, targets

    cdef int add(self, bytes pattern, int kind, int number, object target) except -1
    cdef int find(self, const char* path, size_t size, size_t* star_at, size_t* star_end) noexcept
