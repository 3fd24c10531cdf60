"""The proxy workload: an nginx that returns a constant stands behind every server, on the load's core.

nginx in front keeps connections to it, as Portway does by itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from bench.nginx import write_configuration
from bench.paths import BUILD
from bench.process import free_port, running

CONSTANT = 'default_type text/plain; return 200 "Hello, World!";'
LOCATION = (
    'proxy_pass http://behind; proxy_http_version 1.1; proxy_set_header Connection "";'
    " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
    " proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;"
)


@cache
def port() -> int:
    """Return the port of the server behind."""
    return free_port()


def behind() -> str:
    """Return nginx's `upstream` block."""
    return (
        f"upstream behind {{ server 127.0.0.1:{port()}; keepalive 64; keepalive_requests 1000000000; }}\n    "
    )


def configuration() -> Path:
    """Return Portway's configuration file."""
    return BUILD / "proxy.toml"


@contextmanager
def upstream(core: int) -> Iterator[None]:
    """Write the configuration of Portway, and run the server behind on a core."""
    path = write_configuration(port(), 1, 1024, CONSTANT)
    configuration().write_text(f'[[routes]]\npath = "/*"\nproxy = "http://127.0.0.1:{port()}"\n')
    command = ["taskset", "-c", str(core), "nginx", "-p", str(path.parent), "-c", str(path)]
    with running("behind", command, port()):
        yield
