"""The command line of gunicorn or uvicorn, taken apart without importing either."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from portway.errors import UsageError, shown
from portway.moving import uvicorn

# gunicorn's flags whose setting has another name than the flag, or a short form.
FLAGS = {
    "-b": "bind", "-w": "workers", "-k": "worker_class", "-t": "timeout", "-e": "raw_env", "--env": "raw_env",
    "-p": "pidfile", "--pid": "pidfile", "-u": "user", "-g": "group", "-m": "umask", "-n": "proc_name",
    "--name": "proc_name", "-c": "config", "--keep-alive": "keepalive", "--access-logfile": "accesslog",
    "--access-logformat": "access_log_format", "--error-logfile": "errorlog", "--log-file": "errorlog",
    "--log-level": "loglevel", "--log-config": "logconfig", "--log-config-json": "logconfig_json",
    "--log-syslog": "syslog", "--log-syslog-to": "syslog_addr", "--log-syslog-prefix": "syslog_prefix",
    "--log-syslog-facility": "syslog_facility", "--preload": "preload_app", "--no-sendfile": "sendfile",
    "-D": "daemon", "-R": "enable_stdio_inheritance", "--reload-extra-file": "reload_extra_files",
    "--limit-request-field_size": "limit_request_field_size", "--proxy-allow-from": "proxy_allow_ips",
    "--uwsgi-allow-from": "uwsgi_allow_ips", "--paster": "paste", "--paste-global": "raw_paste_global_conf",
    "--dirty-app": "dirty_apps", "--no-control-socket": "control_socket_disable",
}  # fmt: skip
_SWITCHES = frozenset(
    {
        *("reload", "spew", "check_config", "print_config", "preload_app", "sendfile", "reuse_port"),
        "daemon",
        *("initgroups", "disable_redirect_access_to_syslog", "capture_output", "syslog"),
        *("enable_stdio_inheritance", "enable_backlog_metric", "suppress_ragged_eofs"),
        *("do_handshake_on_connect", "permit_obsolete_folding", "strip_header_spaces"),
        *("permit_unconventional_http_method", "permit_unconventional_http_version", "casefold_http_method"),
        "control_socket_disable",
    }
)
_MANY = frozenset({"bind", "raw_env", "reload_extra_files", "raw_paste_global_conf", "dirty_apps"})
_OCTAL = frozenset({"umask", "control_socket_mode"})


@dataclass(slots=True)
class Command:
    """A command line that was understood.

    Attributes:
        server: gunicorn or uvicorn.
        options: By setting (gunicorn) or by option without dashes (uvicorn).
        config: What gunicorn's -c names, "" when there is none.
    """

    server: str
    options: dict[str, Any] = field(default_factory=dict)
    config: str = ""


def parse_command(words: Sequence[str]) -> Command:
    """Return what a command line says.

    Args:
        words: Its words; variables, `exec`, `python -m` and directories in front are read over.

    Raises:
        UsageError: It starts neither gunicorn nor uvicorn, or an option lacks its value.
    """
    for position, word in enumerate(words):
        name = PurePath(word).name
        if name in ("gunicorn", "uvicorn"):
            rest = list(words[position + 1 :])
            return _gunicorn(rest) if name == "gunicorn" else _uvicorn(rest)
        known = ("exec", "python", "env", "-m", "poetry", "uv", "run", "pipenv")
        if not (re.match(r"[A-Za-z_]\w*=", word) or name in known or re.fullmatch(r"python[\d.]*", name)):
            break
    raise UsageError(
        f"{shown(' '.join(words))} is no command line of gunicorn or uvicorn",
        "portway import -- gunicorn -w 4 module:app",
    )


def gunicorn_options(words: Sequence[str]) -> Command:
    """Return what gunicorn's options say, as in GUNICORN_CMD_ARGS."""
    return _gunicorn(list(words))


def _gunicorn(words: list[str]) -> Command:
    command = Command("gunicorn")
    while words:
        word = words.pop(0)
        if not word.startswith("-") or word == "-":
            command.options["wsgi_app"] = word
            continue
        flag, inline = _split(word)
        setting = FLAGS.get(flag) or flag.removeprefix("--").replace("-", "_")
        value: Any
        if setting in _SWITCHES:
            value = setting != "sendfile"
        elif setting == "proxy_protocol" and inline is None:
            follows = words and words[0] in ("off", "v1", "v2", "auto")
            value = words.pop(0) if follows else "auto"
        else:
            value = _value(flag, inline, words)
        if setting == "config":
            command.config = value
        elif setting in _MANY:
            command.options.setdefault(setting, []).append(value)
        else:
            command.options[setting] = _typed(setting, value)
    return command


def _uvicorn(words: list[str]) -> Command:
    command = Command("uvicorn")
    while words:
        word = words.pop(0)
        if not word.startswith("-"):
            command.options["app"] = word
            continue
        flag, inline = _split(word)
        name = flag.removeprefix("--")
        if name in uvicorn.FLAGS:
            command.options[name] = True
        elif name.startswith("no-") and name.removeprefix("no-") in uvicorn.FLAGS:
            command.options[name.removeprefix("no-")] = False
        elif name in uvicorn.MANY:
            command.options.setdefault(name, []).append(_value(flag, inline, words))
        else:
            command.options[name] = _value(flag, inline, words)
    return command


def _split(word: str) -> tuple[str, str | None]:
    """Take --name=value and -w4 apart."""
    if word.startswith("--"):
        flag, equals, value = word.partition("=")
        return flag, value if equals else None
    return word[:2], word[2:].removeprefix("=") or None


def _value(flag: str, inline: str | None, words: list[str]) -> str:
    if inline is not None:
        return inline
    if not words:
        raise UsageError(f"{flag} lacks its value", "give the command line as the shell would run it.")
    return words.pop(0)


def _typed(setting: str, value: Any) -> Any:
    if isinstance(value, str) and setting in _OCTAL and re.fullmatch(r"0o?[0-7]+", value):
        return int(value.removeprefix("0o"), 8)
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else value
