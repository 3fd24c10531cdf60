"""Every option of the server, declared once: `Settings` and its groups.

A field's annotation carries its `Option`: flag names, kind with limits, help text. Everything else
(reading, `--help`, `--print-config`, docs/configuration.md) is derived from here, so adding an option
is adding a field. Only options that work are declared. It is long because it is one table: whoever looks for
an option looks here.

Annotations are evaluated where they stand (as text they would cost a part of every start), so a check
must not have the name of its field.
"""

from typing import Annotated, ClassVar, Literal

from msgspec import Struct

from portway.config.access_format import access_format as check_access_format
from portway.config.access_format import path_pattern
from portway.config.amounts import Count, Mode, Seconds, Size
from portway.config.checks import (
    admin_address,
    admin_name,
    bind_address,
    cipher_list,
    directory,
    forwarded_header,
    header_name,
    id_header,
    keys_address,
    media_range,
    not_empty,
    owner,
    password_source,
    peer,
    ready_path,
    socket_path,
    stage_name,
    transport_security,
)
from portway.config.checks import root_path as check_root_path
from portway.config.hook_table import HookTable
from portway.config.kinds import Choice, Listed, Many, Numbered, Switch, Text
from portway.config.option import Option
from portway.config.worker_range import WorkerCount, WorkerRange

KIB = 1 << 10
MIB = 1 << 20
TIB = 1 << 40
DAY_S = 86_400.0


def _size(flag: str, minimum: int, maximum: int, text: str) -> Option:
    return Option((flag,), Size(minimum, maximum), text, "bytes")


def _count(*flags: str, minimum: int, maximum: int, text: str) -> Option:
    return Option(flags, Count(minimum, maximum), text)


def _seconds(flag: str, text: str, *, minimum: float = 0.1) -> Option:
    return Option((flag,), Seconds(minimum, DAY_S), text, "seconds")


def _text(flag: str, metavar: str, text: str) -> Option:
    return Option((flag,), Text(metavar), text)


class App(Struct, frozen=True, kw_only=True):
    """Which application is served, and how it is found."""

    topic: ClassVar[str] = "Application"

    app: Annotated[
        str,
        Option(
            ("app",), Text("APP"), "What to serve: module:attr, module:factory() or path/to/file.py[:attr]."
        ),
    ] = ""
    interface: Annotated[
        Literal["auto", "wsgi", "asgi", "asgi2", "lambda"],
        Option(
            ("--interface",),
            Choice("auto", "wsgi", "asgi", "asgi2", "lambda"),
            "What the application speaks; auto looks at what it takes. "
            "lambda is a handler of AWS Lambda, a Chalice application among them.",
        ),
    ] = "auto"
    factory: Annotated[
        bool, Option(("--factory",), Switch(), "APP is a function that returns the application.")
    ] = False
    root_path: Annotated[
        str,
        Option(
            ("--root-path",),
            Text("PATH", check_root_path),
            "The prefix the application is mounted at: SCRIPT_NAME for WSGI, root_path for ASGI.",
        ),
    ] = ""
    chdir: Annotated[
        str,
        Option(
            ("--chdir",),
            Text("DIRECTORY", directory),
            "Change to this directory first; the application is imported from it. "
            "In a file, a relative one starts at the file's own directory.",
        ),
    ] = ""
    env_file: Annotated[
        str,
        _text("--env-file", "FILE", "Read NAME=value lines from this file into the environment."),
    ] = ""
    stage: Annotated[
        str,
        Option(
            ("--stage",),
            Text("NAME", stage_name),
            "Which [stages.NAME] of the configuration file counts: its options, routes and variables.",
        ),
    ] = ""


class Function(Struct, frozen=True, kw_only=True):
    """How a Lambda handler is served: what stands before it, as AWS would have it."""

    topic: ClassVar[str] = "Lambda handlers"

    event: Annotated[
        Literal["auto", "rest", "http", "url", "alb"],
        Option(
            ("--event",),
            Choice("auto", "rest", "http", "url", "alb"),
            "The front door whose events the handler gets: API Gateway's REST API or HTTP API, "
            "a Function URL, an Application Load Balancer. auto is rest for Chalice and url for others.",
        ),
    ] = "auto"
    stage: Annotated[
        str,
        Option(
            ("--api-stage",),
            Text("NAME", stage_name),
            "Stage of a REST or HTTP API that stands first in every path: /NAME/…. "
            "Without it the API is at /.",
        ),
    ] = ""
    timeout: Annotated[
        float,
        _seconds(
            "--function-timeout",
            "Time a handler may take; then the client is answered 504 and the handler runs on. 0: any.",
            minimum=0.0,
        ),
    ] = 0.0
    binary_types: Annotated[
        tuple[str, ...],
        Option(
            ("--binary-media-types",),
            Many(Text("TYPE", media_range)),
            "Media types that a REST API hands on as base64, image/* and */* among them. "
            "Without it, all; a Chalice application names its own. Repeatable.",
        ),
    ] = ()
    multi_value: Annotated[
        bool,
        Option(
            ("--multi-value-headers",),
            Switch(),
            "The load balancer's target group has multi-value headers.",
        ),
    ] = True
    api_keys: Annotated[
        tuple[str, ...],
        Option(
            ("--api-key",),
            Many(Text("KEY", not_empty)),
            "A key for Chalice routes with api_key_required; better given in the environment. Repeatable.",
        ),
    ] = ()
    user_pool_keys: Annotated[
        str,
        Option(
            ("--user-pool-keys",),
            Text("WHERE", keys_address),
            "File, or http(s) URL, of the JSON Web Key Set that the tokens of a Chalice application's "
            "Cognito user pools are verified with, for all its pools. "
            "Without it, each pool's own address at Amazon.",
        ),
    ] = ""


class Listen(Struct, frozen=True, kw_only=True):
    """Where connections come from."""

    topic: ClassVar[str] = "Listening"

    bind: Annotated[
        tuple[str, ...],
        Option(
            ("-b", "--bind"),
            Many(Text("ADDRESS", bind_address), minimum=1),
            "Listen here: HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH, unix:@NAME, fd://N or fd://NAME. "
            "Repeatable. Without it, $PORT means 0.0.0.0:$PORT.",
        ),
    ] = ("127.0.0.1:8000",)
    backlog: Annotated[
        int,
        _count(
            "--backlog",
            minimum=1,
            maximum=65_535,
            text="Connections the kernel keeps until they are accepted.",
        ),
    ] = 2048
    uds_permissions: Annotated[
        int | None,
        Option(
            ("--uds-permissions",),
            Mode(),
            "The permission bits of the files of Unix sockets, in octal. Without it, --umask decides.",
        ),
    ] = None
    uds_owner: Annotated[
        str,
        Option(
            ("--uds-owner",),
            Text("USER:GROUP", owner),
            "Who owns the files of Unix sockets: USER, USER:GROUP or :GROUP. Without it, --user and --group.",
        ),
    ] = ""


class Proxies(Struct, frozen=True, kw_only=True):
    """Who stands in front, and what is believed of them."""

    topic: ClassVar[str] = "Behind a proxy"

    forwarded_allow_ips: Annotated[
        tuple[str, ...],
        Option(
            ("--forwarded-allow-ips",),
            Listed(Text("PEER", peer)),
            "Peers whose Forwarded and X-Forwarded-* fields are honoured: addresses, networks, unix (any "
            "Unix socket) or * (everybody). From others these fields are dropped. "
            "Comma-separated, repeatable. Without it, $FORWARDED_ALLOW_IPS is used.",
        ),
    ] = ("127.0.0.1", "::1")
    forwarded_headers: Annotated[
        tuple[str, ...],
        Option(
            ("--forwarded-headers",),
            Listed(Text("FIELD", forwarded_header)),
            "Which of them: x-forwarded-for, -proto, -host, -port, -prefix; or forwarded, alone. "
            "Name those that the proxy sets or removes itself; the others are dropped. "
            "Comma-separated, repeatable.",
        ),
    ] = ("x-forwarded-for", "x-forwarded-proto")
    forwarded_hops: Annotated[
        int,
        _count(
            "--forwarded-hops",
            minimum=0,
            maximum=100,
            text="How many proxies add to the list of clients: that many entries count, from its end. "
            "0: entries count as long as they are addresses of --forwarded-allow-ips.",
        ),
    ] = 0
    proxy_protocol: Annotated[
        Literal["off", "v1", "v2", "auto"],
        Option(
            ("--proxy-protocol",),
            Choice("off", "v1", "v2", "auto"),
            "Peers of --proxy-allow-ips begin each connection with a PROXY header of this version; "
            "auto takes both.",
        ),
    ] = "off"
    proxy_allow_ips: Annotated[
        tuple[str, ...],
        Option(
            ("--proxy-allow-ips",),
            Listed(Text("PEER", peer)),
            "Peers that must begin with a PROXY header; others must not. Written as --forwarded-allow-ips.",
        ),
    ] = ("127.0.0.1", "::1")


class TLS(Struct, frozen=True, kw_only=True):
    """Encryption, and who the two sides are."""

    topic: ClassVar[str] = "TLS"

    certfile: Annotated[
        tuple[str, ...],
        Option(
            ("--certfile",),
            Many(Text("FILE", not_empty)),
            "The server's certificate with its chain, PEM. Every TCP and fd:// bind then speaks TLS. "
            "Repeatable: the client's server name (SNI) chooses, the first is for everybody else.",
        ),
    ] = ()
    keyfile: Annotated[
        tuple[str, ...],
        Option(
            ("--keyfile",),
            Many(Text("FILE", not_empty)),
            "The private key of the certificate, PEM; one for each --certfile, in the same order. "
            "Leave it out when the keys stand in the certificates' files.",
        ),
    ] = ()
    keyfile_password: Annotated[
        str,
        Option(
            ("--keyfile-password",),
            Text("SOURCE", password_source),
            "Where the password of an encrypted key is found: file:PATH (its first line) or env:NAME.",
        ),
    ] = ""
    ca_certs: Annotated[
        str,
        _text(
            "--ca-certs", "FILE", "Certificates of the authorities that clients' certificates come from, PEM."
        ),
    ] = ""
    cert_reqs: Annotated[
        Literal["none", "optional", "required"],
        Option(
            ("--cert-reqs",),
            Numbered("none", "optional", "required"),
            "Whether a client must show a certificate; 0, 1 and 2 mean the same.",
        ),
    ] = "none"
    tls_minimum: Annotated[
        Literal["1.2", "1.3"],
        Option(("--tls-minimum",), Choice("1.2", "1.3"), "The oldest version of TLS that is spoken."),
    ] = "1.2"
    ciphers: Annotated[
        str,
        Option(
            ("--ciphers",),
            Text("LIST", cipher_list),
            "Cipher suites for TLS 1.2, as OpenSSL lists them; those of TLS 1.3 are always all on.",
        ),
    ] = "ECDHE+AESGCM:ECDHE+CHACHA20"
    insecure_bind: Annotated[
        tuple[str, ...],
        Option(
            ("--insecure-bind",),
            Many(Text("ADDRESS", bind_address)),
            "Serve here without TLS although there is a certificate. Repeatable.",
        ),
    ] = ()
    redirect_bind: Annotated[
        tuple[str, ...],
        Option(
            ("--redirect-bind",),
            Many(Text("ADDRESS", bind_address)),
            "Listen here without TLS, and send every request to the same place under https. Repeatable.",
        ),
    ] = ()
    redirect_port: Annotated[
        int,
        _count(
            "--redirect-port",
            minimum=0,
            maximum=65_535,
            text="The port that redirects name. 0: that of the first bind with TLS.",
        ),
    ] = 0
    hsts: Annotated[
        str,
        Option(
            ("--hsts",),
            Text("VALUE", transport_security),
            "Send this Strict-Transport-Security over TLS when the application sends none: "
            '"max-age=63072000; includeSubDomains".',
        ),
    ] = ""


class Process(Struct, frozen=True, kw_only=True):
    """The processes and what runs inside them."""

    topic: ClassVar[str] = "Processes"

    workers: Annotated[
        WorkerRange,
        Option(
            ("-w", "--workers"),
            WorkerCount(512),
            "Worker processes: a number, MIN:MAX to have as many as the load needs, or auto for 1 to the "
            "number of processors. Without it, $WEB_CONCURRENCY is used.",
        ),
    ] = WorkerRange(1, 1)
    threads: Annotated[
        int,
        _count(
            "--threads",
            minimum=1,
            maximum=512,
            text="Threads in a WSGI worker; 1 is strictly single threaded. ASGI workers ignore it.",
        ),
    ] = 4
    preload: Annotated[
        bool,
        Option(
            ("--preload",),
            Switch(),
            "Import the application once in each generation, in a process that forks the workers: "
            "they share its memory. Linux only.",
        ),
    ] = False
    loop: Annotated[
        Literal["auto", "asyncio", "uvloop"],
        Option(
            ("--loop",),
            Choice("auto", "asyncio", "uvloop"),
            "The event loop of an ASGI worker; auto is asyncio.",
        ),
    ] = "auto"
    lifespan: Annotated[
        Literal["auto", "on", "off"],
        Option(
            ("--lifespan",),
            Choice("auto", "on", "off"),
            "ASGI lifespan: auto serves an application that does not support it, on requires it.",
        ),
    ] = "auto"
    ready_check: Annotated[
        str,
        Option(
            ("--ready-check",),
            Text("PATH", ready_path),
            "A worker is ready only when its application answers a GET on this path with 2xx or 3xx. "
            "A URL says which Host it gets.",
        ),
    ] = ""
    pid: Annotated[str, _text("--pid", "FILE", "Write the arbiter's process id to this file.")] = ""
    user: Annotated[str, _text("--user", "NAME", "Run the workers as this user, by name or number.")] = ""
    group: Annotated[str, _text("--group", "NAME", "Run the workers as this group, by name or number.")] = ""
    umask: Annotated[
        int | None,
        Option(("--umask",), Mode(), "Permission bits to take away from files and Unix sockets, in octal."),
    ] = None


class Recycle(Struct, frozen=True, kw_only=True):
    """When a worker is replaced by a new one. 0: never."""

    topic: ClassVar[str] = "Recycling"

    requests: Annotated[
        int,
        _count(
            "--max-requests",
            minimum=0,
            maximum=10**15,
            text="Replace a worker after so many requests. 0: never.",
        ),
    ] = 0
    requests_jitter: Annotated[
        int,
        _count(
            "--max-requests-jitter",
            minimum=0,
            maximum=10**15,
            text="Up to so many requests more, at random for each worker.",
        ),
    ] = 0
    memory: Annotated[
        int,
        _size(
            "--max-memory",
            0,
            1024 * TIB,
            "Replace a worker that takes so much memory (its proportional share). 0: never. Linux only.",
        ),
    ] = 0
    memory_jitter: Annotated[
        int,
        _size("--max-memory-jitter", 0, 1024 * TIB, "Up to so much more, at random for each worker."),
    ] = 0
    age: Annotated[
        float,
        Option(
            ("--max-age",),
            Seconds(0.0, 3650 * DAY_S),
            "Replace a worker after this time. 0: never.",
            "seconds",
        ),
    ] = 0.0
    age_jitter: Annotated[
        float,
        Option(
            ("--max-age-jitter",),
            Seconds(0.0, 3650 * DAY_S),
            "Up to so much longer, at random for each worker.",
            "seconds",
        ),
    ] = 0.0


class Reload(Struct, frozen=True, kw_only=True):
    """Reloading when a file changes, for development."""

    topic: ClassVar[str] = "Reloading"

    on_change: Annotated[
        bool,
        Option(
            ("--reload",),
            Switch(),
            "Reload when a Python file, the configuration or the environment file changes.",
        ),
    ] = False
    directories: Annotated[
        tuple[str, ...],
        Option(
            ("--reload-dir",),
            Many(Text("DIRECTORY", not_empty)),
            "Watch this directory instead of the working directory. Repeatable.",
        ),
    ] = ()
    include: Annotated[
        tuple[str, ...],
        Option(
            ("--reload-include",),
            Many(Text("GLOB", not_empty)),
            "Watch files whose names match, too, such as *.html. Repeatable.",
        ),
    ] = ()
    exclude: Annotated[
        tuple[str, ...],
        Option(
            ("--reload-exclude",),
            Many(Text("GLOB", not_empty)),
            "Do not watch files whose names or paths match. Repeatable.",
        ),
    ] = ()


class Hooks(Struct, frozen=True, kw_only=True):
    """Functions of your own, called when something happens to the server."""

    topic: ClassVar[str] = "Hooks"

    functions: Annotated[
        tuple[tuple[str, str], ...],
        Option(
            ("--hooks",),
            HookTable(),
            "Call module:function when this happens. In a file, a table: [hooks] with "
            'when_ready = "module:function". The events are in the documentation of operations.',
        ),
    ] = ()


class Limits(Struct, frozen=True, kw_only=True):
    """How much one client may ask for."""

    topic: ClassVar[str] = "Limits"

    request_line: Annotated[
        int, _size("--limit-request-line", 64, MIB, "Longest request line; a longer one is answered 414.")
    ] = 8190
    request_field: Annotated[
        int,
        _size("--limit-request-field-size", 64, MIB, "Longest field line; a longer one is answered 431."),
    ] = 8190
    request_head: Annotated[
        int,
        _size(
            "--limit-request-head",
            256,
            16 * MIB,
            "All field lines together; more is answered 431.",
        ),
    ] = 64 * KIB
    request_fields: Annotated[
        int,
        _count(
            "--limit-request-fields",
            minimum=1,
            maximum=10_000,
            text="Most field lines in a request; more are answered 431.",
        ),
    ] = 100
    request_body: Annotated[
        int,
        _size(
            "--limit-request-body",
            0,
            1024 * TIB,
            "Largest request body; a larger one is answered 413. 0: any.",
        ),
    ] = 100 * MIB
    body_memory: Annotated[
        int,
        _size(
            "--body-memory",
            4 * KIB,
            1024 * MIB,
            "Bytes of a request or response body kept in memory; the rest goes to a temporary file.",
        ),
    ] = MIB
    response_spool: Annotated[
        int,
        _size(
            "--response-spool",
            0,
            1024 * TIB,
            "Most bytes of one response kept in a temporary file for a slow reader.",
        ),
    ] = 1024 * MIB
    connections: Annotated[
        int,
        _count(
            "--limit-connections", minimum=1, maximum=1_000_000, text="Most connections open in a worker."
        ),
    ] = 10_000
    concurrency: Annotated[
        int,
        _count(
            "--limit-concurrency",
            minimum=0,
            maximum=1_000_000,
            text="Requests being answered at once in a worker; more are answered 503. 0: no limit.",
        ),
    ] = 0


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long one client may take. All in seconds."""

    topic: ClassVar[str] = "Timeouts"

    header: Annotated[
        float,
        _seconds(
            "--header-timeout",
            "Time from accepting, or from the first byte of a later request, to the end of its head.",
        ),
    ] = 15.0
    request: Annotated[
        float,
        _seconds(
            "--timeout",
            "How long a request may be in the application before its response begins; "
            "then the client is answered 504 and the application is interrupted. 0: any time.",
            minimum=0.0,
        ),
    ] = 300.0
    body: Annotated[
        float, _seconds("--body-timeout", "Longest silence of a client while its request body is read.")
    ] = 30.0
    keep_alive: Annotated[
        float,
        _seconds(
            "--keep-alive",
            "How long an idle connection stays open. The default is above a load balancer's usual 60.",
        ),
    ] = 75.0
    write: Annotated[
        float, _seconds("--write-timeout", "Longest time a client may take no bytes of its response.")
    ] = 60.0
    startup: Annotated[
        float,
        _seconds(
            "--startup-timeout",
            "Time for a worker to import the application and get ready; then it is killed.",
        ),
    ] = 120.0
    graceful: Annotated[
        float,
        _seconds("--graceful-timeout", "Time to finish what is in flight when a worker stops.", minimum=0.0),
    ] = 30.0


class WebSockets(Struct, frozen=True, kw_only=True):
    """WebSockets of ASGI applications."""

    topic: ClassVar[str] = "WebSockets"

    mode: Annotated[
        Literal["auto", "none"],
        Option(
            ("--ws",),
            Choice("auto", "none"),
            "Whether ASGI applications may have WebSockets; auto: where the package websockets is installed.",
        ),
    ] = "auto"
    max_size: Annotated[
        int,
        _size("--ws-max-size", 0, 1024 * MIB, "Largest message; a larger one closes with 1009. 0: any."),
    ] = 16 * MIB
    max_queue: Annotated[
        int,
        _count(
            "--ws-max-queue",
            minimum=1,
            maximum=1_000_000,
            text="Messages that wait for the application, 64 KiB in all, before the client is made to wait.",
        ),
    ] = 32
    ping_interval: Annotated[
        float, _seconds("--ws-ping-interval", "Time between two pings. 0: none.", minimum=0.0)
    ] = 20.0
    ping_timeout: Annotated[
        float,
        _seconds(
            "--ws-ping-timeout",
            "Silence after a ping that closes the connection with 1011. 0: any.",
            minimum=0.0,
        ),
    ] = 20.0
    per_message_deflate: Annotated[
        bool,
        Option(
            ("--ws-per-message-deflate",), Switch(), "Compress messages for clients that offer it (RFC 7692)."
        ),
    ] = True


class HTTP(Struct, frozen=True, kw_only=True):
    """What is added to a response and let through from a request."""

    topic: ClassVar[str] = "HTTP"

    server_header: Annotated[
        bool, Option(("--server-header",), Switch(), "Send a Server field when the application sends none.")
    ] = True
    date_header: Annotated[
        bool, Option(("--date-header",), Switch(), "Send a Date field when the application sends none.")
    ] = True
    request_id: Annotated[
        str,
        Option(
            ("--request-id",),
            Text("NAME", id_header),
            "Give each request an id in this field (X-Request-ID): one that came with it is passed on if "
            "it is harmless, else one is made. The application, the response and the logs have it.",
        ),
    ] = ""
    underscore_headers: Annotated[
        tuple[str, ...],
        Option(
            ("--underscore-headers",),
            Many(Text("NAME", header_name)),
            'Request fields let through although their name contains "_". Others are dropped: '
            "WSGI cannot tell X_Forwarded_For from X-Forwarded-For, so a client could forge it. Repeatable.",
        ),
    ] = ()


class Log(Struct, frozen=True, kw_only=True):
    """What is written down, and where."""

    topic: ClassVar[str] = "Logging"

    access: Annotated[
        str,
        Option(
            ("--access-log",),
            Text("FILE", not_empty),
            "Write an access log to this file; - is the standard error stream, off writes none.",
        ),
    ] = "off"
    access_format: Annotated[
        str,
        Option(
            ("--access-log-format",),
            Text("FORMAT", check_access_format),
            "The form of a line of the access log: combined, json, a list of fields for JSON "
            "(time,path,status) or a template with %(status)s or gunicorn's %(s)s in it.",
        ),
    ] = "combined"
    access_exclude: Annotated[
        tuple[str, ...],
        Option(
            ("--access-log-exclude",),
            Many(Text("PATH", path_pattern)),
            "Leave requests for this path out of the access log, unless they fail; a * may stand at its end. "
            "Repeatable.",
        ),
    ] = ()
    errors: Annotated[
        str,
        Option(
            ("--error-log",),
            Text("FILE", not_empty),
            "Write the error log to this file; - is the standard error stream.",
        ),
    ] = "-"
    slow_request: Annotated[
        float,
        _seconds(
            "--slow-request",
            "A request that takes this long is kept for the status page and ctl. 0: none.",
            minimum=0.0,
        ),
    ] = 1.0
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        Option(
            ("--log-level",),
            Choice("debug", "info", "warning", "error", "critical"),
            "The least severe messages that the error log takes.",
        ),
    ] = "info"


class Inspect(Struct, frozen=True, kw_only=True):
    """How an operator looks into a running server."""

    topic: ClassVar[str] = "Looking inside"

    admin: Annotated[
        str,
        Option(
            ("--admin",),
            Text("ADDRESS", admin_address),
            "Answer /livez, /readyz, /metrics, /status.json and a status page here: HOST:PORT or unix:PATH. "
            "Nobody is asked for a password, so let only operators reach it.",
        ),
    ] = ""
    admin_host: Annotated[
        tuple[str, ...],
        Option(
            ("--admin-host",),
            Many(Text("NAME", admin_name)),
            "A name under which clients ask the admin listener, beside localhost, this machine's name and "
            "that of --admin; IP addresses always count, * is any name. Others are answered 421. Repeatable.",
        ),
    ] = ()
    control: Annotated[
        str,
        Option(
            ("--control",),
            Text("PATH", socket_path),
            "Let `portway ctl` and `portway top` of the same user talk to the server through this "
            "Unix socket.",
        ),
    ] = ""


class Settings(Struct, frozen=True, kw_only=True):
    """Everything the server can be told. `Settings()` is every default."""

    app: App = App()
    function: Function = Function()
    listen: Listen = Listen()
    proxies: Proxies = Proxies()
    tls: TLS = TLS()
    process: Process = Process()
    recycle: Recycle = Recycle()
    reload: Reload = Reload()
    hooks: Hooks = Hooks()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
    websockets: WebSockets = WebSockets()
    http: HTTP = HTTP()
    log: Log = Log()
    inspect: Inspect = Inspect()
