# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A folder whose files are served: what may be opened in it, and how.

A name is looked up by the kernel, beneath the folder's own descriptor (openat2 with RESOLVE_BENEATH), so neither `..`
nor a symbolic link leads out of it, however the tree changes meanwhile. Where there is no openat2, each component is
opened by itself and no link is followed. What was opened is what counts: it is asked for its kind, size and time
once, and nothing is looked up twice. Opening never waits for the other end of a FIFO.

Nothing is scanned and nothing kept but the folder's descriptor, which is renewed when it is a quarter of a second old,
or when something is missing: a folder may be replaced while it is served.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from libc.string cimport memcmp, memcpy, strlen

from portway.engine.codings cimport CODING_BR, CODING_GZIP, CODING_ZSTD
from portway.engine.cposix cimport EAGAIN, EINTR, close, errno
from portway.engine.paths cimport glob

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <string.h>
    #include <sys/stat.h>
    #include <unistd.h>
    #if defined(__linux__)
    #include <sys/syscall.h>
    #ifndef SYS_openat2
    #define SYS_openat2 437
    #endif
    #ifndef O_PATH
    #define O_PATH 010000000
    #endif
    #define PW_FOLDER (O_PATH | O_DIRECTORY | O_CLOEXEC)
    #else
    #define PW_FOLDER (O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    #endif
    #define PW_FILE (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
    #define PW_NO_MAGIC 0x02
    #define PW_BENEATH 0x08
    #define PW_CACHED 0x20

    static int pw_open_folder(const char* path) { return open(path, PW_FOLDER); }

    /* Beneath a folder, in one system call; `cached` only if no disk is needed, else EAGAIN. */
    static int pw_open_beneath(int folder, const char* name, int follow, int cached) {
    #if defined(__linux__)
        struct { uint64_t flags, mode, resolve; } how;
        how.flags = PW_FILE;
        how.mode = 0;
        how.resolve = (follow ? 0 : PW_BENEATH | PW_NO_MAGIC) | (cached ? PW_CACHED : 0);
        return (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
    #else
        errno = ENOSYS;
        return -1;
    #endif
    }
    /* The same without openat2: one component after the other, no links but where they may lead anywhere. */
    static int pw_open_steps(int folder, const char* name, int follow) {
        char part[256];
        int at = folder, next, saved;
        if (follow) return openat(folder, name, PW_FILE);
        for (;;) {
            const char* slash = strchr(name, '/');
            size_t size = slash ? (size_t)(slash - name) : strlen(name);
            if (size > 255) { errno = ENAMETOOLONG; next = -1; }
            else if (slash) {
                memcpy(part, name, size);
                part[size] = 0;
                next = openat(at, part, PW_FOLDER | O_NOFOLLOW);
            } else next = openat(at, name, PW_FILE | O_NOFOLLOW);
            saved = errno;
            if (at != folder) close(at);
            if (next < 0 || !slash) { errno = saved; return next; }
            at = next;
            name = slash + 1;
        }
    }
    /* Kind (1 file, 2 folder, 0 neither), size and time of what is open; -1 with errno. */
    static int pw_look(int fd, uint64_t* size, int64_t* seconds, uint32_t* ns) {
        struct stat s;
        if (fstat(fd, &s) < 0) return -1;
        *size = (uint64_t)s.st_size;
    #if defined(__APPLE__)
        *seconds = s.st_mtimespec.tv_sec;
        *ns = (uint32_t)s.st_mtimespec.tv_nsec;
    #else
        *seconds = s.st_mtim.tv_sec;
        *ns = (uint32_t)s.st_mtim.tv_nsec;
    #endif
        return S_ISREG(s.st_mode) ? 1 : S_ISDIR(s.st_mode) ? 2 : 0;
    }
    static int pw_identify(int fd, const char* path, uint64_t* device, uint64_t* inode) {
        struct stat s;
        if ((path ? stat(path, &s) : fstat(fd, &s)) < 0) return -1;
        *device = (uint64_t)s.st_dev;
        *inode = (uint64_t)s.st_ino;
        return 0;
    }
    """
    int ENOENT, ENOTDIR, ENOSYS, EPERM, EINVAL, AT_FDCWD
    int pw_open_folder(const char* path)
    int pw_open_beneath(int folder, const char* name, int follow, int cached)
    int pw_open_steps(int folder, const char* name, int follow)
    int pw_look(int fd, uint64_t* size, int64_t* seconds, uint32_t* ns)
    int pw_identify(int fd, const char* path, uint64_t* device, uint64_t* inode)

cdef enum:
    RENEW_MS = 250
    HASH_LEAST = 8              # digits of a hash in a file's name
    TRIES = 16

cdef dict NUMBERS = {"br": CODING_BR, "zstd": CODING_ZSTD, "gzip": CODING_GZIP}
cdef const char** SUFFIXES = [b".br", b".zst", b".gz"]
cdef bytes IMMUTABLE = b"Cache-Control: public, max-age=31536000, immutable\r\n"
cdef bytes REVALIDATE = b"Cache-Control: no-cache\r\n"


cdef uint32_t hashed(const char* text, size_t size) noexcept nogil:
    cdef uint32_t value = 2166136261
    cdef size_t i
    for i in range(size):
        value = (value ^ <uint8_t>text[i]) * 16777619
    return value ^ (value >> 15)


cdef class MediaTypes:
    """Content types by extension.

    Args:
        types: extension in lower case, without its dot, to (Content-Type, whether compressing it is worth while).
        unknown: Content-Type of everything else.
    """

    def __init__(self, dict types, str unknown="application/octet-stream"):
        cdef Kind* kind
        cdef Kind* into
        cdef uint32_t places = 64
        while places < 2 * len(types):
            places *= 2
        self.kept = []
        self.mask = places - 1
        self.kinds = <Kind*>PyMem_Calloc(places, sizeof(Kind))
        if self.kinds == NULL:
            raise MemoryError()
        self.fill(b"", unknown, False)
        for extension, (value, compressible) in types.items():
            self.fill(extension.encode(), value, compressible)

    def fill(self, bytes extension, str value, bint compressible):
        cdef Kind* kind = &self.unknown
        cdef bytes line = f"Content-Type: {value}\r\n".encode("ascii")
        cdef bytes text = value.encode("ascii")
        cdef uint32_t place
        if len(extension) > 15:
            raise ValueError(f"extension {extension!r} is longer than 15 bytes")
        if extension:
            place = hashed(extension, len(extension)) & self.mask
            while self.kinds[place].line != NULL:
                place = (place + 1) & self.mask
            kind = &self.kinds[place]
        self.kept += [line, text]
        memcpy(kind.extension, PyBytes_AS_STRING(extension), len(extension))
        kind.extension_size = len(extension)
        kind.compressible = compressible
        kind.line = PyBytes_AS_STRING(line)
        kind.line_size = len(line)
        kind.value = PyBytes_AS_STRING(text)
        kind.value_size = len(text)

    def __dealloc__(self):
        PyMem_Free(self.kinds)

    cdef Kind* find(self, const char* name, size_t size) noexcept:
        """What a file of that name is, by the last of its extensions, in either case."""
        cdef char lower[16]
        cdef size_t at = size, i = 0, length
        cdef uint32_t place
        cdef Kind* kind
        while at and name[at - 1] != c"." and name[at - 1] != c"/" and size - at < 16:
            at -= 1
        length = size - at
        if at == 0 or name[at - 1] != c"." or length == 0 or length > 15:
            return &self.unknown
        for i in range(length):
            lower[i] = name[at + i] | 32 if c"A" <= name[at + i] <= c"Z" else name[at + i]
        place = hashed(lower, length) & self.mask
        while True:
            kind = &self.kinds[place]
            if kind.line == NULL:
                return &self.unknown
            if kind.extension_size == length and memcmp(kind.extension, lower, length) == 0:
                return kind
            place = (place + 1) & self.mask


cdef bint named_by_content(const char* path, size_t size) noexcept nogil:
    """Whether the last part of a path has a hash of its content in it, as bundlers write it: "app.8f3d2a1b.js".

    That is eight lower-case hexadecimal digits or more, behind `.`, `-` or `_` and before a dot. All digits is a date or
    a number, all letters may be a word; and what ends a UUID is no hash.
    """
    cdef size_t start = size, at, end, before = 0
    cdef int digits, letters
    cdef bint hexadecimal, before_hex = False
    while start and path[start - 1] != c"/":
        start -= 1
    at = start
    while at < size:
        end = at
        digits = letters = 0
        while end < size and path[end] not in (c".", c"-", c"_"):
            digits += c"0" <= path[end] <= c"9"
            letters += c"a" <= path[end] <= c"f"
            end += 1
        hexadecimal = end > at and <size_t>(digits + letters) == end - at
        if (
            hexadecimal and digits and letters and end - at >= HASH_LEAST and at > start
            and end < size and path[end] == c"."
            and not (path[at - 1] == c"-" and before == 4 and before_hex)
        ):
            return True
        before = end - at
        before_hex = hexadecimal
        at = end + 1
    return False


def is_named_by_content(bytes path):
    return named_by_content(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path))


cdef class Root:
    def __cinit__(self):
        self.fd = -1

    def __dealloc__(self):
        if self.fd >= 0:
            close(self.fd)


cdef class Folder:
    """One folder, made before the engine serves. See folder.pyi."""

    def __init__(
        self, str path, MediaTypes types, str base="/", index=("index.html",), not_found=None, cache=(),
        precompressed=(), bint hidden=False, bint follow=False, portable=None,
    ):
        cdef int fd
        self.path = os.fsencode(path)
        if b"\0" in self.path:
            raise ValueError(f"a folder's name holds no NUL: {path!r}")
        self.base = base.encode()
        self.types = types
        self.index = [os.fsencode(name) for name in index]
        self.not_found = None if not_found is None else os.fsencode(not_found)
        self.hidden = hidden
        self.follow = follow
        self.kept = []
        for name in self.index:
            if not 0 < len(name) < 255 or b"/" in name or b"\0" in name:
                raise ValueError(f"an index is the name of a file, not {name!r}")
            self.index_room = max(self.index_room, len(name))
        for coding in precompressed:
            self.codings[self.coding_count] = NUMBERS[coding]
            self.coding_count += 1
        self.add_rules(cache)
        if portable is None:
            portable = os.environ.get("PORTWAY_POLLER") == "poll"
            fd = pw_open_beneath(AT_FDCWD, b".", 1, 0)
            if fd >= 0:
                close(fd)
            elif errno == ENOSYS or errno == EPERM:
                portable = True             # an old kernel, or one whose filter does not know the call
        self.portable = portable
        fd = pw_open_beneath(AT_FDCWD, b".", 1, 1)
        if fd >= 0:
            close(fd)
        self.cached = fd >= 0 or errno != EINVAL    # Linux 5.12

    def add_rules(self, cache):
        cdef CacheRule* rule
        cache = list(cache)
        self.rules = <CacheRule*>PyMem_Calloc(len(cache) + 1, sizeof(CacheRule))
        if self.rules == NULL:
            raise MemoryError()
        for pattern, value in cache:
            name = pattern.encode()
            if not name.startswith((b"/", b"*")):
                name = b"/" + name
            line = f"Cache-Control: {value}\r\n".encode("ascii")
            self.kept += [name, line]
            rule = &self.rules[self.rule_count]
            rule.pattern = PyBytes_AS_STRING(<bytes>name)
            rule.size = len(name)
            rule.line = PyBytes_AS_STRING(<bytes>line)
            rule.line_size = len(line)
            self.rule_count += 1

    def __dealloc__(self):
        PyMem_Free(self.rules)

    cdef bint admits(self, const char* name, size_t size) noexcept:
        """Whether a name could be one of ours: no empty component but the last, and none that is hidden."""
        cdef size_t at = 0, end
        cdef bint first = True
        while at < size:
            end = at
            while end < size and name[end] != c"/":
                end += 1
            if end == at:
                return False
            if name[at] == c"." and not self.hidden:
                # RFC 8615: what stands there is for the world
                if not (first and end - at == 11 and memcmp(name + at, b".well-known", 11) == 0):
                    return False
            first = False
            at = end + 1
        return True

    cdef Root current(self, uint64_t now_ms):
        """The folder as it was at most a moment ago; None when there is none, with `root_error`."""
        cdef Root root = self.root
        if root is not None and now_ms < self.looked_ms + RENEW_MS:
            return root
        self.looked_ms = now_ms
        return self.replaced(root)

    cdef Root replaced(self, Root root):
        """`root` again, or what stands in its place by now."""
        cdef uint64_t device = 0, inode = 0
        cdef Root fresh
        if root is not None:
            if pw_identify(-1, PyBytes_AS_STRING(self.path), &device, &inode) == 0:
                if device == root.device and inode == root.inode:
                    return root
        fresh = Root.__new__(Root)
        fresh.fd = pw_open_folder(PyBytes_AS_STRING(self.path))
        if fresh.fd < 0:
            self.root_error = errno
            self.root = None
            return None
        pw_identify(fresh.fd, NULL, &fresh.device, &fresh.inode)
        self.root_error = 0
        self.root = fresh
        return fresh

    cdef int look(self, const char* name, Opened* found, uint64_t now_ms, bint vital=True, bint waits=True) except -1:
        """Open what a name stands for; return 0, or errno. Whoever gets a descriptor closes it.

        Args:
            name: relative, without `.`, `..` or empty components; must stand still while the GIL is given up.
            vital: whether to look for the folder anew when there is no such name.
            waits: whether to wait for a disk; else, where one is needed and the system can tell, it is EAGAIN.
        """
        cdef Root root = self.current(now_ms), fresh
        cdef int fd = -1, kind, problem = self.root_error, tries = 0
        cdef bint again = vital
        found.fd = -1
        found.is_file = found.is_folder = False
        while root is not None:
            if self.portable:
                with nogil:
                    fd = pw_open_steps(root.fd, name, self.follow)
                    problem = errno
            else:
                fd = pw_open_beneath(root.fd, name, self.follow, self.cached)
                problem = errno
                if fd < 0 and problem == EAGAIN and self.cached:
                    if not waits:
                        return EAGAIN
                    with nogil:             # a disk may be slow
                        fd = pw_open_beneath(root.fd, name, self.follow, 0)
                        problem = errno
            if fd >= 0:
                break
            tries += 1
            if (problem == EINTR or problem == EAGAIN) and tries < TRIES:
                continue
            if (problem == ENOENT or problem == ENOTDIR) and again:
                again = False
                fresh = self.replaced(root)
                if fresh is not root:
                    root = fresh
                    problem = self.root_error
                    continue
            break
        if fd < 0:
            return problem or ENOENT
        kind = pw_look(fd, &found.size, &found.modified_s, &found.modified_ns)
        if kind < 0:
            problem = errno
            close(fd)
            return problem
        found.fd = fd
        found.is_file = kind == 1
        found.is_folder = kind == 2
        return 0

    cdef int look_coded(
        self, char* name, size_t size, const int* wanted, int count, Opened* file, uint64_t now_ms, bint waits
    ) except -2:
        """Put a compressed form of a file in its place, if there is one; return its coding, -1, or -3 for EAGAIN.

        One that is older than the file was made of another state of it, and is passed over.

        Args:
            name: of the file, with room for SUFFIX_MOST bytes behind it.
        """
        cdef Opened coded
        cdef int i, problem
        for i in range(count):
            memcpy(name + size, SUFFIXES[wanted[i]], strlen(SUFFIXES[wanted[i]]) + 1)
            problem = self.look(name, &coded, now_ms, False, waits)
            if problem == EAGAIN and not waits:
                return -3
            if problem == 0:
                if coded.is_file and (
                    coded.modified_s > file.modified_s
                    or coded.modified_s == file.modified_s and coded.modified_ns >= file.modified_ns
                ):
                    close(file.fd)
                    file[0] = coded
                    name[size] = 0
                    return wanted[i]
                close(coded.fd)
        name[size] = 0
        return -1

    cdef int cache_line(self, const char* path, size_t size, const char** line, size_t* line_size) noexcept:
        """The Cache-Control of a file at a path: the first rule's, else a year for names with a hash, else asking again."""
        cdef size_t at, end
        cdef int i
        cdef bytes text
        for i in range(self.rule_count):
            if glob(self.rules[i].pattern, self.rules[i].size, path, size, &at, &end):
                line[0] = self.rules[i].line
                line_size[0] = self.rules[i].line_size
                return 0
        text = IMMUTABLE if named_by_content(path, size) else REVALIDATE
        line[0] = PyBytes_AS_STRING(text)
        line_size[0] = PyBytes_GET_SIZE(text)
        return 0
