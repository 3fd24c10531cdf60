# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The WSGI environ (PEP 3333), from a parsed head.

Strings are latin-1 decodings of the bytes on the wire. What a listener decides is copied from a template, what the
header block decides from the connection's memo when the block is the same as last time; the request line is never
remembered. What proxies say (forwarded.pyx) is heeded from trusted peers and dropped from all others; a memo is used
for peers of one kind only. Dropped as well: names with an underscore (X_Real_IP would otherwise pass for X-Real-IP, CVE-2015-0219), Proxy
(it would become HTTP_PROXY, which libraries obey), Transfer-Encoding (the body arrives decoded, with its length).
"""

import sys

from cpython.dict cimport PyDict_Copy, PyDict_SetItem, PyDict_Update
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp

from portway.engine.base cimport Memo
from portway.engine.forwarded cimport Claim, claim_key, claim_kind
from portway.engine.head cimport FORM_ABSOLUTE, Field, Head, HeadParser
from portway.engine.paths cimport percent_decode

import socket

cdef extern from "Python.h":
    object PyUnicode_DecodeLatin1(const char* data, Py_ssize_t size, const char* errors)

cdef enum:
    NAMES_MOST = 1024           # field names that are remembered, and how long they may be: clients choose them
    NAME_MOST = 64

# raw field name -> environ key, or None when the field is dropped
cdef dict NAMES = {}
cdef str GET = "GET", POST = "POST"
cdef str K_METHOD = sys.intern("REQUEST_METHOD"), K_PATH = sys.intern("PATH_INFO"), K_QUERY = sys.intern("QUERY_STRING")
cdef str K_URI = sys.intern("RAW_URI"), K_REQUEST_URI = sys.intern("REQUEST_URI")
cdef str K_PROTOCOL = sys.intern("SERVER_PROTOCOL"), K_ADDR = sys.intern("REMOTE_ADDR")
cdef str K_PORT = sys.intern("REMOTE_PORT"), K_SCRIPT = sys.intern("SCRIPT_NAME")
cdef str K_NAME = sys.intern("SERVER_NAME"), K_SERVER_PORT = sys.intern("SERVER_PORT")
cdef str K_COOKIE = sys.intern("HTTP_COOKIE"), K_HOST = sys.intern("HTTP_HOST")
cdef str K_TYPE = sys.intern("CONTENT_TYPE"), K_LENGTH = sys.intern("CONTENT_LENGTH")
cdef str K_SCHEME = sys.intern("wsgi.url_scheme")
cdef tuple UNKNOWN = ("unknown", 0)
cdef str HTTP_11 = "HTTP/1.1", HTTP_10 = "HTTP/1.0", EMPTY = "", SLASH = "/"


cdef object latin1(const char* data, size_t size):
    return PyUnicode_DecodeLatin1(data, size, NULL)


cdef object method_name(const char* data, size_t size):
    if size == 3 and memcmp(data, b"GET", 3) == 0:
        return GET
    if size == 4 and memcmp(data, b"POST", 4) == 0:
        return POST
    return latin1(data, size)


cdef object percent_decoded(const char* data, size_t size):
    """latin-1 of the decoded bytes; a "%" that begins no valid escape stays."""
    cdef char* out
    cdef size_t n = 0
    if memchr(data, c"%", size) == NULL:
        return latin1(data, size)
    out = <char*>PyMem_Malloc(size)
    if out == NULL:
        raise MemoryError()
    percent_decode(data, size, out, &n)
    try:
        return latin1(out, n)
    finally:
        PyMem_Free(out)


cdef object base_environ(Engine engine, Listener listener, bint multithread, bint multiprocess):
    """Everything that does not change between requests; the other keys are there so that a copy need not grow."""
    host, port = listener.server
    environ = {
        K_METHOD: GET,
        K_PATH: SLASH,
        K_QUERY: EMPTY,
        K_URI: SLASH,
        K_REQUEST_URI: SLASH,
        K_PROTOCOL: HTTP_11,
        K_ADDR: EMPTY,
        K_PORT: EMPTY,
        K_SCRIPT: engine.root_path.encode().decode("latin-1"),
        K_NAME: host if port is not None else "localhost",
        K_SERVER_PORT: str(port) if port is not None else "80",
        "SERVER_SOFTWARE": "portway",
        "wsgi.version": (1, 0),
        K_SCHEME: "http" if listener.tls is None else "https",
        "wsgi.input": None,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }
    if listener.tls is not None:
        environ["HTTPS"] = "on"
    return environ


cdef object environ_key(Engine engine, bytes name):
    """The key of a field name, None when such fields are dropped; remembered, up to a number of names."""
    cdef object key
    lower = name.lower()
    if lower == b"content-type":
        key = K_TYPE
    elif lower == b"content-length":
        key = K_LENGTH
    elif lower == b"proxy" or lower == b"transfer-encoding":
        key = None
    elif claim_kind(name):
        key = None                          # what becomes of it depends on the peer
    elif b"_" in name and (lower not in engine.underscores or claim_kind(lower.replace(b"_", b"-"))):
        key = None
        text = name.decode("latin-1")
        engine.notice(
            f"underscore {text[:64]}",
            f"dropped request field {text[:64]!r}: its underscore would let it pass for another field"
            " (option underscore-headers lets a name through)",
        )
    else:
        key = sys.intern("HTTP_" + name.decode("latin-1").upper().replace("-", "_"))
    if len(NAMES) < NAMES_MOST and len(name) <= NAME_MOST:
        NAMES[name] = key
    return key


cdef tuple field_lines(HeadParser parser, const char* data):
    """The field lines as they were sent: pairs of latin-1 text, nothing dropped or joined."""
    cdef uint32_t i
    lines = []
    for i in range(parser.head.count):
        lines.append((
            latin1(data + parser.fields[i].name_at, parser.fields[i].name_size),
            latin1(data + parser.fields[i].value_at, parser.fields[i].value_size),
        ))
    return tuple(lines)


cdef Claim add_fields(Engine engine, Connection c, HeadParser parser, const char* data, dict environ):
    """Add the header block's fields; return what a trusted peer says in them."""
    cdef Field* field
    cdef uint32_t i
    cdef int kind
    cdef bytes name
    cdef list claims = None
    if engine.tell_fields:
        environ["portway.fields"] = field_lines(parser, data)
    for i in range(parser.head.count):
        field = &parser.fields[i]
        name = data[field.name_at : field.name_at + field.name_size]
        key = NAMES.get(name, NAMES)
        if key is NAMES:
            key = environ_key(engine, name)
        if key is None:
            kind = claim_kind(name)
            if not kind or not engine.heeds(c, kind, name):
                continue
            if claims is None:
                claims = []
            claims.append((kind, data[field.value_at : field.value_at + field.value_size]))
            key = claim_key(name, kind)
        value = latin1(data + field.value_at, field.value_size)
        if key in environ:
            value = environ[key] + ("; " if key is K_COOKIE else ",") + value
        environ[key] = value
    if claims is None:
        return None
    if parser.head.form == FORM_ABSOLUTE:
        host = data[parser.head.authority_at : parser.head.authority_at + parser.head.authority_size]
    else:
        host = environ.get(K_HOST, EMPTY).encode("latin-1")
    return engine.believe(claims, host, environ[K_SCHEME])


cdef int apply_claim(Claim claim, dict environ, Connection c, Listener listener) except -1:
    """Put what a trusted peer says in the place of what the connection says."""
    if claim.client is not None:
        environ[K_ADDR] = claim.client[0]
        environ[K_PORT] = str(claim.client[1])
        c.claimed = claim.client
    elif claim.hidden:
        environ[K_ADDR] = environ[K_PORT] = EMPTY
        c.claimed = UNKNOWN
    if claim.scheme is not None:
        environ[K_SCHEME] = claim.scheme
        if claim.scheme != "https":
            environ.pop("HTTPS", None)
        if listener.server[1] is None and claim.scheme == "https":
            environ[K_SERVER_PORT] = "443"
    if claim.host is not None:
        environ[K_HOST] = claim.host.decode("latin-1")
    if claim.name is not None:
        environ[K_NAME] = claim.name
        environ[K_SERVER_PORT] = str(claim.port)
    return 0


cdef object local_address(Connection c, Listener listener):
    """The address a wildcard listener was reached at."""
    if c.server is None:
        with socket.socket(fileno=c.fd) as sock:
            try:
                c.server = sock.getsockname()[:2]
            except OSError:
                c.server = listener.server
            sock.detach()
    return c.server


cdef dict make_environ(Engine engine, Connection c, Strand strand, const char* data):
    """The environ of the head in `strand.parser`; `wsgi.input` is the driver's to add."""
    cdef HeadParser parser = strand.parser
    cdef Head* head = &parser.head
    cdef Listener listener = <Listener>c.listener
    cdef Memo memo
    cdef dict environ
    cdef str path, root = engine.root_path
    cdef tuple peer
    cdef Claim claim = None
    if parser.matched:
        memo = <Memo>c.memo
        claim = memo.claim
        environ = PyDict_Copy(<dict>memo.template)
    else:
        memo = engine.recall(c, parser, data)
        if memo is not None:
            claim = memo.claim
            environ = PyDict_Copy(<dict>memo.template)
        else:
            environ = PyDict_Copy(<dict>listener.template)
            claim = add_fields(engine, c, parser, data, environ)
            if not c.first:
                engine.remember(c, parser, data, PyDict_Copy(environ), claim)
    if not (head.method_size == 3 and data[0] == c"G" and data[1] == c"E" and data[2] == c"T"):
        PyDict_SetItem(environ, K_METHOD, method_name(data, head.method_size))
    uri = latin1(data + head.target_at, head.target_size)
    PyDict_SetItem(environ, K_URI, uri)
    PyDict_SetItem(environ, K_REQUEST_URI, uri)
    if head.path_size == head.target_size and memchr(data + head.path_at, c"%", head.path_size) == NULL:
        path = uri
    else:
        path = percent_decoded(data + head.path_at, head.path_size) if head.path_size else SLASH
    if claim is not None and claim.prefix is not None:
        root = environ[K_SCRIPT] = claim.prefix
    if root:
        root = environ[K_SCRIPT]
        if path == root or path.startswith(root + "/"):
            path = path[len(root):]
    PyDict_SetItem(environ, K_PATH, path)
    if head.query_size:
        PyDict_SetItem(environ, K_QUERY, latin1(data + head.query_at, head.query_size))
    if head.minor == 0:
        PyDict_SetItem(environ, K_PROTOCOL, HTTP_10)
    if head.form == FORM_ABSOLUTE:
        PyDict_SetItem(environ, K_HOST, latin1(data + head.authority_at, head.authority_size))
    peer = c.client if c.client is not None else c.peer()
    if peer is not None:
        if c.port_text is None:
            c.port_text = str(peer[1])
        PyDict_SetItem(environ, K_ADDR, peer[0])
        PyDict_SetItem(environ, K_PORT, c.port_text)
    if listener.wildcard:
        address = local_address(c, listener)
        PyDict_SetItem(environ, K_NAME, address[0])
        PyDict_SetItem(environ, K_SERVER_PORT, str(address[1]))
    if c.tls is not None:
        if c.tls.facts is None:
            c.tls.facts = listener.tls.environ(c.tls)
        PyDict_Update(environ, c.tls.facts)
    if c.trusted:
        c.claimed = None
        if claim is not None:
            apply_claim(claim, environ, c, listener)
    return environ
