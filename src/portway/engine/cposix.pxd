"""C declarations from POSIX and Linux that Cython does not ship: only what the engine uses."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<errno.h>" nogil:
    int errno
    int EAGAIN, EWOULDBLOCK, EINTR, EMFILE, ENFILE, ECONNABORTED, ENOBUFS, ENOMEM, EINVAL, ENOSYS


cdef extern from "<sys/types.h>" nogil:
    ctypedef long off_t


cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    ctypedef unsigned short sa_family_t
    struct sockaddr:
        sa_family_t sa_family
    struct sockaddr_storage:
        sa_family_t ss_family
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int AF_INET, AF_INET6, AF_UNIX, SOL_SOCKET, SCM_RIGHTS
    int MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_MORE, MSG_PEEK
    int SHUT_RD, SHUT_WR, SHUT_RDWR
    ssize_t recv(int fd, void* data, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    ssize_t recvmsg(int fd, msghdr* message, int flags)
    int shutdown(int fd, int how)
    int getsockname(int fd, sockaddr* address, socklen_t* size)
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    unsigned char* CMSG_DATA(cmsghdr* header)
    size_t CMSG_SPACE(size_t size)
    size_t CMSG_LEN(size_t size)


cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        pass
    struct sockaddr_in:
        sa_family_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        sa_family_t sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t ntohs(uint16_t value)
    uint16_t htons(uint16_t value)


cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* source, char* target, socklen_t size)
    int inet_pton(int family, const char* source, void* target)


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    short POLLIN, POLLOUT, POLLERR, POLLHUP
    int poll(pollfd* fds, unsigned long count, int timeout_ms)


cdef extern from "<unistd.h>" nogil:
    int close(int fd)
    int dup(int fd)
    ssize_t read(int fd, void* data, size_t size)
    ssize_t write(int fd, const void* data, size_t size)
    ssize_t pread(int fd, void* data, size_t size, off_t offset)
    ssize_t pwrite(int fd, const void* data, size_t size, off_t offset)


cdef extern from "<time.h>" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    struct tm:
        int tm_sec
        int tm_min
        int tm_hour
        int tm_mday
        int tm_mon
        int tm_year
        int tm_wday
    int CLOCK_MONOTONIC, CLOCK_REALTIME
    int clock_gettime(int clock, timespec* out)
    int nanosleep(const timespec* wanted, timespec* rest)
    time_t time(time_t* out)
    tm* gmtime_r(const time_t* when, tm* out)


cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    int pthread_create(pthread_t* thread, void* attributes, void* (*body)(void*) noexcept nogil, void* argument)
    int pthread_join(pthread_t thread, void** result)


cdef extern from "<signal.h>" nogil:
    int pthread_kill(pthread_t thread, int signal)


cdef extern from * nogil:
    """
    #include <time.h>
    #include <stdint.h>
    #include <errno.h>
    #include <sys/types.h>
    #include <sys/socket.h>
    #include <unistd.h>
    #include <fcntl.h>
    #include <poll.h>
    #include <sys/ioctl.h>
    #if defined(__linux__)
    #include <sys/sendfile.h>
    #include <linux/sockios.h>
    #endif
    #ifndef MSG_CMSG_CLOEXEC
    #define MSG_CMSG_CLOEXEC 0
    #endif
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    static inline uint64_t pw_now_ns(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    /* The time of day, for what other machines say of it. */
    static inline uint64_t pw_real_us(void) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
    }
    /* For deadlines: a few milliseconds late, a fifth of the price. */
    static inline uint64_t pw_coarse_ms(void) {
        struct timespec t;
    #if defined(CLOCK_MONOTONIC_COARSE)
        clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    #else
        clock_gettime(CLOCK_MONOTONIC, &t);
    #endif
        return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
    }
    /* Let close(2) reset the connection: what was sent must not pass for complete. */
    static inline void pw_reset_on_close(int fd) {
        struct linger hard = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    /* Whether both directions are gone: whatever is unread, nobody waits for an answer. */
    static inline int pw_hung_up(int fd) {
        struct pollfd p = {fd, 0, 0};
        return poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
    }
    /* Bytes that have come and were not received. */
    static inline int pw_unread(int fd) {
        int bytes = 0;
        return ioctl(fd, FIONREAD, &bytes) < 0 ? 0 : bytes;
    }
    /* Whether the socket takes bytes now. */
    static inline int pw_takes(int fd) {
        struct pollfd p = {fd, POLLOUT, 0};
        return poll(&p, 1, 0) > 0;
    }
    /* Bytes sent that the peer has not acknowledged; 0 where the system does not tell. */
    static inline int pw_unacknowledged(int fd) {
        int bytes = 0;
    #if defined(SIOCOUTQ)
        if (ioctl(fd, SIOCOUTQ, &bytes) < 0) bytes = 0;
    #endif
        return bytes;
    }
    /* accept4 is Linux and BSD; macOS has accept and fcntl. */
    static inline int pw_accept(int fd, struct sockaddr* address, socklen_t* size) {
    #if defined(__linux__)
        return accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    #else
        int got = accept(fd, address, size);
        if (got >= 0) {
            fcntl(got, F_SETFL, fcntl(got, F_GETFL) | O_NONBLOCK);
            fcntl(got, F_SETFD, FD_CLOEXEC);
        }
        return got;
    #endif
    }
    /* Bytes of a file to a socket: 0 at the end of the file, -1 with errno otherwise. */
    static inline ssize_t pw_sendfile(int to, int from, off_t at, size_t size) {
    #if defined(__linux__)
        return sendfile(to, from, &at, size);
    #else
        char block[65536];
        ssize_t got = pread(from, block, size < sizeof block ? size : sizeof block, at);
        return got > 0 ? send(to, block, (size_t)got, 0) : got;
    #endif
    }
    """
    uint64_t pw_now_ns()
    uint64_t pw_real_us()
    uint64_t pw_coarse_ms()
    int pw_unread(int fd)
    int pw_takes(int fd)
    int pw_unacknowledged(int fd)
    void pw_reset_on_close(int fd)
    int pw_hung_up(int fd)
    int pw_accept(int fd, sockaddr* address, socklen_t* size)
    ssize_t pw_sendfile(int to_fd, int from_fd, off_t at, size_t size)
