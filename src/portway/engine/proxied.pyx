# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The PROXY protocol's header, versions 1 and 2 (haproxy.org/download/2.9/doc/proxy-protocol.txt), without I/O.

The caller reads exactly as many bytes as `proxy_wants` asks for, so that no byte behind the header is taken from the
socket: what follows belongs to somebody else. Strict: a peer that is to send a header and sends something else is
cut off. TLVs are read over; nothing in them decides anything here.
"""

from libc.stdint cimport uint16_t
from libc.string cimport memchr, memcmp, memcpy, memset

from portway.engine.cposix cimport AF_INET, AF_INET6, htons, inet_pton, ntohs, sa_family_t, sockaddr_in, sockaddr_in6

cdef enum:
    SIGNATURE_SIZE = 12
    V1_LEAST = 15               # "PROXY UNKNOWN" CR LF
    V1_MOST = 107               # section 2.1, with CR LF
    V2_FIXED = 16
    V4_SIZE = 12                # section 2.2: two addresses and two ports
    V6_SIZE = 36

cdef const char* SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
cdef const char* NO_HEADER = b"no PROXY header, or one of a version that is not spoken"


cdef size_t proxy_wants(const uint8_t* data, size_t size, int versions, bint* line, const char** why) noexcept nogil:
    """How many bytes to read next.

    Args:
        data: what was read so far.
        versions: PROXY_V1, PROXY_V2 or both.
        line: set when no more than to the next line feed may be read.
        why: set when this is no header, to what is wrong.

    Returns:
        0 when the header is complete, or wrong.
    """
    cdef size_t compared, total
    line[0] = False
    why[0] = NULL
    if size == 0:
        return V1_LEAST
    compared = size if size < 6 else 6
    if versions & PROXY_V1 and memcmp(data, b"PROXY ", compared) == 0:
        if size < V1_LEAST:
            return V1_LEAST - size
        if memchr(data, c"\n", size) != NULL:
            return 0
        if size >= V1_MOST:
            why[0] = b"the line of the PROXY header does not end"
            return 0
        line[0] = True
        return V1_MOST - size
    compared = size if size < SIGNATURE_SIZE else SIGNATURE_SIZE
    if versions & PROXY_V2 and memcmp(data, SIGNATURE, compared) == 0:
        if size < V2_FIXED:
            return V2_FIXED - size
        total = V2_FIXED + (<size_t>data[14] << 8 | data[15])
        if total > PROXY_MOST:
            why[0] = b"the PROXY header is longer than 4096 bytes"
            return 0
        return total - size
    why[0] = NO_HEADER
    return 0


cdef int proxy_read(const uint8_t* data, size_t size, int* family, uint8_t* where, const char** why) noexcept nogil:
    """Read a complete header.

    Args:
        family, where: the client's address as a sockaddr of 28 bytes, for PROXY_CLIENT.

    Returns:
        PROXY_LOCAL, PROXY_NOBODY, PROXY_CLIENT; -1 with `why` when it is malformed.
    """
    why[0] = b"malformed PROXY header"
    memset(where, 0, 28)
    if data[0] == c"P":
        return read_line(<const char*>data, size, family, where)
    return read_binary(data, size, family, where)


cdef void set_address(int family, const uint8_t* host, uint16_t port, uint8_t* where) noexcept nogil:
    """Write a sockaddr; `port` is in network order."""
    cdef sockaddr_in* v4 = <sockaddr_in*>where
    cdef sockaddr_in6* v6 = <sockaddr_in6*>where
    if family == AF_INET:
        v4.sin_family = <sa_family_t>AF_INET
        v4.sin_port = port
        memcpy(&v4.sin_addr, host, 4)
    else:
        v6.sin6_family = <sa_family_t>AF_INET6
        v6.sin6_port = port
        memcpy(&v6.sin6_addr, host, 16)


cdef int read_binary(const uint8_t* data, size_t size, int* family, uint8_t* where) noexcept nogil:
    cdef uint16_t port
    cdef size_t block = size - V2_FIXED
    if data[12] == 0x20:
        return PROXY_LOCAL              # section 2.2: whatever the rest says
    if data[12] != 0x21:
        return -1
    if data[13] == 0x11:
        if block < V4_SIZE:
            return -1
        family[0] = AF_INET
        memcpy(&port, data + V2_FIXED + 8, 2)
    elif data[13] == 0x21:
        if block < V6_SIZE:
            return -1
        family[0] = AF_INET6
        memcpy(&port, data + V2_FIXED + 32, 2)
    elif data[13] == 0x00 or data[13] == 0x31:
        return PROXY_NOBODY             # unspecified, or a unix socket of the proxy's machine
    else:
        return -1                       # a datagram cannot have arrived here
    set_address(family[0], data + V2_FIXED, port, where)
    return PROXY_CLIENT


cdef size_t word(const char* data, size_t size, size_t* at) noexcept nogil:
    """The size of the word at `at`, which moves past it and the one space behind it; 0 when there is none."""
    cdef size_t start = at[0], end = at[0]
    while end < size and data[end] != c" ":
        end += 1
    at[0] = end + 1
    return end - start


cdef int port_number(const char* data, size_t size) noexcept nogil:
    cdef size_t i
    cdef int value = 0
    if size == 0 or size > 5 or (data[0] == c"0" and size > 1):
        return -1
    for i in range(size):
        if not c"0" <= data[i] <= c"9":
            return -1
        value = value * 10 + data[i] - c"0"
    return value if value <= 65535 else -1


cdef int read_line(const char* data, size_t size, int* family, uint8_t* where) noexcept nogil:
    """Version 1 (section 2.1): `PROXY TCP4 source destination port port`, single spaces, CR LF."""
    cdef char host[48]
    cdef uint8_t addresses[32]          # source, destination
    cdef size_t at = 11, start, length
    cdef int i
    cdef int port
    if data[size - 2] != c"\r" or data[size - 1] != c"\n" or memchr(data, c"\r", size) != data + size - 2:
        return -1
    size -= 2
    if size >= 13 and memcmp(data, b"PROXY UNKNOWN", 13) == 0:
        return PROXY_NOBODY if size == 13 or data[13] == c" " else -1
    if memcmp(data, b"PROXY TCP4 ", 11) == 0:
        family[0] = AF_INET
    elif memcmp(data, b"PROXY TCP6 ", 11) == 0:
        family[0] = AF_INET6
    else:
        return -1
    for i in range(2):
        start = at
        length = word(data, size, &at)
        if length == 0 or length >= sizeof(host):
            return -1
        memcpy(host, data + start, length)
        host[length] = 0
        if inet_pton(family[0], host, addresses + 16 * i) != 1:
            return -1
    start = at
    length = word(data, size, &at)
    port = port_number(data + start, length) if start < size else -1
    if port < 0:
        return -1
    start = at
    if start >= size or port_number(data + start, size - start) < 0:
        return -1
    set_address(family[0], addresses, htons(<uint16_t>port), where)
    return PROXY_CLIENT


def read_header(bytes data, int versions=PROXY_V1 | PROXY_V2):
    """Read a header from the front of some bytes, for tests; the engine reads from a socket.

    Returns:
        (outcome, bytes used): "more" (bytes are needed), "local", "nobody", or ("host", port).

    Raises:
        ValueError: It is no header.
    """
    cdef bint line = False
    cdef const char* why = NULL
    cdef size_t used = 0, wanted, end
    cdef int family = 0, outcome
    cdef uint8_t where[28]
    cdef const uint8_t* raw = data
    import socket
    while True:
        wanted = proxy_wants(raw, used, versions, &line, &why)
        if why != NULL:
            raise ValueError(why.decode())
        if wanted == 0:
            break
        end = used + wanted
        if line:
            found = data.find(b"\n", used)
            if found >= 0 and <size_t>found + 1 < end:
                end = found + 1
        if end > <size_t>len(data):
            return "more", used
        used = end
    outcome = proxy_read(raw, used, &family, where, &why)
    if outcome < 0:
        raise ValueError(why.decode())
    if outcome != PROXY_CLIENT:
        return "local" if outcome == PROXY_LOCAL else "nobody", used
    if family == AF_INET:
        host = socket.inet_ntop(socket.AF_INET, bytes((<uint8_t*>&(<sockaddr_in*>where).sin_addr)[:4]))
        return (host, ntohs((<sockaddr_in*>where).sin_port)), used
    host = socket.inet_ntop(socket.AF_INET6, bytes((<uint8_t*>&(<sockaddr_in6*>where).sin6_addr)[:16]))
    return (host, ntohs((<sockaddr_in6*>where).sin6_port)), used
