"""How every server is started: the fastest fair settings known for each, access logs off.

One worker process unless a workload asks for more, four WSGI threads where the server has a pool,
keep-alive long enough that no connection is closed during a measurement. A command is what one
would type; the runner puts `taskset` in front of it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from bench import proxy, static
from bench.paths import BENCH, VENV

BIN = VENV / "bin"
PYTHON = str(BIN / "python")
STATIC = "static"
"""The interface of workloads that serve the folder of bench/static.py."""
PROXY = "proxy"
"""The interface of workloads that pass requests on to the server of bench/proxy.py."""


@dataclass(frozen=True)
class Launch:
    """What a workload asks of a server.

    Args:
        app: `module:attribute`; for nginx the name of a block in NGINX below.
        interface: "wsgi", "asgi", "static" or "proxy".
        port: where to listen on 127.0.0.1.
        workers: worker processes.
        threads: WSGI threads of a worker, for the servers that have them.
        connections: most connections the workload will hold open.
        blocking: the application sleeps: pools must really have `threads` threads.
        websockets: the load opens them.
        uvloop: Portway's event loop is uvloop, as the peers' is; else asyncio's own, its default.
    """

    app: str
    interface: str
    port: int = 0
    workers: int = 1
    threads: int = 4
    connections: int = 256
    blocking: bool = False
    uvloop: bool = False
    websockets: bool = False

    def at(self, port: int) -> "Launch":
        """Return the same launch on another port."""
        return replace(self, port=port)


Command = Callable[[Launch], list[str]]


@dataclass(frozen=True)
class Server:
    """A server of the field: its name, the interfaces it speaks, its command line."""

    name: str
    interfaces: frozenset[str]
    command: Command
    root: Path | None = None  # a chroot it runs in


def portway_program() -> str:
    """Return the path of Portway itself; PORTWAY_BIN names another build of it."""
    return os.environ.get("PORTWAY_BIN", str(BIN / "portway"))


def portway(launch: Launch) -> list[str]:
    """Portway itself."""
    line = [portway_program(), "serve"]
    if launch.interface in (STATIC, PROXY):
        made = static if launch.interface == STATIC else proxy
        line += ["--config", str(made.configuration())]
    else:
        line += [launch.app]
    line += ["--bind", f"127.0.0.1:{launch.port}", "--workers", str(launch.workers)]
    if launch.interface == PROXY:
        line += ["--loop", "uvloop"]
    elif launch.interface != "asgi":
        line += ["--threads", str(launch.threads)]
    elif launch.uvloop:
        line += ["--loop", "uvloop"]
    if launch.connections > 8000:
        line += ["--limit-connections", str(launch.connections * 2)]
    return line


def portway_asyncio(launch: Launch) -> list[str]:
    """Portway on the event loop that it takes by default."""
    return portway(replace(launch, uvloop=False))


def fastpysgi(launch: Launch) -> list[str]:
    """Through its Python interface: uvloop and TCP_NODELAY are faster than its command's defaults."""
    return [
        PYTHON,
        str(BENCH / "start" / "fastpysgi_app.py"),
        launch.app,
        str(launch.port),
        str(launch.workers),
    ]


def bjoern(launch: Launch) -> list[str]:
    """It has no command line of its own."""
    return [PYTHON, str(BENCH / "start" / "bjoern_app.py"), launch.app, str(launch.port), str(launch.workers)]


def granian(launch: Launch) -> list[str]:
    """One runtime thread. More blocking threads only cost it speed unless the application blocks."""
    app, interface = launch.app, launch.interface
    if interface == STATIC:
        app, interface = "bench.apps.hello_wsgi:app", "wsgi"
    line = [str(BIN / "granian"), "--interface", interface, "--host", "127.0.0.1"]
    line += ["--port", str(launch.port), "--workers", str(launch.workers), "--runtime-threads", "1"]
    line += [
        "--http",
        "1",
        "--ws" if launch.websockets else "--no-ws",
        "--no-access-log",
        "--log-level",
        "warning",
        "--loop",
        "uvloop",
    ]
    if launch.interface == STATIC:
        line += ["--static-path-route", "/static", "--static-path-mount", str(static.FOLDER)]
    if interface == "wsgi":
        line += ["--blocking-threads", str(launch.threads if launch.blocking else 1)]
    if launch.connections > 1000:  # its backpressure counts connections, not requests
        line += ["--backlog", str(launch.connections * 2)]
        line += ["--backpressure", str(launch.connections * 2)]
    return [*line, app]


def gunicorn(launch: Launch) -> list[str]:
    """gthread with its pool, or its own ASGI worker with uvloop and the C parser."""
    line = [str(BIN / "gunicorn"), "-b", f"127.0.0.1:{launch.port}", "-w", str(launch.workers)]
    line += ["--keep-alive", "120", "--log-level", "warning", "--no-control-socket"]
    line += ["--worker-tmp-dir", "/dev/shm", "--worker-connections", str(max(1000, launch.connections * 2))]
    if launch.interface == "wsgi":
        return [*line, "-k", "gthread", "--threads", str(launch.threads), launch.app]
    return [*line, "-k", "asgi", "--asgi-loop", "uvloop", launch.app]


def uvicorn(launch: Launch) -> list[str]:
    """uvloop and httptools."""
    line = [str(BIN / "uvicorn"), "--host", "127.0.0.1", "--port", str(launch.port)]
    line += ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return [*line, "--timeout-keep-alive", "120", "--workers", str(launch.workers), launch.app]


def whitenoise(launch: Launch) -> list[str]:
    """WhiteNoise under gunicorn's threads."""
    return gunicorn(replace(launch, app="bench.apps.static_whitenoise:app", interface="wsgi"))


def hypercorn(launch: Launch) -> list[str]:
    """uvloop worker."""
    line = [str(BIN / "hypercorn"), "--bind", f"127.0.0.1:{launch.port}", "-w", str(launch.workers)]
    return [*line, "-k", "uvloop", "--keep-alive", "120", "--log-level", "warning", launch.app]


def waitress(launch: Launch) -> list[str]:
    """Its pool of threads; it has no worker processes."""
    line = [str(BIN / "waitress-serve"), f"--listen=127.0.0.1:{launch.port}"]
    line += [f"--threads={launch.threads}", f"--connection-limit={max(100, launch.connections * 2)}"]
    return [*line, "--channel-timeout=120", launch.app]


def chalice_local(launch: Launch) -> list[str]:
    """Chalice's own development server, a thread for each connection."""
    project = BENCH.parent.joinpath(*launch.app.partition(":")[0].split(".")[:-1])
    line = [str(BIN / "chalice"), "--project-dir", str(project), "local", "--no-autoreload"]
    return [*line, "--port", str(launch.port)]


NGINX = {
    "hello": 'default_type text/plain; return 200 "Hello, World!";',
    "proxy": proxy.LOCATION,
    "static": f"root {static.FOLDER.parent};",
    "static-cached": f"root {static.FOLDER.parent}; open_file_cache max=1000 inactive=60s;",
}


def nginx(launch: Launch) -> list[str]:
    """nginx with one worker process, returning a constant or, with sendfile, files"""
    from bench.nginx import write_configuration

    most = max(1024, launch.connections * 2)
    behind = proxy.behind() if launch.app == PROXY else ""
    path = write_configuration(launch.port, launch.workers, most, NGINX[launch.app], behind=behind)
    return ["nginx", "-p", str(path.parent), "-c", str(path)]


def nginx_cached(launch: Launch) -> list[str]:
    """The same, with files kept open and looked at again once a minute."""
    return nginx(replace(launch, app=f"{launch.app}-cached"))


def engine_script(path: str) -> Server:
    """Return a server that runs `python path PORT APP`: anything that listens on argv[1]."""
    file = Path(path).resolve()

    def command(launch: Launch) -> list[str]:
        return [PYTHON, str(file), str(launch.port), launch.app]

    return Server(file.stem, frozenset({"wsgi", "asgi"}), command)


def at_314(server: Server) -> Server:
    """Return the same server on Python 3.14 inside the Debian folder (see bench/sid.py)."""
    from bench.sid import inside

    def command(launch: Launch) -> list[str]:
        return inside(server.command(launch))

    return Server(f"{server.name}-3.14", server.interfaces, command)


FILES, PASSED_ON = frozenset({STATIC}), frozenset({PROXY})
WSGI, ASGI, BOTH = frozenset({"wsgi"}), frozenset({"asgi"}), frozenset({"wsgi", "asgi"})
SERVERS = {
    server.name: server
    for server in (
        Server("nginx", FILES | PASSED_ON, nginx),
        Server("nginx-cached", FILES, nginx_cached),
        Server("portway", BOTH | FILES | PASSED_ON, portway),
        Server("portway-asyncio", ASGI, portway_asyncio),
        Server("fastpysgi", BOTH, fastpysgi),
        Server("bjoern", WSGI, bjoern),
        Server("granian", BOTH | FILES, granian),
        Server("whitenoise", FILES, whitenoise),
        Server("gunicorn", BOTH, gunicorn),
        Server("waitress", WSGI, waitress),
        Server("uvicorn", ASGI, uvicorn),
        Server("hypercorn", ASGI, hypercorn),
        Server("chalice-local", WSGI, chalice_local),
    )
}
