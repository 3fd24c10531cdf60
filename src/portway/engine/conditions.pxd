# cython: language_level=3
from libc.stdint cimport int64_t, uint32_t, uint64_t

from portway.engine.reply cimport Buffer

cdef enum:
    TAG_ROOM = 64


# What names one state of a file: RFC 9110, section 8.8.
cdef struct Validators:
    char tag[TAG_ROOM]          # with its quotes, without W/
    size_t tag_size
    bint fresh                  # it may change again without a trace: neither is a strong one yet
    int64_t modified            # seconds since 1970, never later than now


# What the conditional fields of a request come to.
cdef struct Conditions:
    bint if_match, matches      # there are such fields; one of them holds
    bint if_none_match, is_known
    int unmodified_count, modified_count, range_count, if_range_count
    int64_t unmodified_since, modified_since
    const char* range
    size_t range_size
    bint if_range


cdef void make_validators(
    Validators* validators, int64_t seconds, uint32_t ns, uint64_t size, const char* suffix, int64_t now
) noexcept nogil
cdef int put_validators(Buffer* out, Validators* validators) except -1
cdef void add_condition(
    Conditions* conditions, Validators* validators, int64_t now,
    const char* name, size_t name_size, const char* value, size_t size
) noexcept nogil
cdef int precondition(Conditions* conditions, Validators* validators) noexcept nogil
