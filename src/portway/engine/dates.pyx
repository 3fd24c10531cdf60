# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""HTTP-dates (RFC 9110, section 5.6.7): read in all three forms, written in one. Without I/O."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp, strlen

from portway.engine.cposix cimport gmtime_r, time_t, tm
from portway.engine.head cimport decimal

cdef const char** DAYS = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"]
cdef const char** LONG_DAYS = [
    b"Sunday", b"Monday", b"Tuesday", b"Wednesday", b"Thursday", b"Friday", b"Saturday",
]
cdef const char** MONTHS = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
]


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
    hour, minute, second = decimal(clock, 2), decimal(clock + 3, 2), decimal(clock + 6, 2)
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
        return to_seconds(decimal(text + 12, 4), month_of(text + 8), decimal(text + 5, 2), text + 17, seconds)
    if size == 24 and text[3] == c" ":              # asctime: "Sun Nov  6 08:49:37 1994"
        if not is_day(text, DAYS, 3) or text[7] != c" " or text[10] != c" " or text[19] != c" ":
            return False
        day = decimal(text + 9, 1) if text[8] == c" " else decimal(text + 8, 2)
        return to_seconds(decimal(text + 20, 4), month_of(text + 4), day, text + 11, seconds)
    while at < size and text[at] != c",":           # RFC 850: "Sunday, 06-Nov-94 08:49:37 GMT"
        at += 1
    if size != at + 24 or not is_day(text, LONG_DAYS, at) or memcmp(text + at + 20, b" GMT", 4) != 0:
        return False
    text += at
    if text[1] != c" " or text[4] != c"-" or text[8] != c"-" or text[11] != c" ":
        return False
    year = decimal(text + 9, 2)
    if year < 0:
        return False
    gmtime_r(&when, &parts)
    this_year = parts.tm_year + 1900
    year += this_year // 100 * 100
    if year > this_year + 50:
        year -= 100
    return to_seconds(year, month_of(text + 5), decimal(text + 2, 2), text + 12, seconds)


def read_date(bytes text, int64_t now):
    """For tests: seconds since 1970 of an HTTP-date, or None."""
    cdef int64_t seconds = 0
    return seconds if parse_date(PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text), now, &seconds) else None


def show_date(int64_t seconds):
    """For tests: an IMF-fixdate."""
    cdef char date[DATE_SIZE]
    write_date(date, seconds)
    return PyBytes_FromStringAndSize(date, DATE_SIZE)
