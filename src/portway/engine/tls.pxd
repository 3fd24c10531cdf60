# cython: language_level=3
from libc.stdint cimport uint8_t


cdef enum:
    RECORD = 16384              # bytes of plaintext in one TLS record, at most
    TLS_WAITS = 0               # nothing now: an event will come
    TLS_ENDED = -1              # the peer has ended its side
    TLS_BROKEN = -2
    TLS_AGAIN = -3              # within this unit: what failed was another socket


# The TLS of one connection. Belongs to whoever has the connection's `busy`: each call gives up the GIL.
cdef class TLS:
    cdef object policy          # the listener's, see accept.pyi
    cdef object sock            # what ssl insists on; never closes the descriptor
    cdef object layer           # _ssl._SSLSocket, None before the first byte
    cdef uint8_t established    # the handshake is over
    cdef uint8_t using          # a thread is in OpenSSL
    cdef uint8_t wants_write    # reading cannot go on before the socket takes bytes
    cdef uint8_t wants_read     # writing cannot go on before bytes come
    cdef object failure         # what the handshake failed with
    cdef object facts           # what the application is told of it, made at the first request
    cdef public object identity
    cdef object __weakref__

    cdef int open(self, int fd, int family) except -1
    cdef ssize_t receive(self, int fd, int family, char* data, size_t size) noexcept
    cdef bint pending(self) noexcept
    cdef ssize_t try_to_receive(self, int fd, int family, char* data, size_t size, bint last) noexcept
    cdef ssize_t send(self, const char* data, size_t size) noexcept
    cdef ssize_t try_to_send(self, const char* data, size_t size, bint last) noexcept
    cdef int end(self) noexcept
    cdef int release(self) noexcept
    cdef void settle(self) noexcept


cdef int tls_alive() noexcept
cdef int tls_prepare() except -1
