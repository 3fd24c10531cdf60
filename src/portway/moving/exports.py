"""Files for what stands around the server: a Dockerfile and an nginx site. The units are in systemd.py."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass

from portway.config import InheritedSocket, Loaded, Settings, TCPAddress, UnixAddress, parse_address
from portway.config.declared import BY_NAME, DECLARED
from portway.config.kinds import Many, Switch
from portway.config.show import value_of

ELSEWHERE = frozenset(
    {"app", "bind", "user", "group", "umask", "pid", "chdir", "uds-permissions", "uds-owner"}
)
"""Options that the file says in its own words."""
NGINX_READ_S = 60.0
"""nginx's proxy_read_timeout where none is set."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service will run.

    Attributes:
        command: The `portway` program, absolute.
        directory: Where the command line is given, absolute.
        python: "3.12", for the image.
    """

    command: str
    directory: str
    python: str


def _extras(loaded: Loaded) -> list[str]:
    """Return the extras that the configuration needs, as far as it tells."""
    from portway.site.reading import read_site
    from portway.site.site import ProxyTarget

    settings = loaded.settings
    wanted = {
        "uvloop": settings.process.loop == "uvloop",
        "websockets": settings.websockets.mode == "auto"
        and settings.app.interface in ("auto", "asgi", "asgi2"),
        "proxy": loaded.has_routes
        and any(isinstance(route.target, ProxyTarget) for route in read_site(loaded).routes),
        "metrics": bool(settings.inspect.admin),
    }
    return [name for name, needed in wanted.items() if needed]


def docker(loaded: Loaded, place: Place) -> tuple[str, list[str]]:
    """Return a Dockerfile, and what must be looked at."""
    settings = loaded.settings
    notes = []
    if any(isinstance(parse_address(text), UnixAddress) for text in settings.listen.bind):
        notes.append("a unix socket stays in the container: the Dockerfile binds TCP")
    if not os.path.exists(os.path.join(place.directory, "requirements.txt")):
        notes.append("there is no requirements.txt here, and the Dockerfile installs one")
    ports = [
        address.port
        for address in map(parse_address, settings.listen.bind)
        if isinstance(address, TCPAddress)
    ] or [8000]
    command = ["portway", "serve", *application(settings)]
    command += [part for port in ports for part in ("--bind", f"0.0.0.0:{port}")]
    command += command_flags(loaded, Place("portway", place.directory, place.python), relative=True)
    command += emptied(loaded, "pid", "user", "group")
    words = ", ".join(map(json.dumps, command))
    portway = f"'portway[{','.join(extras)}]'" if (extras := _extras(loaded)) else "portway"
    text = f"""\
# The image that compiles has a compiler; the one that runs has not.
FROM python:{place.python}-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY requirements.txt /tmp/
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir -r /tmp/requirements.txt {portway}

FROM python:{place.python}-slim
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /app
COPY . /app
USER 65534:65534
EXPOSE {" ".join(map(str, ports))}
# Portway is process 1: it reaps orphans and stops its workers. Give it {settings.timeouts.graceful:g} s
# and some more (docker stop --time, terminationGracePeriodSeconds).
STOPSIGNAL SIGTERM
ENTRYPOINT [{words}]
"""
    return text, notes


def nginx(loaded: Loaded, place: Place) -> tuple[str, list[str]]:
    """Return an nginx site, and what must be changed here for it to work as it stands."""
    settings = loaded.settings
    servers, notes = [], []
    for text in settings.listen.bind:
        address = parse_address(text)
        match address:
            case TCPAddress(host=host, port=port):
                host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
                servers.append(str(TCPAddress(host, port)))
            case UnixAddress() if not address.abstract:
                path = os.path.join(settings.app.chdir or place.directory, address.path)
                servers.append(f"unix:{path}")
                trusted = settings.proxies.forwarded_allow_ips
                if "unix" not in trusted and "*" not in trusted:
                    notes.append(
                        f"add unix to forwarded-allow-ips, or nothing nginx says on {address} is believed"
                    )
            case UnixAddress() | InheritedSocket():
                notes.append(f"nginx cannot be told of {address}: write its address into the upstream block")
    sockets = settings.websockets
    if sockets.mode != "none" and not 0 < sockets.ping_interval < NGINX_READ_S:
        notes.append(
            f"nginx ends a WebSocket in which nothing comes for {NGINX_READ_S:g} s: set ws-ping-interval "
            "to less, or proxy_read_timeout to more"
        )
    body = settings.limits.request_body
    upstream = "".join(f"    server {server} fail_timeout=0;\n" for server in servers)
    return (
        f"""\
# /etc/nginx/conf.d/portway.conf: in the http block
upstream portway {{
{upstream}    # Connections to Portway stay open, for less long than Portway keeps them (keep-alive).
    keepalive 32;
    keepalive_timeout {max(1, int(settings.timeouts.keep_alive * 0.8))}s;
}}
{_forwarded_map(settings)}
# A WebSocket is passed on, any other protocol is not. Connection is empty otherwise, so that it stays open.
map $http_upgrade $portway_upgrade {{
    ~*^websocket$ websocket;
    default       "";
}}
map $portway_upgrade $portway_connection {{
    websocket upgrade;
    default   "";
}}

server {{
    listen 80;
    server_name example.com;
    client_max_body_size {body};

    location / {{
        proxy_pass http://portway;
        proxy_http_version 1.1;
        proxy_set_header Upgrade $portway_upgrade;
        proxy_set_header Connection $portway_connection;
        proxy_set_header Host $http_host;
        # How long a request waits for a worker: portway_request_queue_seconds.
        proxy_set_header X-Request-Start "t=${{msec}}";
{_forwarded_fields(settings)}\
        # Answers are taken in as fast as Portway gives them. A response of events says
        # "X-Accel-Buffering: no" itself.
        proxy_buffering on;
        proxy_request_buffering on;
        proxy_redirect off;
        # Only what cannot have been carried out yet is tried elsewhere.
        proxy_next_upstream error timeout;
    }}
}}
""",
        notes,
    )


def _forwarded_map(settings: Settings) -> str:
    if settings.proxies.forwarded_headers != ("forwarded",):
        return ""
    return """
# RFC 7239: an IPv6 address stands in brackets and quotes.
map $remote_addr $portway_for {
    ~^[0-9.]+$        "for=$remote_addr";
    ~^[0-9A-Fa-f:.]+$ "for=\\"[$remote_addr]\\"";
    default           "for=unknown";
}
"""


def _forwarded_fields(settings: Settings) -> str:
    """Each field is set or removed: what a client sends in one of them must not arrive."""
    names = settings.proxies.forwarded_headers
    values = {
        "x-forwarded-for": ("X-Forwarded-For", "$remote_addr"),
        "x-forwarded-proto": ("X-Forwarded-Proto", "$scheme"),
        "x-forwarded-host": ("X-Forwarded-Host", "$http_host"),
        "x-forwarded-port": ("X-Forwarded-Port", "$server_port"),
        "x-forwarded-prefix": ("X-Forwarded-Prefix", '""'),
        "forwarded": ("Forwarded", '"$portway_for;proto=$scheme"'),
    }
    return "".join(
        f"        proxy_set_header {field} {value if name in names else chr(34) * 2};\n"
        for name, (field, value) in values.items()
    )


def command_flags(loaded: Loaded, place: Place, relative: bool = False) -> list[str]:
    """Return the command line for the same configuration: the file by name, everything else as flags."""
    words: list[str] = []
    if loaded.file:
        path = loaded.file.path
        start = loaded.file.directory or place.directory
        words += ["--config", path if relative else os.path.join(start, os.path.basename(path))]
    for declared in DECLARED:
        option, origin = declared.option, loaded.origins[declared.option.name]
        if option.name in ELSEWHERE or origin.source not in ("flag", "environment"):
            continue
        value = value_of(loaded.settings, declared)
        if isinstance(option.kind, Switch):
            words.append(option.flag if value else f"--no-{option.name}")
        elif isinstance(option.kind, Many):
            words += [part for item in value for part in (option.flag, str(item))]
        else:
            words += [option.flag, _spelled(option.kind.to_toml(value))]
    return words


def emptied(loaded: Loaded, *names: str) -> list[str]:
    """Return flags that take back what the file says of these options."""
    said = [name for name in names if loaded.origins[name].source == "file"]
    return [word for name in said for word in (BY_NAME[name].option.flag, "")]


def application(settings: Settings) -> list[str]:
    """Return APP, where there is one: a site may do without."""
    return [settings.app.app] if settings.app.app else []


def _spelled(toml: str) -> str:
    """Return a TOML value as a flag has it: without quotes."""
    return re.sub(r'^"(.*)"$', r"\1", toml).replace('\\"', '"').replace("\\\\", "\\")
