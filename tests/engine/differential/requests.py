"""Requests to disagree about: put together from good and bad parts, or good ones with some bytes changed."""

from __future__ import annotations

from hypothesis import strategies as st

METHODS = [
    b"GET",
    b"POST",
    b"HEAD",
    b"OPTIONS",
    b"CONNECT",
    b"get",
    b"M-SEARCH",
    b"PRI",
    b"G\xe9T",
    b"",
    b"GE T",
    b"(",
    b"FROB",
]
TARGETS = [
    *(
        b"/",
        b"/a?b=c",
        b"*",
        b"http://a/b",
        b"https://a:1/",
        b"HTTP://a",
        b"a:80",
        b"/\xc3\xa9",
        b"/%zz",
        b"/a#b",
    ),
    *(b"", b"/a b", b"/\x7f", b"/\0", b"//a", b"http://", b"ftp://a/", b'/{}|\\^`"<>', b"http://u@a/", b"a"),
]
VERSIONS = (
    [b"HTTP/1.1"] * 6
    + [b"HTTP/1.0"] * 2
    + [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"http/1.1", b"HTTP/1", b"HTTP/1.10", b"ICE/1.0", b""]
)
SPACES = [b" "] * 12 + [b"  ", b"\t", b"", b"\x0b"]
ENDS = [b"\r\n"] * 20 + [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\r\n\t", b"\0", b""]
NAMES = [
    *(
        b"Host",
        b"host",
        b"Content-Length",
        b"content-length",
        b"Transfer-Encoding",
        b"Connection",
        b"Expect",
        b"TE",
    ),
    *(
        b"Upgrade",
        b"Cookie",
        b"X",
        b"X_Y",
        b"X-Y",
        b"Content-Type",
        b"Trailer",
        b"x\xe9",
        b"",
        b"X ",
        b" X",
        b"(",
        b"X\0",
    ),
]
HOSTS = [b"a", b"a:80", b"[::1]:1", b"", b"a b", b"a/b", b"u@a", b"a,b", b"a:x", b"\xe9", b"a:99999", b"a%20"]
LENGTHS = [
    b"0",
    b"5",
    b"05",
    b"+5",
    b"-5",
    b"5,5",
    b"5, 5",
    b"5 5",
    b"0x5",
    b"5\t",
    b"",
    b"99999999999999999999",
    b"\xb2",
    b"1_0",
]
CODINGS = [
    b"chunked",
    b"Chunked",
    b"gzip",
    b"gzip, chunked",
    b"chunked, chunked",
    b"identity",
    b"",
    b"\x0bchunked",
    b"xchunked",
    b"chunked;a",
]
OTHERS = [
    b"close",
    b"keep-alive",
    b"upgrade",
    b"websocket",
    b"100-continue",
    b"a",
    b"a\tb",
    b" a ",
    b"\xe9",
    b"a\0",
    b"a\x7f",
    b"a\rb",
    b"",
    b"a\x0b",
]
BODIES = [
    *(
        b"",
        b"hello",
        b"hello world",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5;a=b\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n",
    ),
    *(
        b"5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 1\r\n\r\n",
        b"5\nhello\n0\n\n",
    ),
    *(
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
    ),
    *(
        b"fffffffffffffffff\r\n",
        b"5;\n\r\nhello\r\n0\r\n\r\n",
        b'5;a="b\r\nhello\r\n0\r\n\r\n',
        b"5\r\nhello\r\n0\r\n",
    ),
    *(
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5;a=\xe9\r\nhello\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
    ),
]
NEXT = [b"", b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n", b"\r\n", b"x"]

GOOD = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a?b=c HTTP/1.1\r\nHost: a:80\r\nUser-Agent: x/1 (y; z)\r\nAccept: */*\r\nCookie: a=b; c=d\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\nExpect: 100-continue\r\n\r\n",
    b"GET http://a.b/c HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
]
SPECIAL = [
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b":",
    b",",
    b";",
    b"\x7f",
    b"\x80",
    b"\x0b",
    b"0",
    b"+",
    b"\r\n\r\n",
    b"\n\n",
]


def _field() -> st.SearchStrategy[bytes]:
    def values(name: bytes) -> st.SearchStrategy[bytes]:
        kinds = {b"host": HOSTS, b"content-length": LENGTHS, b"transfer-encoding": CODINGS}
        return st.sampled_from(kinds.get(name.lower().strip(), OTHERS))

    colons = st.sampled_from([b": "] * 12 + [b":", b":\t ", b" :", b"", b":\x0b"])
    names = st.sampled_from(NAMES)
    return names.flatmap(
        lambda name: st.tuples(st.just(name), colons, values(name), st.sampled_from(ENDS)).map(b"".join)
    )


@st.composite
def assembled(draw: st.DrawFn) -> bytes:
    """A request put together from parts, most of them good."""
    spaces, ends = st.sampled_from(SPACES), st.sampled_from(ENDS)
    parts = [draw(st.sampled_from([b""] * 9 + [b"\r\n", b"\n", b" "]))]
    parts += [draw(st.sampled_from(METHODS)), draw(spaces), draw(st.sampled_from(TARGETS)), draw(spaces)]
    parts += [draw(st.sampled_from(VERSIONS)), draw(ends)]
    fields = draw(st.lists(_field(), max_size=5))
    if draw(st.integers(0, 9)):
        fields.insert(draw(st.integers(0, len(fields))), b"Host: a\r\n")
    if draw(st.booleans()):
        framing = draw(st.sampled_from([b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"]))
        fields.insert(draw(st.integers(0, len(fields))), framing)
    return b"".join([*parts, *fields, draw(ends), draw(st.sampled_from(BODIES)), draw(st.sampled_from(NEXT))])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good request with a few changes: bytes put in, taken out, replaced, doubled, cut off."""
    data = draw(st.sampled_from(GOOD))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 0, 1, 1, 1, 2, 5, 20])))
        inserted = draw(st.sampled_from(SPECIAL) | st.binary(max_size=3) | st.just(data[start:end] * 2))
        data = data[:start] + inserted + data[end:]
    return data if draw(st.integers(0, 9)) else data[: draw(st.integers(0, len(data)))]


requests = assembled() | mutated()
