"""gunicorn's settings (those of version 27) in Portway's words.

Each has a line in one of the tables below: it is put under another name, it needs a function, or it has no
equivalent and the reason is said. A setting that is in none of them is reported as unknown, never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from portway.moving.draft import Draft

SAME = {
    "backlog": "backlog",
    "workers": "workers",
    "graceful_timeout": "graceful-timeout",
    "limit_request_fields": "limit-request-fields",
    "limit_request_field_size": "limit-request-field-size",
    "chdir": "chdir",
    "pidfile": "pid",
    "umask": "umask",
    "root_path": "root-path",
    "asgi_lifespan": "lifespan",
    "reload_extra_files": "reload-include",
    "certfile": "certfile",
    "keyfile": "keyfile",
    "ca_certs": "ca-certs",
    "ciphers": "ciphers",
    "max_requests": "max-requests",
    "max_requests_jitter": "max-requests-jitter",
    "keepalive": "keep-alive",
    "limit_request_line": "limit-request-line",
    "errorlog": "error-log",
    "loglevel": "log-level",
    "preload_app": "preload",
    "reload": "reload",
    "wsgi_app": "app",
    "websocket_max_message_size": "ws-max-size",
}
"""Settings that have the same meaning under another name."""

IN_PLACE = "Portway does this always"
HTTP = "HTTP/1.0 and 1.1 are spoken; let a proxy in front speak HTTP/2"
NOT_THERE = {
    "worker_tmp_dir": "workers prove that they live through shared memory; there are no heartbeat files",
    "worker_connections": "see limit-connections, which counts the connections of one worker",
    "reload_engine": "files are watched with what the system offers",
    "spew": "a debugger does more",
    "check_config": "`portway check` is a command",
    "print_config": "`portway serve --print-config`",
    "sendfile": "files are sent with sendfile where the system has it",
    "reuse_port": "connections are spread by what each worker has to do, which loses none when a worker ends",
    "daemon": "a service manager keeps it: `portway export systemd`",
    "initgroups": IN_PLACE,
    "tmp_upload_dir": "set TMPDIR",
    "disable_redirect_access_to_syslog": "there is no syslog",
    "capture_output": "standard output goes where the server's goes",
    "logger_class": "logs are written in compiled code; access-log-format has a JSON form",
    "logconfig": "see access-log, error-log and log-level",
    "logconfig_dict": "see access-log, error-log and log-level",
    "logconfig_json": "see access-log, error-log and log-level",
    "syslog_addr": "write to standard error, and let the service manager pass it on",
    "syslog": "write to standard error, and let the service manager pass it on",
    "syslog_prefix": "there is no syslog",
    "syslog_facility": "there is no syslog",
    "enable_stdio_inheritance": IN_PLACE,
    "statsd_host": "there is no StatsD",
    "dogstatsd_tags": "there is no StatsD",
    "statsd_prefix": "there is no StatsD",
    "enable_backlog_metric": "there is no StatsD",
    "proc_name": "processes keep their names",
    "default_proc_name": "processes keep their names",
    "pythonpath": "set PYTHONPATH, or let chdir name the directory that holds the application",
    "paste": "name the application itself: module:attr",
    "raw_paste_global_conf": "name the application itself: module:attr",
    "ssl_context": "there is no hook that makes a TLS context",
    "ssl_version": "TLS 1.2 and later are spoken, nothing older",
    "suppress_ragged_eofs": IN_PLACE,
    "do_handshake_on_connect": "a handshake never holds up another client",
    "protocol": "HTTP only",
    "uwsgi_allow_ips": "HTTP only",
    "http_protocols": HTTP,
    "permit_obsolete_folding": "folded lines are refused: they hide fields from one of two readers",
    "strip_header_spaces": "a space before the colon is refused: it smuggles fields past a proxy",
    "permit_unconventional_http_method": "any token is a method",
    "permit_unconventional_http_version": "HTTP/1.0 and 1.1",
    "casefold_http_method": "methods are case-sensitive (RFC 9110)",
    "forwarder_headers": "see underscore-headers: a name is let through from everybody, or from nobody",
    "asgi_disconnect_grace_period": "receive() says http.disconnect at once; graceful-timeout ends the rest",
    "http_parser": "there is one parser",
    "control_socket": "gunicornc knows no Portway; control names the socket that `portway ctl` talks to",
    "control_socket_mode": "the socket of control is its owner's alone",
    "control_socket_disable": "without control there is none",
}
"""Settings without an equivalent, with the reason."""

PREFIXES = {
    "http2_": HTTP,
    "on_dirty_": "there are no dirty workers: a task queue does that",
    "dirty_": "there are no dirty workers: a task queue does that",
}

HOOKS = frozenset(
    {
        *("on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init"),
        *("worker_int", "worker_abort", "pre_exec", "pre_request", "post_request", "child_exit"),
        *("worker_exit", "nworkers_changed", "on_exit"),
    }
)


def known(name: str) -> bool:
    """Tell whether a name is a setting of gunicorn; any other in its file is the file's own affair."""
    return (
        name in _SPECIAL
        or name in SAME
        or name in HOOKS
        or name in NOT_THERE
        or name.startswith(tuple(PREFIXES))
    )


def convert(settings: Mapping[str, Any]) -> Draft:
    """Return what gunicorn's settings are in Portway's words.

    Args:
        settings: Those that were set, by gunicorn's names; functions as None.
    """
    draft = Draft()
    for name, value in settings.items():
        if name in _SPECIAL:
            _SPECIAL[name](draft, value)
        elif name in SAME:
            if value is not None:
                draft.put(SAME[name], value, name)
        elif name in HOOKS:
            draft.note(
                name, f'put the function into a module and name it: [hooks] {name} = "module:function"'
            )
        elif why := NOT_THERE.get(name) or next(
            (why for prefix, why in PREFIXES.items() if name.startswith(prefix)), None
        ):
            draft.note(name, why)
        else:
            draft.note(name, "is no setting of gunicorn that Portway knows")
    _threads(draft, settings)
    draft.settle_clients("ca_certs")
    _differences(draft, settings)
    return draft


def _threads(draft: Draft, settings: Mapping[str, Any]) -> None:
    """Keep the number of threads: an application that is not thread-safe relies on gunicorn's one."""
    worker = str(settings.get("worker_class", ""))
    if "asgi" not in worker and "uvicorn" not in worker:
        draft.put("threads", settings.get("threads", 1), "threads")


def _differences(draft: Draft, settings: Mapping[str, Any]) -> None:
    draft.note(
        "X-Forwarded-For",
        "from a trusted proxy it becomes REMOTE_ADDR, where gunicorn leaves the proxy's address",
    )
    if "keepalive" not in settings:
        draft.note(
            "keepalive", "idle connections stay open for 75 seconds, not 2: more than a load balancer's 60"
        )


def _bind(draft: Draft, value: Any) -> None:
    texts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    draft.put("bind", [_address(str(text).strip()) for text in texts], "bind")


def _address(text: str) -> str:
    """Return an address with the port that gunicorn adds."""
    if text.startswith(("unix:", "fd://")):
        return text
    text = text.removeprefix("tcp://")
    return text if ":" in text.rpartition("]")[2] else f"{text}:8000"


def _worker_class(draft: Draft, value: Any) -> None:
    name = value if isinstance(value, str) else "a class of its own"
    if "uvicorn" in name or name == "asgi":
        draft.put("interface", "asgi", "worker_class")
    elif name in ("gevent", "eventlet", "gevent_wsgi", "gevent_pywsgi", "tornado"):
        draft.note(
            "worker_class",
            f"there is no {name}: threads wait without holding up others. Raise threads, and take the "
            "monkey patching out",
        )
    elif name not in ("sync", "gthread"):
        draft.note("worker_class", f"{name} is not known here")


def _names(draft: Draft, option: str, value: Any, source: str) -> None:
    texts = value if isinstance(value, (list, tuple)) else str(value).split(",")
    draft.put(option, [text.strip() for text in texts if text.strip()], source)


def _who(draft: Draft, option: str, value: Any) -> None:
    if value is not None:
        draft.put(option, str(value), option)


def _timeout(draft: Draft, value: Any) -> None:
    draft.put("timeout", value, "timeout")
    draft.note(
        "timeout", "counts for one request until its response begins, and ends that request, not the worker"
    )


def _env(draft: Draft, value: Any) -> None:
    lines = [value] if isinstance(value, str) else list(value or ())
    if lines:
        draft.note("raw_env", f"write these into a file that env-file names: {' '.join(map(str, lines))}")


def _schemes(draft: Draft, value: Any) -> None:
    if {str(name).upper() for name in value or {}} != {"X-FORWARDED-PROTO"}:
        draft.note(
            "secure_scheme_headers", "X-Forwarded-Proto (or Forwarded) says the scheme; see forwarded-headers"
        )


def _header_map(draft: Draft, value: Any) -> None:
    if value != "drop":
        draft.note(
            "header_map", "names with an underscore are dropped, but for those that underscore-headers names"
        )


def _loop(draft: Draft, value: Any) -> None:
    draft.put("loop", value, "asgi_loop")


def _access(draft: Draft, value: Any) -> None:
    draft.put("access-log", value or "off", "accesslog")


def _access_format(draft: Draft, value: Any) -> None:
    draft.put("access-log-format", value, "access_log_format")  # its letters mean the same here


def _proxy_protocol(draft: Draft, value: Any) -> None:
    word = str(value).strip().lower()
    named = {"false": "off", "none": "off", "0": "off", "true": "auto", "1": "auto"}  # as gunicorn has it
    draft.put("proxy-protocol", named.get(word, word), "proxy_protocol")


def _drop(draft: Draft, value: Any) -> None:
    """Of no meaning elsewhere."""


def _cert_reqs(draft: Draft, value: Any) -> None:
    draft.put("cert-reqs", int(value) if isinstance(value, int) else value, "cert_reqs")  # ssl.CERT_REQUIRED


_SPECIAL: dict[str, Callable[[Draft, Any], None]] = {
    "cert_reqs": _cert_reqs,
    "bind": _bind,
    "worker_class": _worker_class,
    "threads": _drop,
    "timeout": _timeout,
    "raw_env": _env,
    "accesslog": _access,
    "access_log_format": _access_format,
    "proxy_protocol": _proxy_protocol,
    "secure_scheme_headers": _schemes,
    "header_map": _header_map,
    "asgi_loop": _loop,
    "config": _drop,
    "user": lambda draft, value: _who(draft, "user", value),
    "group": lambda draft, value: _who(draft, "group", value),
    "forwarded_allow_ips": lambda draft, value: _names(
        draft, "forwarded-allow-ips", value, "forwarded_allow_ips"
    ),
    "proxy_allow_ips": lambda draft, value: _names(draft, "proxy-allow-ips", value, "proxy_allow_ips"),
}
