# cython: language_level=3

cdef enum:
    PATH_FINE = 0
    PATH_ESCAPE = 1             # a % that begins no escape
    PATH_NUL = 2
    PATH_CLIMBS = 3             # out of the root


cdef bint plain_path(const char* raw, size_t size) noexcept nogil
cdef int percent_decode(const char* raw, size_t size, char* out, size_t* out_size) noexcept nogil
cdef int normalise_path(const char* raw, size_t size, char* out, size_t* out_size) noexcept nogil
cdef bint glob(
    const char* pattern, size_t pattern_size, const char* path, size_t size, size_t* star_at, size_t* star_end
) noexcept nogil
