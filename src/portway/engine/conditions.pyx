# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Entity tags and conditional requests (RFC 9110, sections 8.8 and 13). Without I/O.

A file's tag is made of its time in nanoseconds, its size and its coding. A file that was changed within the last
second may be changed again within the same tick of its file system's clock, with the same size; until then its tag is
weak and its date too, as section 8.8.2.2 has it, so that no ranges of two states are put together.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp, memset, strlen

from portway.engine.dates cimport DATE_SIZE, parse_date, write_date
from portway.engine.head cimport is_space, same_name
from portway.engine.reply cimport put

cdef enum:
    YOUNG_S = 1

cdef const char* HEX = b"0123456789abcdef"


cdef size_t write_hex(char* out, uint64_t value) noexcept nogil:
    cdef char digits[16]
    cdef size_t at = 16, i
    while True:
        at -= 1
        digits[at] = HEX[value & 15]
        value >>= 4
        if value == 0:
            break
    for i in range(16 - at):
        out[i] = digits[at + i]
    return 16 - at


cdef void make_validators(
    Validators* validators, int64_t seconds, uint32_t ns, uint64_t size, const char* suffix, int64_t now
) noexcept nogil:
    """Name the state of a file.

    Args:
        seconds, ns: when it was changed.
        suffix: tells the codings of one file apart; at most 8 bytes.
        now: seconds since 1970.
    """
    cdef char* tag = validators.tag
    cdef size_t at = 1, i
    tag[0] = c'"'
    at += write_hex(tag + at, <uint64_t>seconds * 1000000000u + ns)
    tag[at] = c"-"
    at += 1
    at += write_hex(tag + at, size)
    for i in range(strlen(suffix)):
        tag[at] = suffix[i]
        at += 1
    tag[at] = c'"'
    validators.tag_size = at + 1
    validators.fresh = seconds + YOUNG_S >= now
    # section 8.8.2.1: a date in the future says nothing; and file systems in memory take any number for a time, of
    # which gmtime_r makes no date
    validators.modified = 0 if seconds < 0 else seconds if seconds < now else now


cdef int put_validators(Buffer* out, Validators* validators) except -1:
    """Write ETag and Last-Modified."""
    cdef char date[DATE_SIZE]
    if validators.fresh:
        put(out, b"ETag: W/", 8)
    else:
        put(out, b"ETag: ", 6)
    put(out, validators.tag, validators.tag_size)
    put(out, b"\r\nLast-Modified: ", 17)
    write_date(date, validators.modified)
    put(out, date, DATE_SIZE)
    return put(out, b"\r\n", 2)


cdef bint lists_tag(const char* value, size_t size, Validators* validators, bint strong) noexcept nogil:
    """Whether a list of entity tags has the file's, by strong comparison or by weak (section 8.8.3.2)."""
    cdef size_t at = 0, start
    cdef bint weak
    if size == 1 and value[0] == c"*":
        return True
    while at < size:
        if value[at] == c"," or is_space(value[at]):
            at += 1
            continue
        weak = size - at >= 2 and value[at] == c"W" and value[at + 1] == c"/"
        if weak:
            at += 2
        if at >= size or value[at] != c'"':
            return False
        start = at
        at += 1
        while at < size and value[at] != c'"':
            at += 1
        if at >= size:
            return False
        at += 1
        if (
            not (strong and (weak or validators.fresh)) and at - start == validators.tag_size
            and memcmp(value + start, validators.tag, at - start) == 0
        ):
            return True
    return False


cdef void add_condition(
    Conditions* conditions, Validators* validators, int64_t now,
    const char* name, size_t name_size, const char* value, size_t size
) noexcept nogil:
    """Take one field line of a request. All of it but Range names the field by its length first: most are others."""
    cdef int64_t date = 0
    if name_size == 13 and same_name(name, b"if-none-match", 13):
        conditions.if_none_match = True
        conditions.is_known |= lists_tag(value, size, validators, False)
    elif name_size == 17 and same_name(name, b"if-modified-since", 17):
        if parse_date(value, size, now, &date):
            conditions.modified_count += 1
            conditions.modified_since = date
    elif name_size == 8 and same_name(name, b"if-match", 8):
        conditions.if_match = True
        conditions.matches |= lists_tag(value, size, validators, True)
    elif name_size == 19 and same_name(name, b"if-unmodified-since", 19):
        if parse_date(value, size, now, &date):
            conditions.unmodified_count += 1
            conditions.unmodified_since = date
    elif name_size == 5 and same_name(name, b"range", 5):
        conditions.range_count += 1
        conditions.range = value
        conditions.range_size = size
    elif name_size == 8 and same_name(name, b"if-range", 8):
        conditions.if_range_count += 1
        if size and (value[0] == c'"' or value[0] == c"W"):
            # one tag, not a list of them
            conditions.if_range = (
                not validators.fresh and size == validators.tag_size and memcmp(value, validators.tag, size) == 0
            )
        else:
            conditions.if_range = (
                parse_date(value, size, now, &date) and not validators.fresh and date == validators.modified
            )


cdef int precondition(Conditions* conditions, Validators* validators) noexcept nogil:
    """Evaluate them for GET or HEAD in the order of section 13.2.2: 200 to go on, 304 or 412.

    `range` is NULL afterwards unless a range may be sent.
    """
    if conditions.range_count != 1 or (conditions.if_range_count and not conditions.if_range) or (
        conditions.if_range_count > 1
    ):
        conditions.range = NULL
    if conditions.if_match:
        if not conditions.matches:
            return 412
    elif conditions.unmodified_count == 1 and validators.modified > conditions.unmodified_since:
        return 412
    if conditions.if_none_match:
        if conditions.is_known:
            return 304
    elif conditions.modified_count == 1 and validators.modified <= conditions.modified_since:
        return 304
    return 200


def evaluate(list fields, int64_t modified, unsigned int ns, uint64_t size, int64_t now, bytes suffix=b""):
    """For tests: (status, range or None, tag, whether it is weak) of the conditional fields of a GET."""
    cdef Validators validators
    cdef Conditions conditions
    cdef bytes name, value
    cdef int status
    make_validators(&validators, modified, ns, size, PyBytes_AS_STRING(suffix), now)
    memset(&conditions, 0, sizeof(conditions))
    for name, value in fields:
        add_condition(
            &conditions, &validators, now,
            PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value),
        )
    status = precondition(&conditions, &validators)
    return (
        status, None if conditions.range == NULL else conditions.range[: conditions.range_size],
        validators.tag[: validators.tag_size], bool(validators.fresh),
    )
