# cython: language_level=3, binding=False
"""What proxies say of a request: X-Forwarded-* and Forwarded (RFC 7239), read without I/O.

Each proxy adds what it saw at the right end of a list, and whatever stands to the left of what a trusted one has
added may have been written by anybody. So lists are walked from the right, past addresses that are trusted
themselves, and the first other one is the client; or, where the number of proxies is known, that many entries are
counted from the right. Nothing farther left is looked at.

A client that hides ("unknown", "_name"), an entry that is no address, and a list that is too short leave the client
without an address. The proxy's own in its place would make a stranger pass for a machine inside.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcpy

from portway.engine.head cimport is_host, is_space, is_token, same_name
from portway.engine.peers cimport read_address, spell_address

cdef tuple X_NAMES = (
    (b"x-forwarded-for", CLAIMS_FOR), (b"x-forwarded-proto", CLAIMS_PROTO), (b"x-forwarded-host", CLAIMS_HOST),
    (b"x-forwarded-port", CLAIMS_PORT), (b"x-forwarded-prefix", CLAIMS_PREFIX), (b"forwarded", CLAIMS_ALL),
)
cdef dict KINDS = dict(X_NAMES)
cdef dict KEYS = {kind: "HTTP_" + name.decode().upper().replace("-", "_") for name, kind in X_NAMES}
cdef str HTTP = "http", HTTPS = "https", ZERO = "0"


cdef int claim_kind(bytes name) noexcept:
    """What a field says, by its name in any case; NO_CLAIM for a name that is not of these families."""
    cdef const char* data = PyBytes_AS_STRING(name)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(name)
    if size == 9 and same_name(data, b"forwarded", 9):
        return CLAIMS_ALL
    if size < 11 or not same_name(data, b"x-forwarded", 11):
        return NO_CLAIM
    if size == 15 and same_name(data, b"x-forwarded-for", 15):
        return CLAIMS_FOR
    if size == 17 and same_name(data, b"x-forwarded-proto", 17):
        return CLAIMS_PROTO
    if size == 16 and same_name(data, b"x-forwarded-host", 16):
        return CLAIMS_HOST
    if size == 16 and same_name(data, b"x-forwarded-port", 16):
        return CLAIMS_PORT
    if size == 18 and same_name(data, b"x-forwarded-prefix", 18):
        return CLAIMS_PREFIX
    return CLAIMS_OTHER if memchr(data, c"_", size) == NULL else CLAIMS_FORGED


cdef str claim_key(bytes name, int kind):
    """The environ key of such a field."""
    known = KEYS.get(kind)
    return known if known is not None else "HTTP_" + name.decode("latin-1").upper().replace("-", "_")


cdef int number(const char* data, size_t size) noexcept:
    """A port, -1 when it is none."""
    cdef size_t i
    cdef int value = 0
    if size == 0 or size > 5:
        return -1
    for i in range(size):
        if not c"0" <= data[i] <= c"9":
            return -1
        value = value * 10 + data[i] - c"0"
    return value if value <= 65535 else -1


cdef object read_node(const char* data, size_t size, uint8_t* address):
    """(address in its normal spelling, port or 0) of 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1]:80; or None."""
    cdef const char* colon
    cdef const char* end
    cdef int port = 0
    cdef size_t length = size
    if size and data[0] == c"[":
        end = <const char*>memchr(data, c"]", size)
        if end == NULL or memchr(data, c":", end - data) == NULL:
            return None
        length = end - data + 1
        if not read_address(data + 1, length - 2, address):
            return None
    else:
        colon = <const char*>memchr(data, c":", size)
        if colon != NULL and memchr(colon + 1, c":", size - (colon - data) - 1) == NULL:
            length = colon - data               # one colon: an IPv4 address with a port
        if not read_address(data, length, address):
            return None
    if length < size:
        # RFC 7239 section 6.2: a port may be hidden, too
        if data[length] != c":" or length + 1 == size:
            return None
        if data[length + 1] != c"_":
            port = number(data + length + 1, size - length - 1)
            if port < 0:
                return None
    return spell_address(address), port


cdef size_t last_element(const char* data, size_t* end, size_t* first) noexcept:
    """The size of the last element of a list, from `first`; `end` becomes where it starts, behind its comma, or 0."""
    cdef size_t last = end[0], start = last
    while start > 0 and data[start - 1] != c",":
        start -= 1
    end[0] = start
    while start < last and is_space(data[start]):
        start += 1
    while last > start and is_space(data[last - 1]):
        last -= 1
    first[0] = start
    return last - start


cdef bytes element(bytes text, int depth):
    """The element of a list that many places from the right, or the leftmost; b"" for none. Empty ones do not count."""
    cdef const char* data = PyBytes_AS_STRING(text)
    cdef size_t end = PyBytes_GET_SIZE(text), first = 0, size
    cdef bytes found = b""
    while depth > 0:
        size = last_element(data, &end, &first)
        if size:
            found = data[first : first + size]
            depth -= 1
        if end == 0:
            break
        end -= 1
    return found


cdef str scheme_of(bytes text):
    """What a proxy calls https or wss, http or ws; None for anything else."""
    lower = text.lower()
    if lower == b"https" or lower == b"wss":
        return HTTPS
    return HTTP if lower == b"http" or lower == b"ws" else None


cdef str prefix_of(bytes text):
    """A path prefix as an application is mounted at it; None when it is no plain path."""
    cdef Py_ssize_t i
    cdef unsigned char c
    if not text.startswith(b"/") or text.startswith(b"//"):
        return None
    text = text.rstrip(b"/")
    for i in range(len(text)):
        c = text[i]
        if c <= 32 or c >= 127 or c in b"?#%\\\"<>;":
            return None
    if b"//" in text or b".." in text.split(b"/") or b"." in text.split(b"/"):
        return None
    return text.decode("ascii")


cdef bytes unquoted(bytes value):
    """A token or the content of a quoted-string (RFC 9110 section 5.6.4); None when it is neither."""
    cdef bytearray out
    cdef bint escaped = False
    cdef int c
    if not value.startswith(b'"'):
        return value if value and is_token(value, len(value)) else None
    out = bytearray()
    for c in value[1 : len(value) - 1]:
        if not escaped and c == c"\\":
            escaped = True
            continue
        out.append(c)
        escaped = False
    return bytes(out)


cdef Py_ssize_t value_end(bytes text, Py_ssize_t at) noexcept:
    """Where the token or quoted-string at `at` ends; -1 when it does not."""
    cdef const char* data = PyBytes_AS_STRING(text)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    if at < size and data[at] == c'"':
        at += 1
        while at < size and data[at] != c'"':
            at += 2 if data[at] == c"\\" else 1
        return at + 1 if at < size else -1
    while at < size and data[at] != c";" and data[at] != c"," and not is_space(data[at]):
        at += 1
    return at


cdef list read_elements(bytes text):
    """The elements of one Forwarded field (RFC 7239 section 4), each a dict; None when it is malformed."""
    cdef list found = []
    cdef dict pairs = {}
    cdef Py_ssize_t at = 0, end, equals, size = len(text)
    cdef bint due = False               # a parameter must follow
    while True:
        while at < size and is_space(text[at]):
            at += 1
        if at < size and text[at] not in b",;":
            equals = text.find(b"=", at)
            if equals <= at or not is_token(PyBytes_AS_STRING(text) + at, equals - at):
                return None
            end = value_end(text, equals + 1)
            value = unquoted(text[equals + 1 : end]) if end > 0 else None
            name = text[at:equals].lower()
            if value is None or name in pairs:
                return None
            pairs[name] = value
            at = end
            while at < size and is_space(text[at]):
                at += 1
        if at >= size or text[at] == c",":
            if pairs:
                found.append(pairs)
                pairs = {}
            if at >= size:
                return found
        elif text[at] != c";":
            return None
        at += 1


cdef class Claim:
    """What a trusted peer says of a request that it passed on."""

    def __cinit__(self):
        self.port = -1


cdef class Trust:
    """Which peers are believed, in what, and how far back.

    Args:
        settings: `forwarded_allow_ips`, `forwarded_headers` (field names in lower case), `forwarded_hops`.
    """

    def __init__(self, settings):
        self.peers = Peers(settings.forwarded_allow_ips)
        self.hops = settings.forwarded_hops
        for name in settings.forwarded_headers:
            self.honoured |= KINDS[name.encode()]

    cdef bint lets_through(self, int kind) noexcept:
        """Whether the application sees a field of this kind, coming from a trusted peer."""
        if kind == CLAIMS_OTHER:
            return not self.honoured & CLAIMS_ALL
        return self.honoured & kind != 0

    cdef Claim read(self, list fields, bytes host, str scheme):
        """Read the fields that a trusted peer sent.

        Args:
            fields: (kind, value) as they arrived, only of kinds that are let through.
            host: the value of Host.
            scheme: the connection's own.

        Returns:
            None when they say nothing.
        """
        cdef Claim claim = Claim.__new__(Claim)
        cdef dict values = {}
        cdef int kind, depth
        cdef bytes text, port = b""
        cdef list found = []
        for kind, text in fields:
            if kind == CLAIMS_ALL:
                found.append(text)
            elif kind != CLAIMS_OTHER:
                values[kind] = values[kind] + b"," + text if kind in values else text
        if found:
            return self.read_forwarded(claim, found, host, scheme)
        if not values:
            return None
        depth = self.hops or 1
        text = values.get(CLAIMS_FOR)
        if text is not None:
            depth = self.walk(claim, text, len(text))
        text = element(values.get(CLAIMS_PROTO, b""), depth)
        if text:
            claim.scheme = scheme_of(text)
            if claim.scheme is None:
                claim.trouble = f"X-Forwarded-Proto {text[:64]!r} is neither http nor https"
        text = element(values.get(CLAIMS_PREFIX, b""), depth)
        if text:
            claim.prefix = prefix_of(text)
            if claim.prefix is None:
                claim.trouble = f"X-Forwarded-Prefix {text[:64]!r} is no plain path"
        text = element(values.get(CLAIMS_HOST, b""), depth)
        if text:
            self.take_host(claim, text, "X-Forwarded-Host")
        text = element(values.get(CLAIMS_PORT, b""), depth)
        if text:
            if number(text, len(text)) > 0:
                port = text
            else:
                claim.trouble = f"X-Forwarded-Port {text[:64]!r} is no port"
        self.server(claim, host, port, scheme)
        return claim

    def take_host(self, Claim claim, bytes text, name):
        if is_host(text, len(text)):
            claim.host = text
        else:
            claim.trouble = f"{name} {text[:64]!r} is no host"

    def read_forwarded(self, Claim claim, list lines, bytes host, str scheme):
        """Read Forwarded: what the element of the outermost trusted proxy says counts, and nothing of the others."""
        cdef list found = []
        cdef int depth = self.elements(claim, lines, found)
        cdef dict pairs
        if not 0 < depth <= len(found):
            return claim                        # malformed, or shorter than it should be

        pairs = found[depth - 1]
        text = pairs.get(b"proto")
        if text is not None:
            claim.scheme = scheme_of(text)
            if claim.scheme is None:
                claim.trouble = f"proto={text[:64]!r} of Forwarded is neither http nor https"
        text = pairs.get(b"host")
        if text is not None:
            self.take_host(claim, text, "host of Forwarded")
        self.server(claim, host, b"", scheme)
        return claim

    cdef int elements(self, Claim claim, list lines, list found) except -1:
        """Walk the elements of all lines from the right.

        Args:
            found: gets the elements that were looked at, the rightmost first.

        Returns:
            how many count; 0 when the very first cannot be used.
        """
        cdef int depth = 0
        cdef list read
        cdef bytes node
        while lines:
            text = lines.pop()
            read = read_elements(text)
            if read is None:
                claim.client = None
                claim.hidden = True
                claim.trouble = f"Forwarded {text[:64]!r} is malformed"
                return depth
            while read:
                pairs = read.pop()
                found.append(pairs)
                depth += 1
                node = pairs.get(b"for", b"")
                if self.step(claim, depth, node, len(node)):
                    return depth
        return self.ended(claim, depth, "Forwarded")

    cdef int walk(self, Claim claim, const char* data, size_t size) except -1:
        """Walk X-Forwarded-For from the right to the client; return how many entries that took."""
        cdef size_t end = size, first = 0
        cdef int depth = 0
        while True:
            size = last_element(data, &end, &first)
            if size:                            # RFC 9110 section 5.6.1.2: empty elements do not count
                depth += 1
                if self.step(claim, depth, data + first, size):
                    return depth
            if end == 0:
                return self.ended(claim, depth, "X-Forwarded-For")
            end -= 1

    def ended(self, Claim claim, int depth, name):
        """The list is over, and every entry was a trusted proxy's."""
        if self.hops:
            claim.client = None
            claim.hidden = True
            claim.trouble = f"{name} has {depth} entries, which is less than forwarded-hops ({self.hops})"
            return self.hops
        return depth or 1

    cdef int step(self, Claim claim, int depth, const char* node, size_t size) except -1:
        """Look at the entry at `depth` from the right; 1 when it ends the walk."""
        cdef uint8_t address[16]
        if self.hops and depth < self.hops:
            return 0
        claim.client = read_node(node, size, address)
        if claim.client is None:
            claim.hidden = True
            # "unknown" and "_name" are RFC 7239's ways to say nothing
            if size and node[0] != c"_" and not (size == 7 and same_name(node, b"unknown", 7)):
                claim.trouble = f"{node[:size if size < 64 else 64]!r} in the list of forwarded clients is no address"
            return 1
        if self.hops:
            return 1
        return not self.peers.named(address)

    cdef int server(self, Claim claim, bytes host, bytes port, str scheme) except -1:
        """What the client calls this server: from the host and port that were forwarded, where there are any."""
        cdef bytes name, own
        cdef bint secure = (claim.scheme if claim.scheme is not None else scheme) == HTTPS
        cdef int standard = 443 if secure else 80
        if claim.host is None and not port:
            return 0
        name = claim.host if claim.host is not None else host
        if name is None:
            return 0
        own = b""
        if name.startswith(b"["):
            name, _, own = name.partition(b"]")
            name += b"]"
            own = own[1:]
        elif b":" in name:
            name, _, own = name.partition(b":")
        claim.name = name.strip(b"[]").decode("latin-1")
        if port:
            claim.port = int(port)
            claim.host = name if claim.port == standard else name + b":" + str(claim.port).encode()
        else:
            claim.port = number(own, len(own))
            if claim.port <= 0:
                claim.port = standard
        return 0

    def trusts(self, str peer):
        """Whether fields of this peer, an address or `unix`, are honoured."""
        return peer in self.peers

    def resolve(self, fields, bytes host=b"localhost", str scheme="http"):
        """Read the fields of a trusted peer, for tests; the drivers use `read`."""
        wanted = [(claim_kind(name), value) for name, value in fields]
        wanted = [(kind, value) for kind, value in wanted if kind and self.lets_through(kind)]
        cdef Claim claim = self.read(wanted, host, scheme)
        if claim is None:
            return None
        return {
            "client": claim.client, "hidden": bool(claim.hidden), "scheme": claim.scheme, "host": claim.host,
            "server": (claim.name, claim.port) if claim.name is not None else None, "prefix": claim.prefix,
            "trouble": claim.trouble,
        }
