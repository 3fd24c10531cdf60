"""TLS: requests on kept connections, and handshakes, against granian and nginx with the same certificate.

wrk neither resumes sessions nor looks at certificates, so with `Connection: close` each answer costs a
full handshake.
"""

import shlex
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import wrk
from bench.nginx import write_configuration
from bench.paths import BUILD
from bench.process import BenchError, free_port, running
from bench.result import Result, Row, Verdict
from bench.rounds import Series, in_turns, ratio
from bench.servers import NGINX, Launch, Server
from bench.workload import LOAD_CORE, Options, loaded, pinned

NAME, TITLE = "tls", "WSGI over TLS 1.3, 13-byte body: kept connections, and a handshake for each answer"
SERVERS = ("portway", "granian", "nginx")
KINDS = {"kept": (), "handshakes": ("Connection: close",)}


def certificate() -> tuple[Path, Path]:
    """Return a certificate and its key, made once with OpenSSL."""
    folder = BUILD / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    made, key = folder / "cert.pem", folder / "key.pem"
    if not made.exists():
        line = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        line += ["-keyout", str(key), "-out", str(made), "-days", "365", "-subj", "/CN=localhost"]
        line += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        subprocess.run(line, check=True, capture_output=True)
    return made, key


def command(server: Server, port: int) -> list[str]:
    """Return the command line of a server with TLS."""
    made, key = map(str, certificate())
    if server.name == "nginx":
        encrypted = f"ssl_certificate {made}; ssl_certificate_key {key};"
        path = write_configuration(port, 1, 1024, NGINX["hello"], encrypted)
        return ["nginx", "-p", str(path.parent), "-c", str(path)]
    line = server.command(Launch("bench.apps.hello_wsgi:app", "wsgi", port))
    flags = {
        "portway": ("--certfile", "--keyfile"),
        "granian": ("--ssl-certificate", "--ssl-keyfile"),
    }[server.name]
    return [*line, flags[0], made, flags[1], key]


def measure(servers: Sequence[Server], options: Options, told: Callable[[str], None]) -> Result:
    """Measure every server both ways in turns and return the table."""
    with ExitStack() as stack:
        up = {}
        for server in servers:
            port = free_port()
            line = pinned(command(server, port))
            up[server.name] = stack.enter_context(running(server.name, line, port)), shlex.join(line)
        found: dict[str, dict[str, Series]] = {}
        for kind, headers in KINDS.items():
            found[kind], calls = {}, {}
            for name, (process, line) in up.items():
                url = f"https://127.0.0.1:{process.port}/"
                load = wrk.command(url, core=LOAD_CORE, seconds=options.seconds, headers=headers)
                wrk.run(wrk.command(url, core=LOAD_CORE, seconds=1, headers=headers))
                found[kind][name] = Series(name, line, shlex.join(load))
                calls[name] = lambda process=process, load=load: loaded(process, load)
            for name, samples in in_turns(calls, options.rounds, keep=frozenset(calls)).items():
                found[kind][name].samples = samples
                one = found[kind][name]
                told(
                    f"{NAME:<12} {kind:<11} {name:<10} {one.rate:>9,.0f}/s  {one.middle('server_us'):.1f} us"
                )
    return _result(found, options)


def _result(found: dict[str, dict[str, Series]], options: Options) -> Result:
    rows, verdicts = [], []
    for kind, series in found.items():
        for name, one in sorted(series.items(), key=lambda item: -item[1].rate):
            against = f"{ratio(one, series['nginx']):.2f}" if "nginx" in series else ""
            rows.append(
                Row(
                    (f"{kind}: {name}", f"{one.rate:,.0f}", against, f"{one.middle('server_us'):.1f}"),
                    (one.command, one.load),
                )
            )
        ours = series.get("portway")
        if ours is None:
            raise BenchError("portway did not take part")
        for other, floor, aim in (("granian", 1.0, 1.3), ("nginx", 0.5, 0.8)):
            if other in series:
                verdicts.append(
                    Verdict(f"{kind}, × {other}", round(ratio(ours, series[other]), 3), floor, aim)
                )
    return Result(
        NAME,
        TITLE,
        ("server", "answers/s", "× nginx", "µs"),
        rows,
        options=f"{options.rounds} rounds of {options.seconds:g} s",
        verdicts=verdicts,
        raw=[
            {kind: [sample.__dict__ for sample in one.samples] for kind, one in by.items()}
            for by in found.values()
        ],
    )
