# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Accept-Encoding (RFC 9110, section 12.5.3): which compressed forms of a file a client takes, and in which order.

Without I/O. An element that makes no sense is passed over: the whole field is only ever a wish.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from portway.engine.head cimport is_space, same_name

cdef tuple NAMES = ("br", "zstd", "gzip")


cdef void accept_nothing(Accepted* accepted) noexcept nogil:
    cdef int i
    for i in range(CODINGS):
        accepted.weights[i] = -1
    accepted.others = accepted.identity = -1


cdef int weight_of(const char* text, size_t size) noexcept nogil:
    """A qvalue in thousandths, or 0 for what is none."""
    cdef int value = 0, scale = 100
    cdef size_t i
    if size == 0 or size > 5 or (text[0] != c"0" and text[0] != c"1") or size > 1 and text[1] != c".":
        return 0
    value = (text[0] - c"0") * 1000
    for i in range(2, size):
        if not c"0" <= text[i] <= c"9":
            return 0
        value += (text[i] - c"0") * scale
        scale //= 10
    return value if value <= 1000 else 0


cdef void element(Accepted* accepted, const char* text, size_t size) noexcept nogil:
    """One coding with its weight."""
    cdef size_t name = 0, at, end
    cdef int weight = 1000
    while name < size and text[name] != c";" and not is_space(text[name]):
        name += 1
    at = name
    while at < size:
        while at < size and (is_space(text[at]) or text[at] == c";"):
            at += 1
        end = at
        while end < size and text[end] != c";":
            end += 1
        if end - at >= 2 and (text[at] | 32) == c"q" and text[at + 1] == c"=":
            while end > at + 2 and is_space(text[end - 1]):
                end -= 1
            weight = weight_of(text + at + 2, end - at - 2)
        at = end + 1
    if name == 1 and text[0] == c"*":
        accepted.others = weight
    elif name == 2 and same_name(text, b"br", 2):
        accepted.weights[CODING_BR] = weight
    elif name == 4 and same_name(text, b"zstd", 4):
        accepted.weights[CODING_ZSTD] = weight
    elif name == 4 and same_name(text, b"gzip", 4) or name == 6 and same_name(text, b"x-gzip", 6):
        accepted.weights[CODING_GZIP] = weight
    elif name == 8 and same_name(text, b"identity", 8):
        accepted.identity = weight


cdef void accept_more(Accepted* accepted, const char* value, size_t size) noexcept nogil:
    """Take the value of one field line."""
    cdef size_t at = 0, end
    while at < size:
        while at < size and (is_space(value[at]) or value[at] == c","):
            at += 1
        end = at
        while end < size and value[end] != c",":
            end += 1
        if end > at:
            element(accepted, value + at, end - at)
        at = end


cdef int wanted_codings(Accepted* accepted, const int* offered, int count, int* wanted) noexcept nogil:
    """Write which of the offered codings to try, best first; return how many.

    The client's weights decide, then our order. One that it likes less than the plain file is none of them.
    """
    cdef int i, j, place, used = 0
    cdef int weights[CODINGS]
    for i in range(count):
        place = accepted.weights[offered[i]]
        if place < 0:
            place = accepted.others
        if place <= 0 or place < accepted.identity:
            continue
        j = used
        while j > 0 and weights[j - 1] < place:
            weights[j] = weights[j - 1]
            wanted[j] = wanted[j - 1]
            j -= 1
        weights[j] = place
        wanted[j] = offered[i]
        used += 1
    return used


def choose(list lines, tuple offered):
    """For tests: the codings to try, best first, of the values of a request's Accept-Encoding lines."""
    cdef Accepted accepted
    cdef int numbers[CODINGS]
    cdef int wanted[CODINGS]
    cdef int i, count = 0
    cdef bytes line
    accept_nothing(&accepted)
    for line in lines:
        accept_more(&accepted, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
    for name in offered:
        numbers[count] = NAMES.index(name)
        count += 1
    count = wanted_codings(&accepted, numbers, count, wanted)
    return [NAMES[wanted[i]] for i in range(count)]
