"""The throughput workloads, with what the project wants to reach in each."""

from bench import static
from bench.workload import Target, Workload

WSGI_SERVERS = ("portway", "fastpysgi", "bjoern", "granian", "gunicorn", "waitress")
ASGI_SERVERS = ("portway", "fastpysgi", "granian", "uvicorn", "gunicorn", "hypercorn")

# What a desktop browser sends for a page on a site it is logged in to: 13 field lines with Host.
BROWSER = (
    "Host: www.example.com",
    "Connection: keep-alive",
    'sec-ch-ua: "Chromium";v="130", "Google Chrome";v="130", "Not?A_Brand";v="99"',
    "sec-ch-ua-mobile: ?0",
    'sec-ch-ua-platform: "Linux"',
    "Upgrade-Insecure-Requests: 1",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/130.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,"
    "image/avif,image/webp,image/apng,*/*;q=0.8",
    "Sec-Fetch-Site: same-origin",
    "Referer: https://www.example.com/catalogue?page=2",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
    "Cookie: sessionid=8f2c1e0a4b7d4f1e9c3a5b6d7e8f9a0b; csrftoken=Zk3v9QxLr2TtYw8uPp1nMm5bVc7sDd4f; "
    "_ga=GA1.1.1234567890.1700000000; theme=dark; consent=necessary%2Canalytics",
)

ECHO = b"0123456789" * 1024
PEERS_ABOVE = (Target("best", 1.0, 1.1),)
BODIES_ABOVE = (Target("best", 1.0, 1.3),)


def _both(
    name: str,
    title: str,
    path: str,
    length: int,
    *,
    script: str | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> list[Workload]:
    """Return a workload of bench/apps/bodies_*.py for each interface."""
    return [
        Workload(
            f"{interface}-{name}",
            f"{interface.upper()}, {title}",
            f"bench.apps.bodies_{interface}:app",
            interface,
            WSGI_SERVERS if interface == "wsgi" else ASGI_SERVERS,
            path=path,
            length=length,
            script=script,
            method=method,
            body=body,
            targets=BODIES_ABOVE,
        )
        for interface in ("wsgi", "asgi")
    ]


STATIC_SERVERS = ("portway", "nginx", "nginx-cached", "granian", "whitenoise")


def _file(name: str, title: str, file: str, *, unchanged: bool = False) -> Workload:
    return Workload(
        f"static-{name}",
        f"Static files, {title}",
        "static",
        "static",
        STATIC_SERVERS,
        path=f"/static/{file}",
        length=static.FILES[file],
        headers=(f"If-Modified-Since: {static.LAST_MODIFIED}",) if unchanged else (),
        nginx="static",
        targets=(Target("nginx", 0.8, 1.0), Target("granian", 3, 10), Target("whitenoise", 3, 10)),
    )


PROXY = Workload(
    "proxy",
    "Proxy route, 13-byte body, connections to the server behind are kept",
    "proxy",
    "proxy",
    ("portway", "nginx"),
    length=13,
    nginx="proxy",
    targets=(Target("nginx", 0.0, 0.5),),
)


def _page(name: str, title: str, interface: str) -> Workload:
    servers = WSGI_SERVERS if interface == "wsgi" else ASGI_SERVERS
    return Workload(
        name,
        title,
        f"bench.apps.page_{name}:app",
        interface,
        servers,
        contains=b"<li>Teapot, 12.50</li>",
        targets=PEERS_ABOVE,
        closes=interface == "wsgi",
    )


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            "wsgi-hello",
            "WSGI, 13-byte body, wrk's own headers",
            "bench.apps.hello_wsgi:app",
            "wsgi",
            ("nginx", *WSGI_SERVERS),
            length=13,
            targets=(Target("best", 1.1, 1.3), Target("nginx", 0.85, 1.0)),
        ),
        Workload(
            "wsgi-browser",
            "WSGI, 13-byte body, a browser's 13 headers with cookies",
            "bench.apps.hello_wsgi:app",
            "wsgi",
            ("nginx", *WSGI_SERVERS),
            length=13,
            headers=BROWSER,
            targets=(Target("best", 1.4, 2.0), Target("nginx", 0.85, 1.1)),
        ),
        Workload(
            "asgi-hello",
            "ASGI, 13-byte body",
            "bench.apps.hello_asgi:app",
            "asgi",
            ("nginx", "portway-asyncio", *ASGI_SERVERS),
            length=13,
            targets=(Target("best", 1.4, 1.8), Target("uvicorn", 2.5, 3.5)),
        ),
        Workload(
            "websocket",
            "WebSocket, 50-byte messages sent back, 32 connections",
            "bench.apps.echo_websocket:app",
            "asgi",
            ("portway", "portway-asyncio", "granian", "uvicorn", "gunicorn", "hypercorn"),
            script="websocket.py",
            length=13,
            targets=(Target("uvicorn", 1.0, 1.5), Target("granian", 0.0, 1.0)),
        ),
        Workload(
            "asgi-314",
            "ASGI, 13-byte body, Python 3.14",
            "bench.apps.hello_asgi:app",
            "asgi",
            ("nginx", "portway", "fastpysgi", "granian", "uvicorn"),
            length=13,
            python314=True,
            targets=(Target("nginx", 0.75, 0.9),),
        ),
        PROXY,
        _page("flask", "Flask, a page from a template", "wsgi"),
        _page("django", "Django, a page from a template", "wsgi"),
        _page("fastapi", "FastAPI, a page from a template", "asgi"),
        Workload(
            "chalice",
            "Chalice, a page of 1 KB",
            "bench.apps.notes_chalice.app:app",
            "wsgi",
            ("portway", "chalice-local"),
            contains=b"<li>Teapot, 12.50</li>",
            targets=(Target("chalice-local", 10, 50),),
        ),
        *_both(
            "echo", "POST of 10 KB echoed", "/echo", len(ECHO), script="echo.lua", method="POST", body=ECHO
        ),
        *_both("10k", "10 KB response", "/10k", 10 * 1024),
        *_both("1m", "1 MB response", "/1m", 1024 * 1024),
        _file("1k", "1 KB", "1k.css"),
        _file("100k", "100 KB", "100k.js"),
        _file("10m", "10 MB", "10m.bin"),
        _file("304", "304 Not Modified of 1 KB", "1k.css", unchanged=True),
        *_both("pieces", "100 pieces of 100 bytes", "/pieces", 100 * 100),
    )
}
