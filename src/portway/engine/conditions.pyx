# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Entity tags, dates and conditional requests (RFC 9110, sections 8.8 and 13). Without I/O.

A file's tag is made of its time in nanoseconds, its size and its coding. A file that was changed within the last
second may be changed again within the same tick of its file system's clock, with the same size; until then its tag is
weak and its date too, as section 8.8.2.2 has it, so that no ranges of two states are put together.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, memset, strlen

from portway.engine.cposix cimport gmtime_r, time_t, tm
from portway.engine.head cimport same_name
from portway.engine.reply cimport put

cdef enum:
    DATE_SIZE = 29
    YOUNG_S = 1

cdef const char** DAYS = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"]
cdef const char** LONG_DAYS = [
    b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday",
]
cdef const char** MONTHS = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
]
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


cdef void two(char* out, int value) noexcept nogil:
    out[0] = <char>(c"0" + value // 10 % 10)
    out[1] = <char>(c"0" + value % 10)


cdef void write_date(char* out, int64_t seconds) noexcept nogil:
    """An IMF-fixdate (RFC 9110, section 5.6.7): DATE_SIZE bytes."""
    cdef tm parts
    cdef time_t when = seconds
    cdef int i
    gmtime_r(&when, &parts)
    for i in range(3):
        out[i] = DAYS[parts.tm_wday][i]
        out[8 + i] = MONTHS[parts.tm_mon][i]
    out[3] = c","
    out[4] = out[7] = out[11] = out[16] = out[25] = c" "
    two(out + 5, parts.tm_mday)
    two(out + 12, (parts.tm_year + 1900) // 100)
    two(out + 14, (parts.tm_year + 1900) % 100)
    two(out + 17, parts.tm_hour)
    out[19] = out[22] = c":"
    two(out + 20, parts.tm_min)
    two(out + 23, parts.tm_sec)
    out[26], out[27], out[28] = c"G", c"M", c"T"


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


cdef int digits(const char* text, size_t size) noexcept nogil:
    """A number of so many digits, or -1."""
    cdef int value = 0
    cdef size_t i
    for i in range(size):
        if not c"0" <= text[i] <= c"9":
            return -1
        value = value * 10 + (text[i] - c"0")
    return value


cdef int month_of(const char* text) noexcept nogil:
    cdef int i
    for i in range(12):
        if memcmp(text, MONTHS[i], 3) == 0:
            return i
    return -1


cdef bint is_day(const char* text, const char** names, size_t size) noexcept nogil:
    cdef int i
    for i in range(7):
        if strlen(names[i]) == size and memcmp(text, names[i], size) == 0:
            return True
    return False


cdef bint to_seconds(
    int year, int month, int day, const char* clock, int64_t* seconds
) noexcept nogil:
    """Seconds since 1970 of a day and hh:mm:ss; False for what is no date."""
    cdef int hour, minute, second, shifted
    cdef int64_t era_year, days
    hour, minute, second = digits(clock, 2), digits(clock + 3, 2), digits(clock + 6, 2)
    if clock[2] != c":" or clock[5] != c":" or not (0 <= hour < 24 and 0 <= minute < 60 and 0 <= second <= 60):
        return False
    if year < 0 or not 0 <= month < 12 or not 1 <= day <= 31:
        return False
    # days from the first of March of the year 0, so that a leap day is the last of its year
    era_year = year - (1 if month < 2 else 0)
    shifted = month - 2 if month >= 2 else month + 10
    days = era_year * 365 + era_year // 4 - era_year // 100 + era_year // 400 + (153 * shifted + 2) // 5 + day - 1
    seconds[0] = (days - 719468) * 86400 + hour * 3600 + minute * 60 + second
    return True


cdef bint parse_date(const char* text, size_t size, int64_t now, int64_t* seconds) noexcept nogil:
    """Read an HTTP-date in any of the three forms of RFC 9110, section 5.6.7."""
    cdef size_t at = 0
    cdef int year, this_year, day
    cdef tm parts
    cdef time_t when = now
    if size == DATE_SIZE and text[3] == c",":
        if not is_day(text, DAYS, 3) or memcmp(text + 25, b" GMT", 4) != 0:
            return False
        if text[4] != c" " or text[7] != c" " or text[11] != c" " or text[16] != c" ":
            return False
        return to_seconds(digits(text + 12, 4), month_of(text + 8), digits(text + 5, 2), text + 17, seconds)
    if size == 24 and text[3] == c" ":              # asctime: "Sun Nov  6 08:49:37 1994"
        if not is_day(text, DAYS, 3) or text[7] != c" " or text[10] != c" " or text[19] != c" ":
            return False
        day = digits(text + 9, 1) if text[8] == c" " else digits(text + 8, 2)
        return to_seconds(digits(text + 20, 4), month_of(text + 4), day, text + 11, seconds)
    while at < size and text[at] != c",":           # RFC 850: "Sunday, 06-Nov-94 08:49:37 GMT"
        at += 1
    if size != at + 24 or not is_day(text, LONG_DAYS, at) or memcmp(text + at + 20, b" GMT", 4) != 0:
        return False
    text += at
    if text[1] != c" " or text[4] != c"-" or text[8] != c"-" or text[11] != c" ":
        return False
    year = digits(text + 9, 2)
    if year < 0:
        return False
    gmtime_r(&when, &parts)
    this_year = parts.tm_year + 1900
    year += this_year // 100 * 100
    if year > this_year + 50:
        year -= 100
    return to_seconds(year, month_of(text + 5), digits(text + 2, 2), text + 12, seconds)


cdef bint lists_tag(const char* value, size_t size, Validators* validators, bint strong) noexcept nogil:
    """Whether a list of entity tags has the file's, by strong comparison or by weak (section 8.8.3.2)."""
    cdef size_t at = 0, start
    cdef bint weak
    if size == 1 and value[0] == c"*":
        return True
    while at < size:
        if value[at] == c"," or value[at] == c" " or value[at] == c"\t":
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


def read_date(bytes text, int64_t now):
    """For tests: seconds since 1970 of an HTTP-date, or None."""
    cdef int64_t seconds = 0
    return seconds if parse_date(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), now, &seconds) else None


def show_date(int64_t seconds):
    """For tests: an IMF-fixdate."""
    cdef char date[DATE_SIZE]
    write_date(date, seconds)
    return PyBytes_FromStringAndSize(date, DATE_SIZE)
