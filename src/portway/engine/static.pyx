# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Files and redirects, answered by the engine itself: the application and its threads have no part in it.

Between the connection machine and the drivers. `route` looks a head up in the table and prepares the answer in the
strand; `answer` sends it, once the input behind the head is safe. What is sent of a file is what it had when it was
opened: one that shrinks meanwhile costs the connection, never the next response (RFC 9112, section 8).
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memmove, strlen

from portway.engine.base cimport SMALL
from portway.engine.connection cimport FLUSH
from portway.engine.cposix cimport EMFILE, ENFILE, ENOMEM, close
from portway.engine.folder cimport Kind, NAME_ROOM
from portway.engine.forwarded cimport Claim, claim_kind
from portway.engine.head cimport FORM_ASTERISK, Field, Head
from portway.engine.paths cimport PATH_FINE, normalise_path, plain_path
from portway.engine.reply cimport Reply, put, reason, reply_status_code, reserve
from portway.engine.request_id cimport request_id
from portway.engine.table cimport FILES, REDIRECT, Rule

cdef extern from "<errno.h>" nogil:
    int ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EXDEV, EACCES, EPERM, ENXIO

cdef extern from * nogil:
    """
    #include <sys/uio.h>
    #include <unistd.h>
    /* Bytes of a file, only if they are in memory already where the system can tell; else -1 with EAGAIN. */
    static inline ssize_t pw_read_cached(int fd, char* data, size_t size, off_t at) {
    #if defined(__linux__) && defined(RWF_NOWAIT)
        struct iovec part = {data, size};
        return preadv2(fd, &part, 1, at, RWF_NOWAIT);
    #else
        errno = EAGAIN;
        return -1;
    #endif
    }
    """
    ssize_t pw_read_cached(int fd, char* data, size_t size, long at)
    ssize_t pread(int fd, void* data, size_t size, long at)

cdef const char* HEX = b"0123456789ABCDEF"


cdef bint stays(char c) noexcept nogil:
    """Whether a byte stands for itself in the path of a URL (RFC 3986, pchar)."""
    return (
        c"a" <= c <= c"z" or c"A" <= c <= c"Z" or c"/" <= c <= c"9" or c in (c"-", c".", c"_", c"~")
        or c in (c"!", c"$", c"&", c"'", c"(", c")", c"*", c"+", c",", c";", c"=", c":", c"@")
    )


cdef int put_encoded(Buffer* out, const char* path, size_t size) except -1:
    cdef size_t i
    cdef uint8_t c
    reserve(out, 3 * size)
    for i in range(size):
        c = <uint8_t>path[i]
        if stays(<char>c):
            out.data[out.size] = <char>c
            out.size += 1
        else:
            out.data[out.size] = c"%"
            out.data[out.size + 1] = HEX[c >> 4]
            out.data[out.size + 2] = HEX[c & 15]
            out.size += 3
    return 0


cdef ssize_t read_whole(int fd, char* data, size_t size) noexcept:
    """Read the beginning of a file; fewer bytes than wanted when it is shorter by now, or cannot be read."""
    cdef ssize_t got = pw_read_cached(fd, data, size, 0)
    cdef size_t done = got if got > 0 else 0
    if got == <ssize_t>size or got == 0:
        return done
    with nogil:                             # a disk may be slow
        while done < size:
            got = pread(fd, data + done, size - done, done)
            if got <= 0:
                break
            done += got
    return done


cdef class StaticEngine(Engine):
    """Not used itself: see WSGIEngine and ASGIEngine."""

    cdef int route(self, Connection c, Strand strand, const char* data) except -1:
        """Prepare the answer of a request that the table does not leave to the application; whether it did."""
        cdef Head* head = &strand.parser.head
        cdef Buffer* buffer = &strand.path
        cdef const char* path = data + head.path_at
        cdef size_t size = head.path_size, star_at = 0, star_end = 0
        cdef int place, problem = PATH_FINE
        cdef Rule* rule
        if head.form == FORM_ASTERISK:
            return 0
        if not plain_path(path, size):
            buffer.size = 0
            reserve(buffer, size + 1)
            problem = normalise_path(path, size, buffer.data, &buffer.size)
            path, size = buffer.data, buffer.size
        place = self.table.find(path, size, &star_at, &star_end)
        if place < 0:
            return 0
        rule = &self.table.rules[place]
        if rule.kind != FILES and rule.kind != REDIRECT:
            return 0
        self.know(c, strand, data)
        strand.file = -1
        strand.out.size = 0
        if problem != PATH_FINE:
            self.plain(c, strand, 400, b"")
        elif rule.kind == FILES:
            self.serve_file(c, strand, data, <Folder>self.table.targets[place], path, size)
        else:
            self.send_on(
                c, strand, data, <Redirect>self.table.targets[place], path + star_at, star_end - star_at
            )
        return 1

    cdef int answer(self, Connection c, Strand strand) except -1:
        """Send what `route` has prepared."""
        cdef int fd = strand.file
        strand.file = -1
        if fd < 0:
            c.transmit(self.poller, strand.out.data, strand.out.size, NULL, 0, None)
        else:
            c.transmit_head_and_file(
                self.poller, strand.out.data, strand.out.size, fd, strand.file_at, strand.file_size
            )
        self.count(c)
        c.state = FLUSH
        if c.parked is not None and not c.broken:
            self.place(c)
        else:
            self.after_response(c)
        return 1

    cdef int know(self, Connection c, Strand strand, const char* data) except -1:
        """What a driver would learn of the request for the logs: its id, and its client behind a proxy."""
        cdef Head* head = &strand.parser.head
        cdef Field* field
        cdef uint32_t i
        cdef int kind
        cdef bytes given = None, host = b""
        cdef list claims = None
        cdef Claim claim
        c.claimed = None
        if strand.parser.matched:           # the fields were not looked at
            strand.parser.header_block(data, head.size)
        if self.id_name is None and (self.access is None or not c.trusted):
            return 0
        for i in range(head.count):
            field = &strand.parser.fields[i]
            name = data[field.name_at : field.name_at + field.name_size]
            value = data[field.value_at : field.value_at + field.value_size]
            if self.id_name is not None and name.lower() == self.id_name:
                given = value if given is None else b""     # two are none
            elif c.trusted:
                kind = claim_kind(name)
                if kind and self.heeds(c, kind, name):
                    claims = [] if claims is None else claims
                    claims.append((kind, value))
                elif name.lower() == b"host":
                    host = value
        if self.id_name is not None:
            c.request_id = request_id(given)
        if claims is not None:
            claim = self.believe(claims, host, "http" if c.tls is None else "https")
            if claim is not None and claim.client is not None:
                c.claimed = claim.client
            elif claim is not None and claim.hidden:
                c.claimed = ("unknown", 0)
        return 0

    cdef int serve_file(
        self, Connection c, Strand strand, const char* data, Folder folder, const char* path, size_t size
    ) except -1:
        """Find the file of a path in its normal form; its base is that of the folder."""
        cdef size_t base = PyBytes_GET_SIZE(folder.base), name_size, used
        cdef char* name
        cdef int problem = ENOENT
        cdef Opened file
        cdef Buffer* buffer = &strand.path
        cdef bytes index
        if not (c.is_head or strand.parser.head.method_size == 3 and memcmp(data, b"GET", 3) == 0):
            return self.plain(c, strand, 405, b"Allow: GET, HEAD\r\n")
        if size < base or memcmp(path, PyBytes_AS_STRING(folder.base), base) != 0:
            return self.not_found(c, strand, folder)
        if not folder.admits(path + base, size - base):
            return self.not_found(c, strand, folder)
        # behind the path, if that stands in the buffer: it is still needed
        used = size if path == buffer.data else 0
        buffer.size = used
        reserve(buffer, size - base + 256 + NAME_ROOM)
        if used:
            path = buffer.data
        name, name_size = buffer.data + used, size - base
        memcpy(name, path + base, name_size)
        name[name_size] = 0
        if name_size == 0 or name[name_size - 1] == c"/":
            for index in folder.index:
                memcpy(name + name_size, PyBytes_AS_STRING(index), PyBytes_GET_SIZE(index) + 1)
                problem = folder.look(name, &file, self.now_ms)
                if problem != ENOENT:
                    name_size += PyBytes_GET_SIZE(index)
                    break
        else:
            problem = folder.look(name, &file, self.now_ms)
            if problem == 0 and file.is_folder:
                close(file.fd)
                return self.add_slash(c, strand, data, path, size)
        if problem:
            return self.trouble(c, strand, folder, name, problem)
        if not file.is_file:
            close(file.fd)
            return self.not_found(c, strand, folder)
        try:
            self.serve_opened(c, strand, data, folder, path, size, name, name_size, &file)
        finally:
            if file.fd >= 0:
                close(file.fd)
        return 0

    cdef int serve_opened(
        self, Connection c, Strand strand, const char* data, Folder folder, const char* path, size_t size,
        const char* name, size_t name_size, Opened* file
    ) except -1:
        """Prepare the answer that sends a file; takes its descriptor if it is to be sent from there."""
        cdef Kind* kind = folder.types.find(name, name_size)
        cdef Buffer* out = &strand.out
        cdef Reply reply
        cdef const char* line = NULL
        cdef size_t line_size = 0
        reply_status_code(out, &reply, 200)
        put(out, kind.line, kind.line_size)
        folder.cache_line(path, size, &line, &line_size)
        put(out, line, line_size)
        self.end_head(c, out, &reply, file.size)
        if c.is_head or file.size == 0:
            return 0
        if file.size > SMALL:
            strand.file, strand.file_at, strand.file_size = file.fd, 0, file.size
            file.fd = -1
            return 0
        reserve(out, file.size)
        if read_whole(file.fd, out.data + out.size, file.size) < <ssize_t>file.size:
            out.size = 0
            return self.plain(c, strand, 503, b"Retry-After: 1\r\n")   # it is being written
        out.size += file.size
        return 0

    cdef int not_found(self, Connection c, Strand strand, Folder folder) except -1:
        return self.plain(c, strand, 404, b"")

    cdef int trouble(self, Connection c, Strand strand, Folder folder, const char* name, int problem) except -1:
        """A file that cannot be opened: what is not there is 404, whatever the reason; the rest is the operator's."""
        if problem in (ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EXDEV, ENXIO):
            if folder.root is None:
                where = os.fsdecode(folder.path)
                self.notice(f"folder {where}", f"no files from {where!r}: {os.strerror(folder.root_error)}")
            return self.not_found(c, strand, folder)
        text = f"cannot open {os.fsdecode(name)!r:.200} in {os.fsdecode(folder.path)!r}: {os.strerror(problem)}"
        self.notice(f"file {problem} {os.fsdecode(folder.path)}", text)
        if problem == EACCES or problem == EPERM:
            return self.plain(c, strand, 403, b"")
        if problem == EMFILE or problem == ENFILE or problem == ENOMEM:
            return self.plain(c, strand, 503, b"Retry-After: 1\r\n")
        return self.plain(c, strand, 500, b"")

    cdef int send_on(
        self, Connection c, Strand strand, const char* data, Redirect redirect, const char* star, size_t size
    ) except -1:
        """Prepare a redirect; a path never begins with two slashes, for that would be another host's."""
        cdef Head* head = &strand.parser.head
        cdef Buffer* out = &strand.out
        cdef Reply reply
        cdef size_t start, behind
        reply_status_code(out, &reply, redirect.status)
        put(out, b"Location: ", 10)
        start = out.size
        put(out, PyBytes_AS_STRING(redirect.before), PyBytes_GET_SIZE(redirect.before))
        if redirect.starred:
            put_encoded(out, star, size)
            put(out, PyBytes_AS_STRING(redirect.behind), PyBytes_GET_SIZE(redirect.behind))
        if redirect.is_path:
            behind = start + 1
            while behind < out.size and out.data[behind] == c"/":
                behind += 1
            memmove(out.data + start + 1, out.data + behind, out.size - behind)
            out.size -= behind - start - 1
        if head.query_size and not redirect.has_query:
            put(out, b"?", 1)
            put(out, data + head.query_at, head.query_size)
        put(out, PyBytes_AS_STRING(redirect.fragment), PyBytes_GET_SIZE(redirect.fragment))
        put(out, b"\r\n", 2)
        return self.end_head(c, out, &reply, 0)

    cdef int add_slash(self, Connection c, Strand strand, const char* data, const char* path, size_t size) except -1:
        """Send a client to the folder's own path: 301, as everybody does, for only GET and HEAD come here."""
        cdef Head* head = &strand.parser.head
        cdef Reply reply
        reply_status_code(&strand.out, &reply, 301)
        put(&strand.out, b"Location: ", 10)
        put_encoded(&strand.out, path, size)
        put(&strand.out, b"/", 1)
        if head.query_size:
            put(&strand.out, b"?", 1)
            put(&strand.out, data + head.query_at, head.query_size)
        put(&strand.out, b"\r\n", 2)
        return self.end_head(c, &strand.out, &reply, 0)

    cdef int plain(self, Connection c, Strand strand, int status, const char* fields) except -1:
        """Prepare a short answer that says its status and nothing else."""
        cdef Reply reply
        cdef bytes text = f"{status} {reason(status)}\n".encode()
        strand.out.size = 0
        reply_status_code(&strand.out, &reply, status)
        put(&strand.out, b"Content-Type: text/plain; charset=utf-8\r\n", 41)
        put(&strand.out, fields, strlen(fields))
        self.end_head(c, &strand.out, &reply, PyBytes_GET_SIZE(text))
        if not c.is_head:
            put(&strand.out, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        return 0
