# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The path of a request as rules see it: decoded once, without dot segments; and patterns over it.

RFC 3986, sections 6.2.2.2 and 5.2.4. Decoding comes first, so that `%2e%2e` climbs as `..` does and `%2F` separates
as `/` does: no spelling of a path gets round a rule. What is decoded is never decoded again. Several slashes are one.
`site/patterns.py` does the same in Python; a test holds the two together.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memchr, memcpy

from portway.engine.head cimport char_classes, hex_value

cdef enum:
    HEX = 16

cdef tuple PROBLEMS = ("", "it has a % that is no escape", "it holds a NUL byte", "it climbs out of the root")


cdef bint plain_path(const char* raw, size_t size) noexcept nogil:
    """Whether a path is in its normal form already, as nearly all are."""
    cdef const char* at = raw
    cdef const char* end = raw + size
    if size == 0 or raw[0] != c"/" or memchr(raw, c"%", size) != NULL:
        return False
    while True:
        at = <const char*>memchr(at, c"/", end - at)
        if at == NULL or at + 1 == end:
            return True
        at += 1
        if at[0] == c"." or at[0] == c"/":  # a hidden name too, but those are rare
            return False


cdef int percent_decode(const char* raw, size_t size, char* out, size_t* out_size) noexcept nogil:
    """Decode every escape once; a "%" that begins none stays. Return PATH_FINE, PATH_ESCAPE or else PATH_NUL.

    Args:
        out: room for size bytes.
    """
    cdef const unsigned char* classes = char_classes()
    cdef size_t i = 0, n = 0
    cdef int problem = PATH_FINE, nul = PATH_FINE
    while i < size:
        if raw[i] != c"%":
            out[n] = raw[i]
            i += 1
        elif i + 2 < size and classes[<unsigned char>raw[i + 1]] & classes[<unsigned char>raw[i + 2]] & HEX:
            out[n] = <char>(hex_value(raw[i + 1]) * 16 + hex_value(raw[i + 2]))
            i += 3
        else:
            out[n] = c"%"
            i += 1
            problem = PATH_ESCAPE
        if out[n] == 0:
            nul = PATH_NUL
        n += 1
    out_size[0] = n
    return problem or nul


cdef int normalise_path(const char* raw, size_t size, char* out, size_t* out_size) noexcept nogil:
    """Write the normal form of a path; return PATH_FINE or what is wrong with it, where only a best effort is made.

    Args:
        out: room for size + 1 bytes.
    """
    cdef size_t n = 0, at = 1, end, used = 0, part    # at: behind the slash that every path begins with
    cdef int problem = percent_decode(raw, size, out, &n)
    cdef bint directory = False
    while n:
        end = at
        while end < n and out[end] != c"/":
            end += 1
        part = end - at
        directory = False
        if part == 2 and out[at] == c"." and out[at + 1] == c".":
            if used == 0:
                problem = problem or PATH_CLIMBS
            while used:
                used -= 1
                if out[used] == c"/":
                    break
            directory = True
        elif part == 0 or part == 1 and out[at] == c".":
            directory = True
        else:
            out[used] = c"/"
            used += 1
            while at < end:
                out[used] = out[at]
                used += 1
                at += 1
        if end >= n:
            break
        at = end + 1
    if used == 0 or directory:
        out[used] = c"/"
        used += 1
    out_size[0] = used
    return problem


cdef bint glob(
    const char* pattern, size_t pattern_size, const char* path, size_t size, size_t* star_at, size_t* star_end
) noexcept nogil:
    """Whether a pattern matches a whole path; what its last `*` took is in the range of the last two arguments.

    Every `*` but the last takes as little as it can. Going back is only ever to the last `*` seen, so the time is
    bounded by the product of both sizes, whatever the pattern.
    """
    cdef size_t i = 0, j = 0, behind = 0, mark = 0
    cdef bint starred = False
    star_at[0] = star_end[0] = size
    while j < size:
        if i < pattern_size and pattern[i] == c"*":
            i += 1
            starred = True
            behind = i
            mark = star_at[0] = j
            if i == pattern_size:
                star_end[0] = size
                return True
        elif i < pattern_size and (pattern[i] == c"?" or pattern[i] == path[j]):
            i += 1
            j += 1
        elif starred:
            mark += 1
            j = mark
            i = behind
        else:
            return False
    if starred:
        star_end[0] = mark
    while i < pattern_size and pattern[i] == c"*":
        i += 1
        star_at[0] = star_end[0] = size
    return i == pattern_size


def normalise(bytes target):
    """Return (path, problem) of a request target in origin form; the problem is "" where there is none."""
    cdef const char* raw = PyBytes_AS_STRING(target)
    cdef size_t size = PyBytes_GET_SIZE(target), used = 0
    cdef const char* mark = <const char*>memchr(raw, c"?", size)
    cdef char* out
    cdef int problem = PATH_FINE
    if mark != NULL:
        size = mark - raw
    out = <char*>PyMem_Malloc(size + 1)
    if out == NULL:
        raise MemoryError()
    try:
        if plain_path(raw, size):
            memcpy(out, raw, size)
            used = size
        else:
            problem = normalise_path(raw, size, out, &used)
        return out[:used], PROBLEMS[problem]
    finally:
        PyMem_Free(out)


def match(bytes pattern, bytes path):
    """Return (start, end) of what the last `*` of a pattern took of a path, or None where it does not match.

    Without a `*` both are the path's length.
    """
    cdef size_t start = 0, end = 0
    if not glob(
        PyBytes_AS_STRING(pattern), PyBytes_GET_SIZE(pattern), PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path),
        &start, &end,
    ):
        return None
    return start, end
