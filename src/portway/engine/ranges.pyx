# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The Range field (RFC 9110, section 14.2). Without I/O.

What is no list of byte ranges is ignored, as are more ranges than RANGES_MOST and those that overlap: a client that is
honest has no use for them, and each costs more to send than it has bytes (CVE-2011-3192). Numbers of any length are
read, and one that does not fit is as large as can be, so that nothing wraps (CVE-2017-7529).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

from portway.engine.head cimport is_space, same_name

cdef enum:
    DIGITS_MOST = 18


cdef size_t number(const char* text, size_t size, uint64_t* value) noexcept nogil:
    """Read digits; return how many there were."""
    cdef size_t i = 0, used = 0
    value[0] = 0
    while i < size and c"0" <= text[i] <= c"9":
        if used or text[i] != c"0":
            used += 1
        if used <= DIGITS_MOST:
            value[0] = value[0] * 10 + <uint64_t>(text[i] - c"0")
        i += 1
    if used > DIGITS_MOST:
        value[0] = <uint64_t>1 << 62
    return i


cdef int parse_ranges(const char* value, size_t size, uint64_t length, Range* ranges) noexcept nogil:
    """Read the value of a Range field.

    Args:
        length: bytes of the file.
        ranges: room for RANGES_MOST.

    Returns:
        How many ranges to send, in the order they were asked for; RANGES_IGNORED; or RANGES_OUTSIDE when all of
        them are outside the file.
    """
    cdef size_t at = 6, used
    cdef uint64_t first, last
    cdef int count = 0, seen = 0, i
    if size < 6 or not same_name(value, b"bytes", 5) or value[5] != c"=":
        return RANGES_IGNORED
    while at < size:
        if value[at] == c"," or is_space(value[at]):
            at += 1
            continue
        seen += 1
        if seen > RANGES_MOST:
            return RANGES_IGNORED
        used = number(value + at, size - at, &first)
        at += used
        if at >= size or value[at] != c"-":
            return RANGES_IGNORED
        at += 1
        if used:
            used = number(value + at, size - at, &last)
            if used == 0:
                last = <uint64_t>1 << 62
            elif last < first:
                return RANGES_IGNORED
        else:
            used = number(value + at, size - at, &last)
            if used == 0:
                return RANGES_IGNORED
            # the last bytes of the file
            first = length - last if last < length else 0
            if last == 0:
                first = length
            elif length == 0:
                return RANGES_IGNORED       # satisfied by nothing at all, which no Content-Range can say
            last = length
        at += used
        while at < size and is_space(value[at]):
            at += 1
        if at < size and value[at] != c",":
            return RANGES_IGNORED
        if first >= length:
            continue
        if last >= length:
            last = length - 1
        for i in range(count):
            if first <= ranges[i].last and ranges[i].first <= last:
                return RANGES_IGNORED
        ranges[count].first = first
        ranges[count].last = last
        count += 1
    if seen == 0:
        return RANGES_IGNORED
    return count if count else RANGES_OUTSIDE


def read_ranges(bytes value, uint64_t length):
    """For tests: the ranges as (first, last), [] when the field is ignored, None when all are outside the file."""
    cdef Range ranges[RANGES_MOST]
    cdef int i, count = parse_ranges(PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value), length, ranges)
    if count == RANGES_OUTSIDE:
        return None
    return [(ranges[i].first, ranges[i].last) for i in range(count)]
