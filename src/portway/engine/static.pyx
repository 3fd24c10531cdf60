# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Files and redirects, answered by the engine itself: the application and its threads have no part in it.

Between the connection machine and the drivers. `route` looks a head up in the table and prepares the answer in the
strand; `answer` sends it, once the input behind the head is safe. What is sent of a file is what it had when it was
opened: one that shrinks meanwhile costs the connection, never the next response (RFC 9112, section 8).
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp, memcpy, memmove, memset, strlen

from portway.engine.base cimport SMALL
from portway.engine.codings cimport CODINGS, Accepted, accept_more, accept_nothing, wanted_codings
from portway.engine.conditions cimport (
    Conditions, Validators, add_condition, make_validators, precondition, put_validators,
)
from portway.engine.connection cimport DEAD, FLUSH, Segment, part_of_file
from portway.engine.cposix cimport EAGAIN, EMFILE, ENFILE, ENOMEM, close, time
from portway.engine.folder cimport SUFFIX_MOST
from portway.engine.forwarded cimport Claim, claim_kind
from portway.engine.head cimport FORM_ASTERISK, Field, Head, HeadParser, same_name
from portway.engine.paths cimport PATH_FINE, normalise_path, plain_path
from portway.engine.ranges cimport RANGES_IGNORED, RANGES_OUTSIDE, Range, parse_ranges
from portway.engine.reply cimport Reply, put, reason, reply_status_code, reserve
from portway.engine.request_id cimport request_id
from portway.engine.table cimport APP, ELSEWHERE, FILES, Rule

cdef extern from "<errno.h>" nogil:
    int ENOENT, ENOTDIR, ENAMETOOLONG, ELOOP, EXDEV, EACCES, EPERM, ENXIO

cdef extern from "<stdio.h>" nogil:
    int snprintf(char* out, size_t size, const char* form, ...)

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

cdef enum:
    SHARE = 2097152             # bytes that are sent before others have their turn

cdef const char** NAMES = [b"br", b"zstd", b"gzip"]
cdef const char** TAGS = [b"", b"-br", b"-zstd", b"-gzip"]
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


cdef size_t read_at(int fd, char* data, size_t size, uint64_t at) noexcept nogil:
    """Read a part of a file; fewer bytes than wanted when it is shorter by now, or cannot be read."""
    cdef ssize_t got
    cdef size_t done = 0
    while done < size:
        got = pread(fd, data + done, size - done, at + done)
        if got <= 0:
            break
        done += got
    return done


cdef int put_content_range(Buffer* out, Range* part, uint64_t size) except -1:
    cdef char line[96]
    cdef int used = snprintf(
        line, sizeof(line), b"Content-Range: bytes %llu-%llu/%llu\r\n",
        <unsigned long long>part.first, <unsigned long long>part.last, <unsigned long long>size,
    )
    return put(out, line, used)


cdef int put_part(Buffer* out, Strand strand, int i) except -1:
    """What stands before a part of a multipart answer, or behind the last (RFC 2046, section 5.1.1)."""
    put(out, b"\r\n--", 4)
    put(out, PyBytes_AS_STRING(strand.boundary), PyBytes_GET_SIZE(strand.boundary))
    if i == strand.range_count:
        return put(out, b"--\r\n", 4)
    put(out, b"\r\n", 2)
    put(out, strand.kind.line, strand.kind.line_size)
    put_content_range(out, &strand.ranges[i], strand.file_size)
    return put(out, b"\r\n", 2)


cdef class StaticEngine(Engine):
    """Not used itself: see WSGIEngine and ASGIEngine."""

    cdef int route(self, Connection c, Strand strand, const char* data) except -1:
        """Prepare the answer of a request that the table does not leave to an application: 1; 2 for one elsewhere."""
        cdef Head* head = &strand.parser.head
        cdef Buffer* buffer = &strand.path
        cdef const char* path = data + head.path_at
        cdef size_t size = head.path_size, star_at = 0, star_end = 0
        cdef int place, problem = PATH_FINE
        cdef Rule* rule
        c.mount = -1
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
        if rule.kind == APP:
            c.mount = rule.number
            return 0
        if rule.kind == ELSEWHERE:
            return 2
        self.know(c, strand, data)
        if strand.file >= 0:
            close(strand.file)              # what prepared it did not come to send it
        strand.file = -1
        strand.range_count = 0
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
        cdef Segment file
        cdef int fd = strand.file
        if strand.range_count:
            strand.file = -1
            self.send_parts(c, strand, fd)
        elif fd < 0:
            c.transmit(self.poller, strand.out.data, strand.out.size, NULL, 0, None)
        else:
            file = part_of_file(fd, strand.file_at, strand.file_size, True)
            strand.file = -1
            self.step_aside(strand)
            c.transmit_head_and_file(self.poller, strand.out.data, strand.out.size, file)
            self.step_back(strand)
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
        """Find the file of a path in its normal form; the path begins with the folder's base."""
        cdef size_t base = PyBytes_GET_SIZE(folder.base), used
        cdef char* whole
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
        # the path of the file in the site: the one of the request, with an index behind it where that is a folder's
        used = size if path == buffer.data else 0
        buffer.size = used
        reserve(buffer, size + folder.index_room + SUFFIX_MOST)
        if used:
            path = buffer.data
        whole = buffer.data + used
        memcpy(whole, path, size)
        whole[size] = 0
        if size == base or whole[size - 1] == c"/":
            for index in folder.index:
                memcpy(whole + size, PyBytes_AS_STRING(index), PyBytes_GET_SIZE(index) + 1)
                problem = self.look(strand, folder, whole + base, &file)
                if problem != ENOENT:
                    size += PyBytes_GET_SIZE(index)
                    break
        else:
            problem = self.look(strand, folder, whole + base, &file)
            if problem == 0 and file.is_folder:
                close(file.fd)
                return self.add_slash(c, strand, data, path, size)
        if problem:
            return self.trouble(c, strand, folder, whole + base, problem)
        try:
            if not file.is_file:
                return self.not_found(c, strand, folder)
            return self.serve_opened(c, strand, data, folder, whole, size, &file)
        finally:
            if file.fd >= 0:
                close(file.fd)

    cdef int look(self, Strand strand, Folder folder, const char* name, Opened* file) except -1:
        """Open a file; when a disk must be waited for, without holding the others up."""
        cdef int problem = folder.look(name, file, self.now_ms, True, False)
        if problem == EAGAIN:
            self.step_aside(strand)
            problem = folder.look(name, file, self.now_ms)
            self.step_back(strand)
        return problem

    cdef int serve_opened(
        self, Connection c, Strand strand, const char* data, Folder folder, char* path, size_t size, Opened* file
    ) except -1:
        """Prepare the answer that has a file, or says why not; takes its descriptor if it is sent from there."""
        cdef Kind* kind = folder.types.find(path, size)
        cdef size_t base = PyBytes_GET_SIZE(folder.base)
        cdef bint varies = kind.compressible and folder.coding_count
        cdef int coding = -1, status, count = RANGES_IGNORED
        cdef int64_t now = time(NULL)
        cdef Validators validators
        cdef Conditions conditions
        cdef Buffer* out = &strand.out
        cdef Reply reply
        cdef Field* field
        cdef uint32_t i
        if varies:
            coding = self.prefer(strand, data, folder, path + base, size - base, file)
        make_validators(
            &validators, file.modified_s, file.modified_ns, file.size, TAGS[coding + 1], now
        )
        memset(&conditions, 0, sizeof(conditions))
        for i in range(strand.parser.head.count):
            field = &strand.parser.fields[i]
            if (data[field.name_at] | 32) in (c"i", c"r"):
                add_condition(
                    &conditions, &validators, now, data + field.name_at, field.name_size,
                    data + field.value_at, field.value_size,
                )
        status = precondition(&conditions, &validators)
        if status == 412:
            return self.plain(c, strand, 412, b"")
        if status == 200 and conditions.range != NULL and not c.is_head:
            count = parse_ranges(conditions.range, conditions.range_size, file.size, strand.ranges)
            if count == RANGES_OUTSIDE:
                return self.outside(c, strand, file.size)
            if count:
                status = 206
        reply_status_code(out, &reply, status)
        if status != 304:
            put(out, b"Accept-Ranges: bytes\r\n", 22)
            if coding >= 0:
                put(out, b"Content-Encoding: ", 18)
                put(out, NAMES[coding], strlen(NAMES[coding]))
                put(out, b"\r\n", 2)
        if varies:
            put(out, b"Vary: Accept-Encoding\r\n", 23)
        put_validators(out, &validators)
        self.put_cache_line(out, folder, path, size)
        if count > 1:
            return self.promise_parts(c, strand, &reply, kind, count, file)
        if status == 304:
            return self.end_head(c, out, &reply, -1)
        put(out, kind.line, kind.line_size)
        if count == 0:
            strand.ranges[0].first = 0
            strand.ranges[0].last = file.size - 1
        else:
            put_content_range(out, &strand.ranges[0], file.size)
        return self.promise(c, strand, &reply, file, strand.ranges[0].first, (
            strand.ranges[0].last - strand.ranges[0].first + 1
        ))

    cdef int put_cache_line(self, Buffer* out, Folder folder, const char* path, size_t size) except -1:
        cdef const char* line = NULL
        cdef size_t line_size = 0
        folder.cache_line(path, size, &line, &line_size)
        return put(out, line, line_size)

    cdef int prefer(
        self, Strand strand, const char* data, Folder folder, char* name, size_t size, Opened* file
    ) except -2:
        """Put the compressed form that the client likes best in the place of a file; its coding, or -1."""
        cdef HeadParser parser = strand.parser
        cdef Accepted accepted
        cdef Field* field
        cdef int wanted[CODINGS]
        cdef int count, coding
        cdef uint32_t i
        accept_nothing(&accepted)
        for i in range(parser.head.count):
            field = &parser.fields[i]
            if field.name_size == 15 and same_name(data + field.name_at, b"accept-encoding", 15):
                accept_more(&accepted, data + field.value_at, field.value_size)
        count = wanted_codings(&accepted, folder.codings, folder.coding_count, wanted)
        coding = folder.look_coded(name, size, wanted, count, file, self.now_ms, False)
        if coding == -3:
            self.step_aside(strand)
            coding = folder.look_coded(name, size, wanted, count, file, self.now_ms, True)
            self.step_back(strand)
        return coding

    cdef int promise(
        self, Connection c, Strand strand, Reply* reply, Opened* file, uint64_t at, uint64_t size
    ) except -1:
        """End a head and have a part of a file follow: a small one at once, others when the head is sent."""
        cdef Buffer* out = &strand.out
        cdef ssize_t got
        self.end_head(c, out, reply, size)
        if c.is_head or size == 0:
            return 0
        if size > SMALL:
            strand.file, strand.file_at, strand.file_size = file.fd, at, size
            file.fd = -1
            return 0
        reserve(out, size)
        got = pw_read_cached(file.fd, out.data + out.size, size, at)
        if got != <ssize_t>size:
            self.step_aside(strand)
            with nogil:                     # a disk may be slow
                got = read_at(file.fd, out.data + out.size, size, at)
            self.step_back(strand)
        if got != <ssize_t>size:
            return self.plain(c, strand, 503, b"Retry-After: 1\r\n")   # it is just being written
        out.size += size
        return 0

    cdef int promise_parts(
        self, Connection c, Strand strand, Reply* reply, Kind* kind, int count, Opened* file
    ) except -1:
        """End a head and have several parts of a file follow (RFC 9110, section 14.6)."""
        cdef Buffer* out = &strand.out
        cdef Buffer* part = &strand.path
        cdef uint64_t total = 0
        cdef int i
        strand.boundary = request_id(None)
        put(out, b"Content-Type: multipart/byteranges; boundary=", 45)
        put(out, PyBytes_AS_STRING(strand.boundary), PyBytes_GET_SIZE(strand.boundary))
        put(out, b"\r\n", 2)
        strand.range_count = count
        strand.kind = kind
        strand.file_size = file.size
        part.size = 0
        for i in range(count):
            put_part(part, strand, i)
            total += strand.ranges[i].last - strand.ranges[i].first + 1
        put_part(part, strand, count)
        self.end_head(c, out, reply, total + part.size)
        strand.file = file.fd
        file.fd = -1
        return 0

    cdef int send_parts(self, Connection c, Strand strand, int fd) except -1:
        """Send the head and the parts; the descriptor goes with the last of them."""
        cdef Buffer* part = &strand.path
        cdef Range* wanted
        cdef int i, count = strand.range_count
        cdef bint owned = False
        try:
            if c.transmit(self.poller, strand.out.data, strand.out.size, NULL, 0, None) == DEAD:
                return 0
            for i in range(count + 1):
                part.size = 0
                put_part(part, strand, i)
                c.sent += part.size
                if c.park(part.data, part.size, None) < 0:
                    return 0
                if i < count:
                    wanted = &strand.ranges[i]
                    c.sent += wanted.last - wanted.first + 1
                    c.park_file(fd, wanted.first, wanted.last - wanted.first + 1, i == count - 1)
                    owned = i == count - 1
        finally:
            if not owned:
                c.drop_parked()             # nothing that is parked may use what is closed
                close(fd)
        c.flush(self.poller, False, SHARE)
        return 0

    cdef int outside(self, Connection c, Strand strand, uint64_t size) except -1:
        """Prepare a 416: nothing of what was asked for is in the file."""
        cdef char line[64]
        snprintf(line, sizeof(line), b"Content-Range: bytes */%llu\r\n", <unsigned long long>size)
        return self.plain(c, strand, 416, line)

    cdef int not_found(self, Connection c, Strand strand, Folder folder) except -1:
        """Prepare a 404, with the folder's own page where it has one."""
        cdef Kind* kind
        cdef Reply reply
        cdef Opened file
        cdef bytes name = folder.not_found
        if name is None or self.look(strand, folder, PyBytes_AS_STRING(name), &file):
            return self.plain(c, strand, 404, b"")
        try:
            if not file.is_file:
                return self.plain(c, strand, 404, b"")
            strand.out.size = 0
            reply_status_code(&strand.out, &reply, 404)
            kind = folder.types.find(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))
            put(&strand.out, kind.line, kind.line_size)
            put(&strand.out, b"Cache-Control: no-cache\r\n", 25)
            return self.promise(c, strand, &reply, &file, 0, file.size)
        finally:
            if file.fd >= 0:
                close(file.fd)

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
