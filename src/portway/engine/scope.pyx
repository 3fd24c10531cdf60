# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The ASGI `http` scope (ASGI HTTP specification 2.5), from a parsed head.

`path` is decoded once, from UTF-8, and includes `root_path`; `raw_path` is what the client sent, without the query.
`headers` is a new list for each request, its pairs may be shared with the connection's memo. What proxies say
(forwarded.pyx) is heeded from trusted peers and dropped from all others. Names with an
underscore are dropped, as for WSGI: frameworks that map names to environ keys cannot tell them from a dash.
"""

import sys

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.list cimport PyList_GET_SIZE, PyList_GetSlice
from cpython.unicode cimport PyUnicode_DecodeASCII, PyUnicode_DecodeUTF8
from libc.stdint cimport uint32_t
from libc.string cimport memchr

from portway.engine.base cimport Memo
from portway.engine.environ cimport local_address, method_name, percent_decoded
from portway.engine.forwarded cimport Claim, claim_kind
from portway.engine.head cimport FORM_ABSOLUTE, Field, Head, HeadParser

cdef enum:
    NAMES_MOST = 1024           # field names that are remembered, and how long they may be: clients choose them
    NAME_MOST = 64

# raw field name -> lower case, None when the field is dropped
cdef dict NAMES = {}
cdef str K_METHOD = sys.intern("method"), K_PATH = sys.intern("path"), K_RAW_PATH = sys.intern("raw_path")
cdef str K_QUERY = sys.intern("query_string"), K_HEADERS = sys.intern("headers"), K_CLIENT = sys.intern("client")
cdef str K_VERSION = sys.intern("http_version"), K_STATE = sys.intern("state"), K_SERVER = sys.intern("server")
cdef str K_ASGI = sys.intern("asgi"), K_EXTENSIONS = sys.intern("extensions"), K_TLS = sys.intern("tls")
cdef str K_SCHEME = sys.intern("scheme"), K_ROOT = sys.intern("root_path"), K_PEER = sys.intern("portway.peer")
cdef tuple UNKNOWN = ("unknown", 0)
cdef bytes ROOT = b"/", K_HOST = b"host"


cdef object base_scope(Engine engine, Listener listener):
    """What does not change between requests; the other keys are there so that a copy need not grow."""
    return {
        "type": "http",
        K_ASGI: {"version": "3.0", "spec_version": "2.5"},
        K_VERSION: "1.1",
        K_SERVER: listener.server,
        K_CLIENT: None,
        K_SCHEME: "http" if listener.tls is None else "https",
        K_METHOD: "GET",
        K_ROOT: engine.root_path,
        K_PATH: "/",
        K_RAW_PATH: ROOT,
        K_QUERY: b"",
        K_HEADERS: None,
        K_EXTENSIONS: {
            "http.response.early_hint": {},
            "http.response.trailers": {},
            "http.response.pathsend": {},
            "http.response.zerocopysend": {},
        },
    }


cdef object scope_name(Engine engine, bytes name):
    cdef object lower = name.lower()
    if lower == b"proxy":
        lower = None                        # an adapter to WSGI would make HTTP_PROXY of it, which libraries obey
    elif claim_kind(name):
        lower = None                          # what becomes of it depends on the peer
    elif b"_" in name and (lower not in engine.underscores or claim_kind(lower.replace(b"_", b"-"))):
        text = name.decode("latin-1")[:64]
        engine.notice(
            f"underscore {text}",
            f"dropped request field {text!r}: its underscore would let it pass for another field"
            " (option underscore-headers lets a name through)",
        )
        lower = None
    if len(NAMES) < NAMES_MOST and len(name) <= NAME_MOST:
        NAMES[name] = lower
    return lower


cdef Claim add_headers(Engine engine, Connection c, HeadParser parser, const char* data, list headers, str scheme):
    """Add the header block's fields; return what a trusted peer says in them."""
    cdef Field* field
    cdef uint32_t i
    cdef int kind
    cdef bytes name, host = b""
    cdef list claims = None
    for i in range(parser.head.count):
        field = &parser.fields[i]
        name = data[field.name_at : field.name_at + field.name_size]
        lower = NAMES.get(name, NAMES)
        if lower is NAMES:
            lower = scope_name(engine, name)
        if lower is None:
            kind = claim_kind(name)
            if not kind or not engine.heeds(c, kind, name):
                continue
            if claims is None:
                claims = []
            claims.append((kind, data[field.value_at : field.value_at + field.value_size]))
            lower = name.lower()
        headers.append((lower, PyBytes_FromStringAndSize(data + field.value_at, field.value_size)))
    if claims is None:
        return None
    if parser.head.form == FORM_ABSOLUTE:
        host = data[parser.head.authority_at : parser.head.authority_at + parser.head.authority_size]
    else:
        for name, value in headers:
            if name == K_HOST:
                host = value
    return engine.believe(claims, host, scheme)


cdef int apply_claim(Claim claim, dict scope, Connection c) except -1:
    """Put what a trusted peer says in the place of what the connection says."""
    if claim.client is not None:
        scope[K_CLIENT] = c.claimed = claim.client
    elif claim.hidden:
        scope[K_CLIENT] = None
        c.claimed = UNKNOWN
    if claim.scheme is not None:
        scope[K_SCHEME] = claim.scheme
    if claim.host is not None:
        headers = [pair for pair in scope[K_HEADERS] if pair[0] != K_HOST]
        headers.insert(0, (K_HOST, claim.host))
        scope[K_HEADERS] = headers
    if claim.name is not None:
        scope[K_SERVER] = (claim.name, claim.port)
    return 0


cdef object decoded_path(const char* data, size_t size):
    if memchr(data, c"%", size) == NULL:
        return PyUnicode_DecodeASCII(data, size, NULL)
    raw = percent_decoded(data, size).encode("latin-1")
    return raw.decode("utf-8", "replace")


cdef dict make_scope(Engine engine, Connection c, Strand strand, const char* data, dict state):
    """The scope of the head in `strand.parser`; `state` is the lifespan's, copied, or None."""
    cdef HeadParser parser = strand.parser
    cdef Head* head = &parser.head
    cdef Listener listener = <Listener>c.listener
    cdef dict scope = PyDict_Copy(<dict>listener.template)
    cdef Memo memo
    cdef list headers
    cdef str path, root = engine.root_path
    cdef bytes raw
    cdef Claim claim = None
    if parser.matched:
        claim = (<Memo>c.memo).claim
        headers = <list>(<Memo>c.memo).template
        headers = PyList_GetSlice(headers, 0, PyList_GET_SIZE(headers))
    else:
        memo = engine.recall(c, parser, data)
        if memo is not None:
            claim = memo.claim
            headers = PyList_GetSlice(<list>memo.template, 0, PyList_GET_SIZE(<list>memo.template))
        else:
            headers = []
            claim = add_headers(engine, c, parser, data, headers, scope[K_SCHEME])
            if not c.first:
                engine.remember(c, parser, data, PyList_GetSlice(headers, 0, PyList_GET_SIZE(headers)), claim)
    # an application may write into these; it must not write into the next request's
    PyDict_SetItem(scope, K_ASGI, PyDict_Copy(<dict>scope[K_ASGI]))
    PyDict_SetItem(scope, K_EXTENSIONS, PyDict_Copy(<dict>scope[K_EXTENSIONS]))
    if c.tls is not None:
        if c.tls.facts is None:
            c.tls.facts = listener.tls.extension(c.tls)
        PyDict_SetItem(scope[K_EXTENSIONS], K_TLS, PyDict_Copy(c.tls.facts))
    if head.form == FORM_ABSOLUTE:
        # RFC 9112 section 3.2.2: the target's authority replaces Host
        authority = data[head.authority_at : head.authority_at + head.authority_size]
        headers = [pair for pair in headers if pair[0] != b"host"]
        headers.insert(0, (b"host", authority))
    PyDict_SetItem(scope, K_HEADERS, headers)
    if not (head.method_size == 3 and data[0] == c"G" and data[1] == c"E" and data[2] == c"T"):
        PyDict_SetItem(scope, K_METHOD, method_name(data, head.method_size))
    if head.path_size > 1 or head.path_size == 1 and data[head.path_at] != c"/":
        raw = PyBytes_FromStringAndSize(data + head.path_at, head.path_size)
        PyDict_SetItem(scope, K_RAW_PATH, raw)
        path = decoded_path(data + head.path_at, head.path_size)
        PyDict_SetItem(scope, K_PATH, path)
    else:
        path = "/"
    if claim is not None and claim.prefix is not None:
        root = claim.prefix
        PyDict_SetItem(scope, K_ROOT, root)
    if root and not (path == root or path.startswith(root + "/")):
        PyDict_SetItem(scope, K_PATH, root + path)
    if head.query_size:
        PyDict_SetItem(scope, K_QUERY, PyBytes_FromStringAndSize(data + head.query_at, head.query_size))
    if head.minor == 0:
        PyDict_SetItem(scope, K_VERSION, "1.0")
    PyDict_SetItem(scope, K_CLIENT, c.client if c.client is not None else c.peer())
    if listener.wildcard:
        PyDict_SetItem(scope, K_SERVER, local_address(c, listener))
    if engine.tell_peer:
        PyDict_SetItem(scope, K_PEER, scope[K_CLIENT])
    if c.trusted:
        c.claimed = None
        if claim is not None:
            apply_claim(claim, scope, c)
    if state is not None:
        PyDict_SetItem(scope, K_STATE, PyDict_Copy(state))
    return scope
