# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Sets of peers: addresses, networks, `unix` and `*`, compared without making an object.

An IPv4 address is kept as the IPv6 address that maps it (::ffff:a.b.c.d). So a client that appears in the one form
is found by the other: a check that knows one form only is one that the other passes by.
"""

import socket

from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from portway.engine.cposix cimport AF_INET, AF_INET6, AF_UNIX, inet_ntop, inet_pton, sockaddr_in, sockaddr_in6

cdef enum:
    TEXT_MOST = 46              # INET6_ADDRSTRLEN

cdef uint8_t MAPPED[12]
memset(MAPPED, 0, 10)
MAPPED[10] = MAPPED[11] = 0xFF


cdef bint read_address(const char* text, size_t size, uint8_t* address) noexcept nogil:
    """Read an IPv4 or IPv6 address, without brackets, zone or port; False when it is none."""
    cdef char copy[TEXT_MOST]
    if size == 0 or size >= TEXT_MOST:
        return False
    memcpy(copy, text, size)
    copy[size] = 0
    if inet_pton(AF_INET, copy, address + 12) == 1:
        memcpy(address, MAPPED, 12)
        return True
    return inet_pton(AF_INET6, copy, address) == 1


cdef object spell_address(const uint8_t* address):
    """The normal spelling of an address."""
    cdef char text[TEXT_MOST]
    if memcmp(address, MAPPED, 12) == 0:
        inet_ntop(AF_INET, address + 12, text, sizeof(text))
    else:
        inet_ntop(AF_INET6, address, text, sizeof(text))
    return text.decode("ascii")


cdef class Peers:
    """A set of peers; it does not change.

    Args:
        members: `unix`, `*`, addresses and networks ("10.0.0.0/8"), as `portway.config` has checked them.
    """

    def __init__(self, members):
        cdef Network* network
        members = tuple(members)
        self.everybody = "*" in members
        self.unix_sockets = self.everybody or "unix" in members
        self.networks = <Network*>calloc(len(members) + 1, sizeof(Network))
        if self.networks == NULL:
            raise MemoryError()
        for member in members:
            if member in ("*", "unix"):
                continue
            address, slash, bits = member.partition("/")
            text = address.encode("ascii")
            network = &self.networks[self.count]
            if not read_address(text, len(text), network.address):
                raise ValueError(f"not an address or a network: {member!r}")
            width = 128 if ":" in address else 32
            wanted = int(bits) if slash else width
            if not 0 <= wanted <= width:
                raise ValueError(f"not a network: {member!r}")
            network.bits = 128 - width + wanted
            self.count += 1

    def __dealloc__(self):
        free(self.networks)

    def __contains__(self, str member):
        """Whether an address, or `unix`, is one of the peers."""
        cdef uint8_t address[16]
        if member == "unix":
            return self.unix_sockets
        text = member.encode("ascii")
        if not read_address(text, len(text), address):
            raise ValueError(f"not an address: {member!r}")
        return self.everybody or self.named(address)

    cdef bint named(self, const uint8_t* address) noexcept nogil:
        """Whether one of the addresses and networks holds this address; `*` says nothing about that."""
        cdef int i, whole, rest
        for i in range(self.count):
            whole = self.networks[i].bits >> 3
            rest = self.networks[i].bits & 7
            if memcmp(self.networks[i].address, address, whole) != 0:
                continue
            if rest == 0 or (self.networks[i].address[whole] ^ address[whole]) >> (8 - rest) == 0:
                return True
        return False

    cdef bint holds(self, int family, const uint8_t* where) noexcept nogil:
        """Whether the peer of a socket is one of these.

        Args:
            family: of its address; anything but AF_INET and AF_INET6 is a unix socket.
            where: the sockaddr.
        """
        cdef uint8_t address[16]
        if self.everybody:
            return True
        if family == AF_INET:
            memcpy(address, MAPPED, 12)
            memcpy(address + 12, &(<sockaddr_in*>where).sin_addr, 4)
        elif family == AF_INET6:
            memcpy(address, &(<sockaddr_in6*>where).sin6_addr, 16)
        else:
            return self.unix_sockets
        return self.named(address)
