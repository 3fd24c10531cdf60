# cython: language_level=3
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from portway.engine.codings cimport CODINGS

cdef enum:
    SUFFIX_MOST = 8             # bytes behind a name for what is looked for beside it, with its NUL


# A file that is open, or a folder, or something else that is there.
cdef struct Opened:
    int fd
    bint is_file
    bint is_folder
    uint64_t size
    int64_t modified_s
    uint32_t modified_ns


# What files of one extension are.
cdef struct Kind:
    char extension[16]
    uint8_t extension_size
    uint8_t compressible
    const char* line            # Content-Type, the whole field line
    size_t line_size
    const char* value
    size_t value_size


cdef struct CacheRule:
    const char* pattern
    size_t size
    const char* line
    size_t line_size


cdef bint named_by_content(const char* path, size_t size) noexcept nogil


cdef class MediaTypes:
    cdef Kind* kinds            # open addressing; unused places have no line
    cdef uint32_t mask
    cdef Kind unknown
    cdef list kept

    cdef Kind* find(self, const char* name, size_t size) noexcept


# The descriptor of a folder; whoever looks something up holds on to it, and the last one closes it.
cdef class Root:
    cdef int fd
    cdef uint64_t device, inode


cdef class Folder:
    cdef readonly bytes path, base
    cdef size_t index_room      # bytes of the longest index
    cdef Root root
    cdef uint64_t looked_ms     # when `root` was opened
    cdef int root_error         # why it cannot be
    cdef bint follow, hidden, portable, cached
    cdef list index
    cdef bytes not_found
    cdef MediaTypes types
    cdef int codings[CODINGS]
    cdef int coding_count
    cdef CacheRule* rules
    cdef int rule_count
    cdef list kept

    cdef bint admits(self, const char* name, size_t size) noexcept
    cdef int look(self, const char* name, Opened* found, uint64_t now_ms, bint vital=*, bint waits=*) except -1
    cdef int look_coded(
        self, char* name, size_t size, const int* wanted, int count, Opened* file, uint64_t now_ms, bint waits
    ) except -2
    cdef Root current(self, uint64_t now_ms)
    cdef Root replaced(self, Root root)
    cdef int cache_line(self, const char* path, size_t size, const char** line, size_t* line_size) noexcept
