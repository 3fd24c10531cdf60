"""Bodies of several shapes: /echo, /10k, /1m, and /pieces from a generator."""

TEN_K = b"0123456789" * 1024
ONE_M = b"0123456789abcdef" * 65536
PIECE = b"x" * 100
PLAIN = ("Content-Type", "application/octet-stream")


def echo(environ, start_response):  # type: ignore[no-untyped-def]
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(body)))])
    return [body]


def ten_k(environ, start_response):  # type: ignore[no-untyped-def]
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(TEN_K)))])
    return [TEN_K]


def one_m(environ, start_response):  # type: ignore[no-untyped-def]
    start_response("200 OK", [PLAIN, ("Content-Length", str(len(ONE_M)))])
    return [ONE_M]


def pieces(environ, start_response):  # type: ignore[no-untyped-def]
    start_response("200 OK", [PLAIN])
    return (PIECE for _ in range(100))


ROUTES = {"/echo": echo, "/10k": ten_k, "/1m": one_m, "/pieces": pieces}


def app(environ, start_response):  # type: ignore[no-untyped-def]
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
