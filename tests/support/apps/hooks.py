"""Hooks that write down, in the file HOOKS_FILE, what they were called with and where."""

from __future__ import annotations

import os
from collections.abc import Callable


def _write(event: str, *facts: object) -> None:
    line = " ".join(map(str, (event, os.getpid(), *facts)))
    descriptor = os.open(os.environ["HOOKS_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, line.encode() + b"\n")
    os.close(descriptor)


def _hook(event: str) -> Callable[..., None]:
    def hook(*arguments: object) -> None:
        _write(event, *[getattr(argument, "pid", type(argument).__name__) for argument in arguments])

    return hook


on_starting = _hook("on_starting")
on_reload = _hook("on_reload")
when_ready = _hook("when_ready")
pre_fork = _hook("pre_fork")
post_fork = _hook("post_fork")
post_worker_init = _hook("post_worker_init")
worker_int = _hook("worker_int")
worker_abort = _hook("worker_abort")
pre_exec = _hook("pre_exec")
child_exit = _hook("child_exit")
worker_exit = _hook("worker_exit")
nworkers_changed = _hook("nworkers_changed")
on_exit = _hook("on_exit")
pre_request = _hook("pre_request")
post_request = _hook("post_request")


def broken(*arguments: object) -> None:
    """Raise."""
    raise RuntimeError("hook broken on purpose")


def leaving(*arguments: object) -> None:
    """Try to end the process."""
    raise SystemExit(5)


class Logs:
    """A hook that logs as gunicorn's do."""

    @staticmethod
    def ready(server: object) -> None:
        """Use the log."""
        server.log.info("hook says %s on %s", "hello", server.address)  # type: ignore[attr-defined]
