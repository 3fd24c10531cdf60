# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""TLS of one connection: the interpreter's own `_ssl`, on the connection's descriptor and the engine's buffers.

What `ssl.SSLSocket` does for each call is left out, and no bytes pass through a MemoryBIO: OpenSSL reads and writes
the socket itself. Rules. Every call gives up the GIL, so only the owner of the connection may make one; the watchdog,
which answers in the place of a thread that has it, is waited for (`settle`). A write that
could not be finished must be repeated with the same bytes before any other: the connection keeps a copy of that one
record (`Connection.park_record`). The descriptor stays the connection's: the socket object that `_ssl` wants is
detached from it, never closed. `ssl` is imported when the first listener has TLS.
"""

import socket

from libc.stdint cimport int64_t

from portway.engine.cposix cimport nanosleep, timespec

cdef extern from "Python.h":
    object PyMemoryView_FromMemory(char* memory, Py_ssize_t size, int flags)
    int PyBUF_READ
    int PyBUF_WRITE

cdef extern from *:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/socket.h>

    /* Whether the kernel knows that the connection is not over. */
    static int pw_is_up(int fd)
    {
    #ifdef TCP_INFO
        struct tcp_info info;
        socklen_t size = sizeof(info);
        return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && info.tcpi_state != TCP_CLOSE;
    #else
        return 0;
    #endif
    }
    """
    bint pw_is_up(int fd) noexcept

cdef int64_t ALIVE = 0
cdef object WANT_READ = None
cdef object WANT_WRITE = None
cdef object SSL_ERROR = None
cdef object SCRATCH = None                  # a context that serves nobody
cdef int STREAM = socket.SOCK_STREAM | getattr(socket, "SOCK_NONBLOCK", 0)


cdef int tls_alive() noexcept:
    return <int>ALIVE


cdef int tls_prepare() except -1:
    """Import `ssl`; called once a listener has TLS."""
    global WANT_READ, WANT_WRITE, SSL_ERROR, SCRATCH
    import ssl

    WANT_READ = ssl.SSLWantReadError
    WANT_WRITE = ssl.SSLWantWriteError
    SSL_ERROR = ssl.SSLError
    SCRATCH = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    return 0


cdef void forget_failure() noexcept:
    """Empty this thread's queue of OpenSSL's errors.

    From Python 3.13 on `_ssl` leaves in it what a broken socket said, and the next connection that the thread reads
    from is taken for broken, too. To set ciphers that nothing has is refused, and empties it.
    """
    try:
        SCRATCH.set_ciphers("!ALL")
    except BaseException:
        pass


cdef bint is_anothers(object exc, object sock) noexcept:
    """Whether a failure is that of another socket: one that the application has used in this thread."""
    try:
        forget_failure()
        return isinstance(exc, OSError) and not isinstance(exc, SSL_ERROR) and pw_is_up(sock.fileno())
    except BaseException:
        return False


cdef class TLS:
    def __cinit__(self):
        global ALIVE
        ALIVE += 1

    def __dealloc__(self):
        global ALIVE
        ALIVE -= 1

    @property
    def layer(self):
        return self.layer

    @property
    def context(self):
        return self.layer.context

    @context.setter
    def context(self, context):
        # what the callback of SSLContext.sni_callback does to choose a certificate
        self.layer.context = context

    cdef int open(self, int fd, int family) except -1:
        # every argument given: no system call to find them out
        self.sock = socket.socket(family, STREAM, 0, fd)
        if self.sock.gettimeout() != 0:
            self.sock.setblocking(False)
        self.layer = self.policy.context._wrap_socket(self.sock, True, owner=self)
        return 0

    cdef ssize_t receive(self, int fd, int family, char* data, size_t size) noexcept:
        """Receive decrypted bytes, of one record at most; the handshake goes on first.

        Returns:
            The number of bytes, TLS_WAITS, TLS_ENDED or TLS_BROKEN.
        """
        cdef ssize_t got = self.try_to_receive(fd, family, data, size, False)
        return self.try_to_receive(fd, family, data, size, True) if got == TLS_AGAIN else got

    cdef ssize_t try_to_receive(self, int fd, int family, char* data, size_t size, bint last) noexcept:
        if self.using:
            return TLS_WAITS
        self.wants_write = 0
        self.using = 1
        try:
            if not self.established:
                if self.layer is None:
                    self.open(fd, family)
                self.layer.do_handshake()
                self.established = 1
            return <ssize_t>self.layer.read(size, PyMemoryView_FromMemory(data, size, PyBUF_WRITE)) or TLS_ENDED
        except WANT_READ:
            return TLS_WAITS
        except WANT_WRITE:
            self.wants_write = 1
            return TLS_WAITS
        except BaseException as exc:
            if is_anothers(exc, self.sock) and not last:
                return TLS_AGAIN
            if not self.established:
                self.failure = exc.with_traceback(None)
            return TLS_BROKEN
        finally:
            self.using = 0

    cdef bint pending(self) noexcept:
        """Whether decrypted bytes are left: no event will come for them."""
        try:
            return self.layer.pending() > 0
        except BaseException:
            return True

    cdef ssize_t send(self, const char* data, size_t size) noexcept:
        """Send one record, of at most RECORD bytes.

        Returns:
            `size`, TLS_WAITS (the same bytes must come again) or TLS_BROKEN.
        """
        cdef ssize_t went = self.try_to_send(data, size, False)
        return self.try_to_send(data, size, True) if went == TLS_AGAIN else went

    cdef ssize_t try_to_send(self, const char* data, size_t size, bint last) noexcept:
        if self.using:
            return TLS_BROKEN
        self.wants_read = 0
        self.using = 1
        try:
            return <ssize_t>self.layer.write(PyMemoryView_FromMemory(<char*>data, size, PyBUF_READ))
        except WANT_WRITE:
            return TLS_WAITS
        except WANT_READ:
            self.wants_read = 1
            return TLS_WAITS
        except BaseException as exc:
            return TLS_AGAIN if is_anothers(exc, self.sock) and not last else TLS_BROKEN
        finally:
            self.using = 0

    cdef int end(self) noexcept:
        """Say that nothing more will be sent (close_notify): what the peer has is not truncated.

        Returns:
            TLS_WAITS when the socket does not take it now, else 1. Nothing can be sent afterwards.
        """
        if not self.established:
            return 1
        if self.using:
            return TLS_WAITS
        self.using = 1
        try:
            self.layer.shutdown()
        except WANT_WRITE:
            return TLS_WAITS
        except BaseException:
            forget_failure()                # it is out; the peer's own is not waited for here
        finally:
            self.using = 0
        return 1

    cdef void settle(self) noexcept:
        """Wait for the watchdog's thread, which may be sending a 504; that takes microseconds, it never blocks."""
        cdef timespec nap
        nap.tv_sec = 0
        nap.tv_nsec = 20000
        while self.using:
            with nogil:
                nanosleep(&nap, NULL)

    cdef int release(self) noexcept:
        """Let go of the descriptor, which is about to be closed or used without TLS."""
        try:
            if self.sock is not None:
                self.sock.detach()
        except BaseException:
            pass
        self.sock = self.layer = self.policy = self.facts = self.failure = None
        return 0
