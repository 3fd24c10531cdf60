# cython: language_level=3, binding=False, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The route table of a site: ordered patterns, each with who answers. The first that matches counts.

It is made once, before the engine serves, and only read from then on. Policy is not here: `site/` says what the
rules are.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport memcmp

from portway.engine.paths cimport glob


cdef class Redirect:
    """Where clients are sent; a `*` in it is what the pattern's last `*` took."""

    def __init__(self, bytes to, int status):
        address, mark, fragment = to.partition(b"#")
        self.fragment = mark + fragment
        self.before, star, self.behind = address.partition(b"*")
        self.starred = bool(star)
        self.has_query = b"?" in address
        self.is_path = to.startswith(b"/") and not to.startswith(b"//")
        self.status = status
        if not self.is_path:
            scheme, mark, rest = to.partition(b"://")
            if scheme not in (b"http", b"https") or not mark or not rest.partition(b"/")[0]:
                raise ValueError(f"a redirect goes to a path or an http URL, not {to!r}")
            if b"*" in rest.partition(b"/")[0]:
                raise ValueError(f"a client must not choose the host that {to!r} sends it to")
        if any(byte <= 0x20 or byte >= 0x7F for byte in to):
            raise ValueError(f"{to!r} must be percent-encoded")


cdef class Table:
    def __dealloc__(self):
        PyMem_Free(self.rules)

    cdef int add(self, bytes pattern, int kind, int number, object target) except -1:
        cdef Rule* rules = <Rule*>PyMem_Realloc(self.rules, (self.count + 1) * sizeof(Rule))
        cdef Rule* rule
        cdef size_t i = 0
        if rules == NULL:
            raise MemoryError()
        self.rules = rules
        if self.patterns is None:
            self.patterns = []
            self.targets = []
        self.patterns.append(pattern)
        self.targets.append(target)
        rule = &self.rules[self.count]
        rule.pattern = PyBytes_AS_STRING(pattern)
        rule.size = PyBytes_GET_SIZE(pattern)
        while i < rule.size and rule.pattern[i] != c"*" and rule.pattern[i] != c"?":
            i += 1
        rule.literal = i
        rule.trailing = i + 1 == rule.size and rule.pattern[i] == c"*"
        rule.kind = kind
        rule.number = number
        self.count += 1
        return 0

    def add_app(self, bytes pattern, int number):
        self.add(pattern, APP, number, None)

    def add_files(self, bytes pattern, folder):
        self.add(pattern, FILES, 0, folder)

    def add_redirect(self, bytes pattern, bytes to, int status):
        self.add(pattern, REDIRECT, 0, Redirect(to, status))

    def add_elsewhere(self, bytes pattern, int number):
        self.add(pattern, ELSEWHERE, number, None)

    def match(self, bytes path):
        cdef size_t star_at = 0, star_end = 0
        cdef int place = self.find(PyBytes_AS_STRING(path), PyBytes_GET_SIZE(path), &star_at, &star_end)
        return None if place < 0 else place

    cdef int find(self, const char* path, size_t size, size_t* star_at, size_t* star_end) noexcept:
        """The place of the first rule that takes a path in its normal form, or -1; and what its last `*` took."""
        cdef Rule* rule
        cdef int i
        for i in range(self.count):
            rule = &self.rules[i]
            if size < rule.literal or memcmp(path, rule.pattern, rule.literal) != 0:
                continue
            if rule.trailing:
                star_at[0] = rule.literal
                star_end[0] = size
                return i
            if rule.literal == rule.size:
                if size == rule.size:
                    star_at[0] = star_end[0] = size
                    return i
            elif glob(rule.pattern, rule.size, path, size, star_at, star_end):
                return i
        return -1
