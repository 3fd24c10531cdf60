"""uvicorn's options in Portway's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portway.config.declared import BY_NAME
from portway.moving.draft import Draft

SAME = {
    "workers": "workers",
    "lifespan": "lifespan",
    "env-file": "env-file",
    "root-path": "root-path",
    "limit-concurrency": "limit-concurrency",
    "backlog": "backlog",
    "limit-max-requests": "max-requests",
    "limit-max-requests-jitter": "max-requests-jitter",
    "timeout-keep-alive": "keep-alive",
    "timeout-graceful-shutdown": "graceful-timeout",
    "timeout-worker-healthcheck": "startup-timeout",
    "app-dir": "chdir",
    "factory": "factory",
    "server-header": "server-header",
    "date-header": "date-header",
    "h11-max-incomplete-event-size": "limit-request-head",
    "reload": "reload",
    "reload-dir": "reload-dir",
    "reload-include": "reload-include",
    "reload-exclude": "reload-exclude",
    "ssl-keyfile": "keyfile",
    "ssl-certfile": "certfile",
    "ssl-ca-certs": "ca-certs",
    "ssl-cert-reqs": "cert-reqs",
    "ssl-ciphers": "ciphers",
    "ws-max-size": "ws-max-size",
    "ws-max-queue": "ws-max-queue",
    "ws-ping-interval": "ws-ping-interval",
    "ws-ping-timeout": "ws-ping-timeout",
    "ws-per-message-deflate": "ws-per-message-deflate",
    "app": "app",
}

NOT_THERE = {
    "http2": "HTTP/1.0 and 1.1 are spoken; let a proxy in front speak HTTP/2",
    "http": "there is one HTTP implementation",
    "reload-delay": "changes are gathered by the watcher",
    "log-config": "see access-log, error-log and log-level",
    "use-colors": "logs have no colours",
    "header": "let the application add it",
    "ssl-version": "TLS 1.2 and later are spoken, nothing older",
    "ssl-keyfile-password": "name where it is: keyfile-password = file:PATH or env:NAME",
    "reset-contextvars": "each request has a context of its own",
}

FLAGS = frozenset(
    {
        *("reload", "factory", "access-log", "proxy-headers", "server-header", "date-header", "use-colors"),
        *("http2", "reset-contextvars"),
    }
)
MANY = frozenset({"reload-dir", "reload-include", "reload-exclude", "header"})


def convert(options: Mapping[str, Any]) -> Draft:
    """Return what uvicorn's options are in Portway's words.

    Args:
        options: Those that were given, by name without dashes in front; "app" for the application.
    """
    draft = Draft()
    rest = dict(options)
    _listen(draft, rest)
    draft.put("interface", _interface(rest.pop("interface", "auto")), "--interface")
    draft.put("access-log", "-" if rest.pop("access-log", True) else "off", "--access-log")
    loop = rest.pop("loop", "auto")
    draft.put("loop", loop if loop != "none" else "auto", "--loop")
    level = str(rest.pop("log-level", "info"))
    draft.put("log-level", "debug" if level == "trace" else level, "--log-level")
    _proxies(draft, rest)
    _websockets(draft, rest)
    for name, value in rest.items():
        if name in SAME and SAME[name] in BY_NAME:
            draft.put_word(SAME[name], value, f"--{name}")
        else:
            draft.note(f"--{name}", NOT_THERE.get(name, "has no equivalent in this version of Portway"))
    draft.settle_clients("--ssl-ca-certs")
    return draft


def _listen(draft: Draft, options: dict[str, Any]) -> None:
    host, port = options.pop("host", "127.0.0.1"), options.pop("port", "8000")
    uds, fd = options.pop("uds", None), options.pop("fd", None)
    if uds:
        draft.put("bind", f"unix:{uds}", "--uds")
        draft.put("uds-permissions", "0666", "--uds")  # what uvicorn sets, whatever the umask
    elif fd:
        draft.put("bind", f"fd://{fd}", "--fd")
    else:
        draft.put("bind", f"[{host}]:{port}" if ":" in host else f"{host}:{port}", "--host and --port")


def _interface(name: str) -> str:
    return {"asgi3": "asgi"}.get(name, name)


def _proxies(draft: Draft, options: dict[str, Any]) -> None:
    allowed = options.pop("forwarded-allow-ips", None)
    if options.pop("proxy-headers", True) is False:
        draft.put("forwarded-allow-ips", [], "--no-proxy-headers")
        draft.note("--no-proxy-headers", "X-Forwarded-* fields are dropped then, also for the application")
    elif allowed is not None:
        draft.put(
            "forwarded-allow-ips",
            [part.strip() for part in allowed.split(",") if part.strip()],
            "--forwarded-allow-ips",
        )
        if "*" in allowed:
            draft.note(
                "--forwarded-allow-ips '*'",
                "the last entry of X-Forwarded-For is the client, not the first, which anybody can write",
            )


def _websockets(draft: Draft, options: dict[str, Any]) -> None:
    implementation = options.pop("ws", "auto")
    draft.put("ws", "none" if implementation == "none" else "auto", "--ws")
    if implementation not in ("none", "auto", "websockets", "websockets-sansio"):
        draft.note("--ws", "there is one WebSocket implementation, with the package websockets")
